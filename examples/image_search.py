"""Search photographs by what they show, with a bag of words: python image_search.py OUTPUT."""

import sys

import cv2
import numpy as np
from skimage import data

import cv2_superpoint

NAMES = [
    "astronaut", "brick", "camera", "chelsea", "coffee", "coins", "grass", "gravel",
    "hubble_deep_field", "moon", "page", "retina", "rocket", "text",
]  # fmt: skip


def photographs() -> dict[str, np.ndarray]:
    """Load those of scikit-image, 400 pixels wide."""
    loaded = {name: getattr(data, name)() for name in NAMES}
    grey = {n: i if i.ndim == 2 else cv2.cvtColor(i, cv2.COLOR_RGB2GRAY) for n, i in loaded.items()}
    return {name: cv2.resize(i, (400, i.shape[0] * 400 // i.shape[1])) for name, i in grey.items()}


def another_view(image: np.ndarray, angle: float) -> np.ndarray:
    """Return the middle of an image, turned, smaller and darker."""
    height, width = image.shape
    turn = cv2.getRotationMatrix2D((width / 2, height / 2), angle, 0.7)
    turn[:, 2] -= width * 0.2, height * 0.2
    return cv2.warpAffine(image, turn, (width * 3 // 5, height * 3 // 5)) // 2


def main(output_path: str) -> None:
    """Learn a vocabulary, describe all photographs by it, and search for other views of them."""
    images, detector = photographs(), cv2_superpoint.SuperPoint_create(500)
    rows = np.vstack([detector.detectAndCompute(image, None)[1] for image in images.values()])
    cv2.setRNGSeed(0)
    stop = (cv2.TERM_CRITERIA_COUNT, 10, 0)
    _, _, words = cv2.kmeans(rows, 200, None, stop, 1, cv2.KMEANS_PP_CENTERS)
    extractor = cv2_superpoint.bow_image_descriptor_extractor(detector, cv2_superpoint.BFMatcher())
    extractor.setVocabulary(words)

    def describe(image: np.ndarray) -> np.ndarray:
        return np.sqrt(extractor.compute(image, detector.detect(image))[0])  # of unit norm

    known = np.stack([describe(image) for image in images.values()])
    right, strips = 0, []
    for name, image in images.items():
        query = another_view(image, 7 * NAMES.index(name) - 40)
        ranking = np.argsort(known @ describe(query))[::-1]
        right += NAMES[ranking[0]] == name
        strip = [query, *(images[NAMES[index]] for index in ranking[:3])]
        strips.append(cv2.hconcat([cv2.resize(part, (160, 120)) for part in strip]))
    cv2.imwrite(output_path, cv2.hconcat([*map(cv2.vconcat, (strips[::2], strips[1::2]))]))
    print(f"{right} of {len(images)} photographs come first")


if __name__ == "__main__":
    main(sys.argv[1]) if len(sys.argv) > 1 else sys.exit(__doc__)

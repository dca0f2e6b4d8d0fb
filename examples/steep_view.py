"""Match a picture with a very steep view of it, by ASIFT: python steep_view.py OUTPUT."""

import sys

import cv2
import numpy as np
from skimage import data

import cv2_superpoint


def steep_view(image: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the image seen at 80 degrees from its normal, and the homography to there."""
    camera = np.array([[700, 0, 180], [0, 700, 200], [0, 0, 1]], float)
    turn = cv2.Rodrigues(np.radians([0.0, 80, 0]))[0]
    shift = np.array([0, 0, 700]) - turn @ (300, 200, 0)
    plane = camera @ np.column_stack([turn[:, :2], shift])
    # Rendered four times as large, then reduced, so that there is no aliasing.
    large = cv2.warpPerspective(image, np.diag([4, 4, 1]) @ plane, (1440, 1600))
    return cv2.resize(large, (360, 400), interpolation=cv2.INTER_AREA), plane


def main(output_path: str) -> None:
    """Match from the front, then from many sides, and draw the matches of the latter."""
    picture = cv2.cvtColor(data.coffee(), cv2.COLOR_RGB2BGR)
    view, true = steep_view(picture)
    detector = cv2_superpoint.SuperPoint_create(500)
    for name, feature in {
        "SuperPoint": detector,
        "from many sides": cv2_superpoint.affine_feature(detector, minTilt=2),
    }.items():
        keypoints1, descriptors1 = feature.detectAndCompute(picture, None)
        keypoints2, descriptors2 = detector.detectAndCompute(view, None)
        matcher = cv2_superpoint.BFMatcher(detector.defaultNorm(), crossCheck=True)
        matches = matcher.match(descriptors1, descriptors2)
        source = np.float32([keypoints1[m.queryIdx].pt for m in matches])
        target = np.float32([keypoints2[m.trainIdx].pt for m in matches])
        _, inliers = cv2.findHomography(source, target, cv2.USAC_MAGSAC, 3.0)
        errors = cv2.perspectiveTransform(source[:, None], true)[:, 0] - target
        correct = np.linalg.norm(errors, axis=1) < 3
        print(f"{name}: {correct.sum()} of {len(matches)} matches are correct")
    chosen = [match for match, inlier in zip(matches, inliers.ravel(), strict=True) if inlier]
    drawn = cv2.drawMatches(picture, keypoints1, view, keypoints2, chosen, None, flags=2)
    cv2.imwrite(output_path, drawn)


if __name__ == "__main__":
    main(sys.argv[1]) if len(sys.argv) > 1 else sys.exit(__doc__)

"""Images of single dots and a detector that finds them, so that every metric is known exactly."""

from pathlib import Path

import cv2
import numpy as np
import skimage.data

SIZE = (120, 160)
SHIFT = (30, 0)
DISPLACED = 2  # pixels to the right, for every third dot of image 2


class DotDetector:
    """Finds pixels above 0; the descriptor is the pixel's value, which names the dot."""

    calls = 0

    def __init__(self, n: int) -> None:
        self.n = n

    def detectAndCompute(self, image, mask):
        DotDetector.calls += 1
        rows, columns = np.nonzero(image)
        found = [cv2.KeyPoint(float(x), float(y), 1.0) for y, x in zip(rows, columns, strict=True)]
        values = image[rows, columns].astype(np.float32)[:, None]
        return found, values if found else None

    def defaultNorm(self) -> int:
        return cv2.NORM_L2


class BlindDetector(DotDetector):
    """Finds nothing, as OpenCV's detectors do on a blank image."""

    def detectAndCompute(self, image, mask):
        return (), None


DOTS = f"{__name__}:DotDetector"
BLIND = f"{__name__}:BlindDetector"


def write_dots(folder: Path) -> None:
    """Write ``v_dots``: 24 dots, and the same seen further left by `SHIFT`; 20 stay in view."""
    values = 20 + 9 * np.arange(24)
    x, y = np.meshgrid(np.arange(10, 130, 20), np.arange(15, 120, 30))
    # Columns 10, 30, .. 110; the first leaves image 2; 7 of the other 20 dots move.
    first, second = np.zeros(SIZE, np.uint8), np.zeros(SIZE, np.uint8)
    first[y.ravel(), x.ravel()] = values
    seen = x.ravel() >= SHIFT[0]
    for i, (u, v) in enumerate(zip(x.ravel()[seen], y.ravel()[seen], strict=True)):
        second[v, u - SHIFT[0] + DISPLACED * (i % 3 == 0)] = values[seen][i]
    target = folder / "v_dots"
    target.mkdir(parents=True)
    cv2.imwrite(str(target / "1.png"), first)
    cv2.imwrite(str(target / "2.png"), second)
    np.savetxt(target / "H_1_2", [[1, 0, -SHIFT[0]], [0, 1, -SHIFT[1]], [0, 0, 1]])


def write_photograph(folder: Path) -> None:
    """Write a sequence of a photograph and the same at half its brightness."""
    folder.mkdir(parents=True)
    image = cv2.resize(skimage.data.camera(), (320, 240), interpolation=cv2.INTER_AREA)
    cv2.imwrite(str(folder / "1.png"), image)
    cv2.imwrite(str(folder / "2.png"), image // 2)
    np.savetxt(folder / "H_1_2", np.eye(3))

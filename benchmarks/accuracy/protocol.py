"""Every constant that the numbers depend on, and the sets of them that people quote."""

from dataclasses import dataclass

import cv2

ESTIMATORS = {"RANSAC": cv2.RANSAC, "USAC_MAGSAC": cv2.USAC_MAGSAC}
"""OpenCV's estimators of homographies by name."""


@dataclass(frozen=True)
class Protocol:
    """Constants of the benchmark; the defaults are the SuperPoint paper's where it names them.

    RANSAC draws by position, so the order of the matches alone moves the homography figures of a
    few pairs; `ransac_repeats` above 1 averages over that many orders (the first is the method's).

    Attributes
    ----------
    name : str
        Of the preset.
    size : tuple of int or None
        (height, width) of the images for matching and homographies; None leaves them as they are.
    points : int
        The strongest so many in each of those images.
    estimator : str
        A key of `ESTIMATORS`.
    ransac_threshold, ransac_iterations, ransac_confidence, ransac_repeats
        Pixels, largest number of draws, probability at which to stop, orders averaged over.
    homography_thresholds, auc_thresholds, mma_thresholds : tuple of int
        Pixels of H@k, AUC@k and MMA@k.
    descriptor_threshold : float
        Pixels within which a match is correct, for matching score, NN mAP and the gallery.
    repeatability_size, repeatability_points, repeatability_threshold
        (height, width), number and pixels for repeatability and localisation error.
    skip_large : bool
        Leave out the eight sequences that D2-Net left out.
    aligned : bool
        Measure by the homographies of the data after dense alignment (`alignment.align`).
    """

    name: str = "paper"
    size: tuple[int, int] | None = (480, 640)
    points: int = 1000
    estimator: str = "RANSAC"
    ransac_threshold: float = 3
    ransac_iterations: int = 10_000
    ransac_confidence: float = 0.9999
    ransac_repeats: int = 1
    homography_thresholds: tuple[int, ...] = (1, 3, 5)
    auc_thresholds: tuple[int, ...] = (1, 3, 5)
    mma_thresholds: tuple[int, ...] = tuple(range(1, 11))
    descriptor_threshold: float = 3
    repeatability_size: tuple[int, int] = (240, 320)
    repeatability_points: int = 300
    repeatability_threshold: float = 3
    skip_large: bool = False
    aligned: bool = False


PRESETS = {
    # DeTone et al., arXiv 1712.07629, section 7.2 and 7.3.
    "paper": Protocol(),
    # Dusmanu et al., arXiv 1905.03561, section 5.1: images as they are. The number of points was
    # not limited there; later papers limit it to make methods comparable.
    "mma": Protocol(name="mma", size=None, points=5000, skip_large=True),
}

RULES = (
    "images in grey, resized with their ratio kept (area average, or linear where enlarged) until "
    "they cover the size, centre crop; strongest points by response, each method with its own "
    "suppression; mutual nearest neighbours in the method's norm; errors in pixels of the images "
    "as resized; a pair without homography, matches or points counts as a failure (0, or an "
    "infinite error); means over pairs, median time"
)

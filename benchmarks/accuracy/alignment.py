"""Homographies that agree with the pictures: the given ones, refined by dense alignment.

The homographies of a data set are estimates, too, and some are pixels off. On those pairs a feature
is marked down for being right, so differences between good features disappear.
"""

import cv2
import numpy as np
from numpy.typing import NDArray

from ..common.datasets import Image

_BLURS = (9, 5, 3)
"""Sides of the Gaussian filters of the passes, pixels: from coarse to fine."""
_STOP = (cv2.TERM_CRITERIA_COUNT | cv2.TERM_CRITERIA_EPS, 200, 1e-7)


def align(first: Image, second: Image, homography: NDArray[np.float64]) -> NDArray[np.float64]:
    """Refine a homography until the pictures, laid over each other, correlate best.

    By all pixels of both: enhanced correlation coefficient maximisation (Evangelidis and Psarakis,
    TPAMI 2008), which ignores brightness and contrast.

    Parameters
    ----------
    first, second : (H, W) uint8 arrays
    homography : (3, 3) array
        From the first to the second, pixels; within some ten pixels of the truth.

    Returns
    -------
    (3, 3) array
        The given homography where this does not correlate better.
    """
    refined = (homography / homography[2, 2]).astype(np.float32)
    try:
        for blur in _BLURS:
            _, refined = cv2.findTransformECC(
                first, second, refined, cv2.MOTION_HOMOGRAPHY, _STOP, None, blur
            )
    except cv2.error:  # it does not converge
        return homography
    better = refined.astype(np.float64)
    improved = _correlation(first, second, better) > _correlation(first, second, homography)
    return better if improved else homography


def _correlation(first: Image, second: Image, homography: NDArray[np.float64]) -> float:
    """Return the correlation of the first picture and the second, laid over it, where both are."""
    size = (first.shape[1], first.shape[0])
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    over = cv2.warpPerspective(second, homography, size, flags=flags)
    covered = cv2.warpPerspective(np.full_like(second, 255), homography, size, flags=flags) == 255
    if covered.sum() < 2:
        return -1.0
    return float(np.corrcoef(first[covered], over[covered])[0, 1])

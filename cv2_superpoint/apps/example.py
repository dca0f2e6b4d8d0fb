"""Two photographs with measured correspondences, bundled with scikit-image."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from .matching import Points

Image = npt.NDArray[np.uint8]


def stereo_pair() -> tuple[Image, Image, npt.NDArray[np.float32]]:
    """Return the motorcycle of the Middlebury 2014 stereo benchmark (Scharstein et al.).

    Returns
    -------
    left, right : ndarray
        ``(500, 741, 3)`` uint8 BGR: two rectified photographs from 19 cm apart.
    disparity : ndarray
        ``(500, 741)`` float32: what `left` shows at ``(x, y)`` is in `right` at
        ``(x - disparity[y, x], y)``; infinite where it was not measured.

    Raises
    ------
    ImportError
        Without scikit-image.
    """
    from skimage import data  # in the wheel, nothing is downloaded

    left, right, disparity = data.stereo_motorcycle()
    bgr: Any = [cv2.cvtColor(image, cv2.COLOR_RGB2BGR) for image in (left, right)]
    return bgr[0], bgr[1], disparity


def disparity_inliers(
    left: Points, right: Points, disparity: npt.NDArray[np.float32]
) -> npt.NDArray[np.bool_]:
    """Tell which matches are within 3 px of where the disparity puts them.

    Parameters
    ----------
    left, right
        ``(M, 2)`` matched pixels ``(x, y)`` of the two images.
    disparity
        As :func:`stereo_pair` returns it.

    Returns
    -------
    ndarray
        ``(M,)`` bool; False where the disparity was not measured.
    """
    x, y = np.floor(left + 0.5).astype(int).T
    expected = left - np.stack([disparity[y, x], np.zeros(len(left), np.float32)], axis=1)
    return np.linalg.norm(expected - right, axis=1) <= 3

"""Points along straight edges are no labels: along an edge, a position means nothing."""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt

LEAST_ROUNDNESS = 0.2
"""Of a label, from 0 (a straight edge) to 1 (as much contrast in every direction)."""

_FLAT = 16.0
"""Trace of the structure tensor where all is flat but for half a grey level per pixel."""


def roundness(image: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
    """Return how equal the contrast around each pixel is in all directions.

    It is 4 det / trace^2 of the structure tensor (Förstner and Gülch 1987, A Fast Operator for
    Detection and Precise Location of Distinct Points, Corners and Centres of Circular Features),
    whose eigenvalues are the contrast across and along an edge.

    Parameters
    ----------
    image
        ``(H, W)`` grey, uint8.

    Returns
    -------
    ndarray
        ``(H, W)`` float32 in [0, 1]; near 0, too, where there is hardly any contrast.
    """
    smooth = cv2.GaussianBlur(image.astype(np.float32), (0, 0), 1.0)
    dx, dy = cv2.Sobel(smooth, cv2.CV_32F, 1, 0), cv2.Sobel(smooth, cv2.CV_32F, 0, 1)
    xx, xy, yy = (cv2.GaussianBlur(part, (0, 0), 2.0) for part in (dx * dx, dx * dy, dy * dy))
    return np.clip(4 * (xx * yy - xy * xy) / np.square(xx + yy + _FLAT), 0, 1)

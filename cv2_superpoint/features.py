"""Plain arrays: the result of feature extraction, and points that are given to be described."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Descriptors = npt.NDArray[np.float32] | npt.NDArray[np.uint8]


@dataclass(frozen=True, eq=False)
class Features:
    """Keypoints of one image, strongest first, and their descriptors.

    Attributes
    ----------
    xy
        ``(N, 2)`` float32, pixels of the image, integer at pixel centres.
    score
        ``(N,)`` float32, sum of the heat in the 3x3 pixels around the point
        (:func:`~cv2_superpoint.model.decode.point_scores`).
    size
        ``(N,)`` float32, diameter in pixels of the image: 8 times the scale of the level.
    angle
        ``(N,)`` float32, degrees; -1 where there is no orientation.
    octave
        ``(N,)`` int32, level of the image pyramid.
    descriptors
        ``(N, D)`` float32 of unit L2 norm, or ``(N, 32)`` uint8, 256 bits each; C-contiguous. None
        if they were not asked for.

    Examples
    --------
    >>> from skimage import data
    >>> import cv2_superpoint
    >>> features = cv2_superpoint.SuperPoint_create(100).extract(data.camera())
    >>> len(features), features.xy.shape, features.descriptors.shape
    (100, (100, 2), (100, 64))
    >>> bool((features.score[:-1] >= features.score[1:]).all())  # the strongest first
    True
    """

    xy: npt.NDArray[np.float32]
    score: npt.NDArray[np.float32]
    size: npt.NDArray[np.float32]
    angle: npt.NDArray[np.float32]
    octave: npt.NDArray[np.int32]
    descriptors: Descriptors | None = None

    def __len__(self) -> int:
        return len(self.xy)


def no_features(columns: int, binary: bool) -> Features:
    """Return the features of an image without any: descriptors are ``(0, columns)``."""
    score, size, angle = np.zeros((3, 0), np.float32)
    xy, octave = np.zeros((0, 2), np.float32), np.zeros(0, np.int32)
    rows: Descriptors = np.zeros((0, columns), np.float32)
    if binary:
        rows = np.zeros((0, columns), np.uint8)
    return Features(xy, score, size, angle, octave, rows)


OWN_PATCH = -1
"""Level of points that are described on a patch of their own."""


@dataclass(frozen=True, eq=False)
class GivenPoints:
    """Points of one image that are to be described.

    Attributes
    ----------
    xy
        ``(N, 2)`` float32, pixels of the image.
    level
        ``(N,)`` int32, level of the pyramid on which to describe each; or `OWN_PATCH`.
    scale
        ``(N,)`` float32, how many pixels of the image one pixel of that patch is.
    angle
        ``(N,)`` float32, degrees by which that patch is turned, as in ``cv2.KeyPoint``.
    """

    xy: npt.NDArray[np.float32]
    level: npt.NDArray[np.int32]
    scale: npt.NDArray[np.float32]
    angle: npt.NDArray[np.float32]

    def __len__(self) -> int:
        return len(self.xy)

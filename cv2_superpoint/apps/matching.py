"""Matches between two images, by any feature with OpenCV's interface."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from ..opencv.bfmatcher import BFMatcher

Points = npt.NDArray[np.float32]


@dataclass(frozen=True)
class PairMatch:
    """What was found between two images.

    Attributes
    ----------
    keypoints
        How many were found in each image.
    first, second
        ``(M, 2)`` float32, pixels ``(x, y)`` of each image: row i of one is matched to row i of
        the other.
    seconds
        Time of detection and description of both images.
    """

    keypoints: tuple[int, int]
    first: Points
    second: Points
    seconds: float


def mutual_matches(
    first: npt.NDArray[Any] | None, second: npt.NDArray[Any] | None, norm: int
) -> npt.NDArray[np.intp]:
    """Return the pairs of descriptors that are each other's nearest neighbour.

    Parameters
    ----------
    first, second
        ``(N, D)`` and ``(M, D)``; None or empty without features.
    norm
        Such as ``cv2.NORM_L2``: the feature's ``defaultNorm()``.

    Returns
    -------
    ndarray
        ``(K, 2)``: a row of `first` and a row of `second`.
    """
    if first is None or second is None or not len(first) or not len(second):
        return np.empty((0, 2), np.intp)
    matches = BFMatcher(norm, crossCheck=True).match(first, second)
    return np.array([(m.queryIdx, m.trainIdx) for m in matches], np.intp).reshape(-1, 2)


def match_pair(
    feature: Any, first: npt.NDArray[np.uint8], second: npt.NDArray[np.uint8]
) -> PairMatch:
    """Detect, describe and match two images.

    Parameters
    ----------
    feature
        A ``cv2.Feature2D``, or an object that behaves like one.
    first, second
        Images as `feature` takes them.
    """
    start = time.perf_counter()
    keypoints1, descriptors1 = feature.detectAndCompute(first, None)
    keypoints2, descriptors2 = feature.detectAndCompute(second, None)
    seconds = time.perf_counter() - start
    pairs = mutual_matches(descriptors1, descriptors2, feature.defaultNorm())
    return PairMatch(
        (len(keypoints1), len(keypoints2)),
        _positions(keypoints1)[pairs[:, 0]],
        _positions(keypoints2)[pairs[:, 1]],
        seconds,
    )


def _positions(keypoints: Any) -> Points:
    return np.array([point.pt for point in keypoints], np.float32).reshape(-1, 2)


def homography_inliers(first: Points, second: Points) -> npt.NDArray[np.bool_]:
    """Tell which matches agree with the homography that RANSAC finds (3 px).

    Parameters
    ----------
    first, second
        ``(M, 2)`` matched pixels ``(x, y)`` of the two images.

    Returns
    -------
    ndarray
        ``(M,)`` bool; all False where there is no homography.
    """
    mask = None
    if len(first) >= 4:
        _, mask = cv2.findHomography(
            first, second, cv2.RANSAC, 3.0, maxIters=10_000, confidence=0.9999
        )
    return np.zeros(len(first), bool) if mask is None else mask.ravel().astype(bool)

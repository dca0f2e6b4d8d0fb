"""Two images to a homography, with any feature of OpenCV's interface."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt


@dataclass(frozen=True)
class PairMatch:
    """What was found between two images.

    Attributes
    ----------
    first, second
        Keypoints of each image.
    matches
        Mutual nearest neighbours, ``queryIdx`` in `first` and ``trainIdx`` in `second`.
    inliers
        ``(len(matches),)`` bool: those that agree with the homography.
    homography
        ``(3, 3)`` float64 from pixels of the first image to the second; None if there is none.
    seconds
        Time of detection and description of both images.
    """

    first: tuple[cv2.KeyPoint, ...]
    second: tuple[cv2.KeyPoint, ...]
    matches: tuple[cv2.DMatch, ...]
    inliers: npt.NDArray[np.bool_]
    homography: npt.NDArray[np.float64] | None
    seconds: float


def mutual_matches(
    first: npt.NDArray[Any] | None, second: npt.NDArray[Any] | None, norm: int
) -> tuple[cv2.DMatch, ...]:
    """Return the pairs of descriptors that are each other's nearest neighbour.

    Parameters
    ----------
    first, second
        ``(N, D)`` and ``(M, D)``; None or empty for no features.
    norm
        Such as ``cv2.NORM_L2``: the feature's ``defaultNorm()``.

    Returns
    -------
    tuple of cv2.DMatch
        ``queryIdx`` a row of `first`, ``trainIdx`` a row of `second`.
    """
    if first is None or second is None or not len(first) or not len(second):
        return ()
    return tuple(cv2.BFMatcher(norm, crossCheck=True).match(first, second))


def match_pair(
    feature: Any, first: npt.NDArray[np.uint8], second: npt.NDArray[np.uint8]
) -> PairMatch:
    """Detect, describe and match two images, and fit a homography (RANSAC, 3 px).

    Parameters
    ----------
    feature
        A ``cv2.Feature2D``, or what behaves as one.
    first, second
        Images as `feature` takes them.

    Returns
    -------
    PairMatch
        Without a homography where there are fewer than four matches.
    """
    start = time.perf_counter()
    keypoints1, descriptors1 = feature.detectAndCompute(first, None)
    keypoints2, descriptors2 = feature.detectAndCompute(second, None)
    seconds = time.perf_counter() - start
    matches = mutual_matches(descriptors1, descriptors2, feature.defaultNorm())
    inliers, homography = np.zeros(len(matches), bool), None
    if len(matches) >= 4:
        source = np.array([keypoints1[m.queryIdx].pt for m in matches], np.float32)
        target = np.array([keypoints2[m.trainIdx].pt for m in matches], np.float32)
        homography, mask = cv2.findHomography(
            source, target, cv2.RANSAC, 3.0, maxIters=10_000, confidence=0.9999
        )
        if homography is not None:
            inliers = mask.ravel().astype(bool)
    return PairMatch(keypoints1, keypoints2, matches, inliers, homography, seconds)

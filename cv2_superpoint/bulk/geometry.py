"""Matches between two images that agree with one motion of the camera."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import combinations, combinations_with_replacement, product
from typing import NamedTuple

import cv2
import numpy as np
import numpy.typing as npt

from ..features import Descriptors
from ..opencv.bfmatcher import BFMatcher

Points = npt.NDArray[np.float32]
Matrix = npt.NDArray[np.float64]
Pairs = npt.NDArray[np.intp]

DEGENERATE, UNCALIBRATED, PLANAR_OR_PANORAMIC = 1, 3, 6
"""COLMAP's numbers for what relates two images: nothing, F, or H."""

BLOCK = 64
"""Images that `exhaustive` needs at a time, twice."""

# Beyond, descriptors of unrelated points begin: with as many wrong matches as keypoints make, there
# would be an epipolar geometry that a few dozen obey by chance.
_FARTHEST = {cv2.NORM_L2: 0.8, cv2.NORM_HAMMING: 48}
_OVERLAP = 10  # images, and
_LEAST = 15  # inliers, and
_PLANAR = 0.8  # share of them that a homography explains: as by default in COLMAP
_THRESHOLD, _CONFIDENCE, _ITERATIONS = 2.0, 0.9999, 10_000


class VerifiedPair(NamedTuple):
    """What relates two images.

    Attributes
    ----------
    matches, inliers
        ``(M, 2)``: a keypoint of each image; mutual nearest neighbours that are near
        enough, and those that agree.
    config
        `DEGENERATE`, `UNCALIBRATED` or `PLANAR_OR_PANORAMIC`.
    F, H
        Fundamental matrix and homography, ``(3, 3)``, from the first image to the second.
    """

    matches: Pairs
    inliers: Pairs
    config: int
    F: Matrix | None = None
    H: Matrix | None = None


def exhaustive(images: Sequence[int]) -> Iterator[tuple[int, int]]:
    """Yield all pairs of images, in an order that needs few of them at a time."""
    blocks = [images[i : i + BLOCK] for i in range(0, len(images), BLOCK)]
    for some, others in combinations_with_replacement(blocks, 2):
        yield from combinations(some, 2) if some is others else product(some, others)


def sequential(images: Sequence[int]) -> Iterator[tuple[int, int]]:
    """Yield the pairs of each image with the next few."""
    for i, image in enumerate(images):
        yield from ((image, other) for other in images[i + 1 : i + 1 + _OVERLAP])


PAIRINGS: dict[str, Callable[[Sequence[int]], Iterator[tuple[int, int]]]] = {
    "exhaustive": exhaustive,
    "sequential": sequential,
}


def count_pairs(pairing: str, count: int) -> int:
    """Return how many pairs so many images have."""
    others = count - 1 if pairing == "exhaustive" else min(_OVERLAP, count - 1)
    return max(0, others * (2 * count - others - 1) // 2)


def verify_pair(
    first: tuple[Points, Descriptors], second: tuple[Points, Descriptors], norm: int
) -> VerifiedPair:
    """Match two images, and keep what agrees with a fundamental matrix or a homography (MAGSAC).

    Parameters
    ----------
    first, second
        Keypoints ``(N, 2)`` in pixels, and descriptors ``(N, D)`` of each.
    norm
        To compare descriptors by.

    Returns
    -------
    VerifiedPair
        Its matrices are in the pixels given.
    """
    found = BFMatcher(norm, crossCheck=True).match(first[1], second[1])
    near = [(m.queryIdx, m.trainIdx) for m in found if m.distance < _FARTHEST[norm]]
    matches = np.array(near, np.intp).reshape(-1, 2)
    if len(matches) < _LEAST:
        return VerifiedPair(matches, matches[:0], DEGENERATE)
    source, target = first[0][matches[:, 0]], second[0][matches[:, 1]]
    fundamental, epipolar = cv2.findFundamentalMat(
        source, target, cv2.USAC_MAGSAC, _THRESHOLD, _CONFIDENCE, _ITERATIONS
    )
    homography, planar = cv2.findHomography(
        source, target, cv2.USAC_MAGSAC, _THRESHOLD, None, _ITERATIONS, _CONFIDENCE
    )
    of_f, of_h = (
        np.zeros(0, np.intp) if m is None else np.flatnonzero(m) for m in (epipolar, planar)
    )
    if max(len(of_f), len(of_h)) < _LEAST:
        return VerifiedPair(matches, matches[:0], DEGENERATE)
    if len(of_h) > _PLANAR * len(of_f):
        return VerifiedPair(matches, matches[of_h], PLANAR_OR_PANORAMIC, H=homography)
    return VerifiedPair(matches, matches[of_f], UNCALIBRATED, F=fundamental)

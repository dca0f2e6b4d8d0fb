"""Metrics of detector and descriptor together, over what both images show; pure functions.

Arguments are as in `metrics`. Both metrics are computed from image 1 to image 2 and from image 2
to image 1, each with distances in the image that is gone to, and averaged.

Sources
-------
.. [1] DeTone, Malisiewicz, Rabinovich, "SuperPoint: Self-Supervised Interest Point Detection and
   Description", CVPRW 2018, arXiv 1712.07629, the appendix on evaluation metrics.
.. [2] Mikolajczyk, Schmid, "A Performance Evaluation of Local Descriptors", PAMI 27(10), 2005,
   section 4 (recall over the number of correspondences).
"""

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy.spatial.distance import cdist

from ..common.metrics import Floats, shared_view, transfer_errors, warp_points


def matching_score(
    points1: Floats,
    points2: Floats,
    matches: NDArray[np.intp],
    homography: Floats,
    size1: tuple[int, int],
    size2: tuple[int, int],
    threshold: float,
) -> float:
    """Correct matches over the points in the shared view [1]_.

    Parameters
    ----------
    points1, points2 : (N1, 2) and (N2, 2) arrays
        All points of image 1 and image 2.
    matches : (M, 2) integer array
        Rows (index in image 1, index in image 2).
    homography : (3, 3) array
        Image 1 to image 2.
    size1, size2 : tuple of int
        (height, width) of the images.
    threshold : float
        Pixels; an error equal to it counts as correct.

    Returns
    -------
    float
        In [0, 1]; a direction without points in the shared view counts 0.
    """
    seen1, seen2 = shared_view(points1, points2, homography, size1, size2)
    first, second = matches[seen1[matches[:, 0]] & seen2[matches[:, 1]]].T
    forward = transfer_errors(points1[first], points2[second], homography)
    backward = transfer_errors(points2[second], points1[first], np.linalg.inv(homography))
    scores = [
        np.count_nonzero(errors <= threshold) / max(1, int(np.count_nonzero(seen)))
        for errors, seen in ((forward, seen1), (backward, seen2))
    ]
    return float(np.mean(scores))


def nearest_neighbour_average_precision(
    points1: Floats,
    points2: Floats,
    descriptors1: NDArray[Any],
    descriptors2: NDArray[Any],
    norm: int,
    homography: Floats,
    size1: tuple[int, int],
    size2: tuple[int, int],
    threshold: float,
) -> float:
    """Area under precision over recall of nearest neighbours; its mean over pairs is NN mAP [1]_.

    Every point in the shared view proposes its nearest neighbour there. Proposals are accepted in
    the order of their distance, those of equal distance together. Recall is over the points that
    have a correspondence, i.e. a point of the other image within `threshold` [2]_.

    Parameters
    ----------
    points1, points2 : (N1, 2) and (N2, 2) arrays
    descriptors1, descriptors2 : (N1, D) and (N2, D) arrays, float32 or uint8
    norm : int
        The method's own norm, such as cv2.NORM_L2 or cv2.NORM_HAMMING.
    homography : (3, 3) array
        Image 1 to image 2.
    size1, size2 : tuple of int
        (height, width) of the images.
    threshold : float
        Pixels; a distance equal to it counts as correct.

    Returns
    -------
    float
        In [0, 1]; a direction without correspondences counts 0.
    """
    seen1, seen2 = shared_view(points1, points2, homography, size1, size2)
    if not seen1.any() or not seen2.any():
        return 0.0
    points1, descriptors1 = points1[seen1], descriptors1[seen1]
    points2, descriptors2 = points2[seen2], descriptors2[seen2]
    inverse = np.linalg.inv(homography)
    directions = (
        (warp_points(points1, homography), points2, descriptors1, descriptors2),
        (warp_points(points2, inverse), points1, descriptors2, descriptors1),
    )
    precisions = []
    for warped, targets, queries, candidates in directions:
        proposals = cv2.BFMatcher(norm).match(queries, candidates)
        nearest = [proposal.trainIdx for proposal in proposals]
        distances = cdist(warped, targets)
        precisions.append(
            average_precision(
                np.array([proposal.distance for proposal in proposals]),
                distances[np.arange(len(warped)), nearest] <= threshold,
                int(np.count_nonzero(distances.min(axis=1) <= threshold)),
            )
        )
    return float(np.mean(precisions))


def average_precision(
    distances: NDArray[np.floating[Any]], correct: NDArray[np.bool_], positives: int
) -> float:
    """Area under the step curve of precision over recall.

    Parameters
    ----------
    distances : (N,) array
        Of every proposal; the smallest is accepted first, equal ones together.
    correct : (N,) bool array
    positives : int
        Number of proposals that could be correct: where recall is 1.

    Returns
    -------
    float
        In [0, 1]; 0 if there are no positives.
    """
    if not positives:
        return 0.0
    order = np.argsort(distances, kind="stable")
    hits = np.cumsum(correct[order])
    last_of_equals = np.append(np.flatnonzero(np.diff(distances[order])), len(order) - 1)
    found = hits[last_of_equals]
    precision = found / (last_of_equals + 1)
    return float(np.sum(np.diff(found, prepend=0) * precision) / positives)

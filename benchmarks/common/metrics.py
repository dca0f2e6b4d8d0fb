"""Metrics of detection, matching and homographies, as pure functions.

Everywhere: points are (N, 2) arrays of (x, y) pixels with integer coordinates at pixel centres,
sizes are (height, width), a homography is a (3, 3) array that maps image 1 to image 2, and errors
are in pixels.

Sources
-------
.. [1] DeTone, Malisiewicz, Rabinovich, "SuperPoint: Self-Supervised Interest Point Detection and
   Description", CVPRW 2018, arXiv 1712.07629, section 7 and appendices.
.. [2] Dusmanu et al., "D2-Net: A Trainable CNN for Joint Description and Detection of Local
   Features", CVPR 2019, arXiv 1905.03561, section 5.1.
.. [3] Sarlin et al., "SuperGlue: Learning Feature Matching with Graph Neural Networks", CVPR 2020,
   arXiv 1911.11763, section 5.1.
"""

from typing import Any

import cv2
import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.floating[Any]]


def warp_points(points: Floats, homography: Floats) -> Floats:
    """Map points from image 1 to image 2.

    Parameters
    ----------
    points : (N, 2) array
        In image 1.
    homography : (3, 3) array

    Returns
    -------
    (N, 2) array
        In image 2; not finite for a point that goes to infinity.
    """
    homogeneous = np.column_stack([points, np.ones(len(points))]) @ homography.T
    with np.errstate(divide="ignore", invalid="ignore"):
        return homogeneous[:, :2] / homogeneous[:, 2:]


def transfer_errors(points1: Floats, points2: Floats, homography: Floats) -> Floats:
    """Return how far each match is from agreeing with the homography.

    Parameters
    ----------
    points1, points2 : (M, 2) arrays
        Row i of image 1 is matched to row i of image 2.
    homography : (3, 3) array
        Image 1 to image 2.

    Returns
    -------
    (M,) array
        In pixels of image 2.
    """
    return np.asarray(np.linalg.norm(warp_points(points1, homography) - points2, axis=1))


def shared_view(
    points1: Floats,
    points2: Floats,
    homography: Floats,
    size1: tuple[int, int],
    size2: tuple[int, int],
) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Tell which points lie in what both images show.

    Parameters
    ----------
    points1, points2 : (N1, 2) and (N2, 2) arrays
        In image 1 and image 2.
    homography : (3, 3) array
        Image 1 to image 2.
    size1, size2 : tuple of int
        (height, width) of the images.

    Returns
    -------
    seen1, seen2 : (N1,) and (N2,) bool arrays
        True where the other image shows the point.
    """
    return (
        _inside(warp_points(points1, homography), size2),
        _inside(warp_points(points2, np.linalg.inv(homography)), size1),
    )


def mutual_nearest_neighbours(
    descriptors1: NDArray[Any], descriptors2: NDArray[Any], norm: int
) -> NDArray[np.intp]:
    """Match descriptors that are each other's nearest neighbour.

    Parameters
    ----------
    descriptors1, descriptors2 : (N1, D) and (N2, D) arrays, float32 or uint8
    norm : int
        The method's own norm, such as cv2.NORM_L2 or cv2.NORM_HAMMING.

    Returns
    -------
    (M, 2) integer array
        Rows (index in image 1, index in image 2); no index occurs twice in a column.
    """
    if not len(descriptors1) or not len(descriptors2):
        return np.empty((0, 2), np.intp)
    matches = cv2.BFMatcher(norm, crossCheck=True).match(descriptors1, descriptors2)
    return np.array([(m.queryIdx, m.trainIdx) for m in matches], np.intp).reshape(-1, 2)


def repeatability(
    points1: Floats,
    points2: Floats,
    homography: Floats,
    size: tuple[int, int],
    threshold: float,
) -> tuple[float, float]:
    """Repeatability and localisation error of the keypoints of two images [1]_.

    A point is repeated if the other image has a point within `threshold` of it. Points that the
    other image does not show are left out first. Distances are measured in image 2, and every
    point of either image counts once.

    Parameters
    ----------
    points1, points2 : (N1, 2) and (N2, 2) arrays
        In image 1 and image 2.
    homography : (3, 3) array
        Image 1 to image 2.
    size : tuple of int
        (height, width) of both images.
    threshold : float
        Pixels; a distance equal to it counts as repeated.

    Returns
    -------
    repeatability : float
        Share of repeated points among those of both images; 0 if there are none.
    localisation_error : float
        Mean distance of the repeated points to the nearest point of the other image; nan if no
        point is repeated.
    """
    seen1, seen2 = shared_view(points1, points2, homography, size, size)
    warped1, common2 = warp_points(points1[seen1], homography), points2[seen2]
    distances = np.linalg.norm(warped1[:, None] - common2[None], axis=2)
    # The initial value makes the nearest point of an empty set infinitely far.
    nearest = np.concatenate([distances.min(axis=axis, initial=np.inf) for axis in (1, 0)])
    repeated = nearest[nearest <= threshold]
    if not len(repeated):
        return 0.0, float("nan")
    return len(repeated) / len(nearest), float(repeated.mean())


def matching_accuracy(
    points1: Floats, points2: Floats, homography: Floats, threshold: float
) -> float:
    """Share of matches that agree with the homography; its mean over pairs is the MMA [2]_.

    Parameters
    ----------
    points1, points2 : (M, 2) arrays
        Matched points: row i of image 1 is matched to row i of image 2.
    homography : (3, 3) array
        Image 1 to image 2.
    threshold : float
        Pixels in image 2; an error equal to it counts as correct.

    Returns
    -------
    float
        In [0, 1]; 0 if there are no matches.
    """
    if not len(points1):
        return 0.0
    return float(np.mean(transfer_errors(points1, points2, homography) <= threshold))


def estimate_homography(
    points1: Floats,
    points2: Floats,
    threshold: float,
    max_iterations: int,
    confidence: float,
    estimator: int = cv2.RANSAC,
) -> Floats | None:
    """Fit a homography to matches with one of OpenCV's robust estimators.

    Parameters
    ----------
    points1, points2 : (M, 2) arrays
        Matched points of image 1 and image 2.
    threshold : float
        Largest reprojection error of an inlier, in pixels of image 2.
    max_iterations : int
    confidence : float
        Probability at which the estimator stops early.
    estimator : int
        Such as cv2.RANSAC or cv2.USAC_MAGSAC.

    Returns
    -------
    (3, 3) array or None
        None if the matches do not determine a homography.
    """
    if len(points1) < 4:
        return None
    estimate, _ = cv2.findHomography(
        points1,
        points2,
        estimator,
        threshold,
        maxIters=max_iterations,
        confidence=confidence,
    )
    return None if estimate is None else np.asarray(estimate, np.float64)


def estimate_homographies(
    points1: Floats,
    points2: Floats,
    threshold: float,
    max_iterations: int,
    confidence: float,
    estimator: int = cv2.RANSAC,
    repeats: int = 1,
) -> list[Floats | None]:
    """Do as `estimate_homography` for several orders of the matches, the given one first.

    RANSAC draws by position, so the order alone changes its result; the orders are always the same.
    """
    random = np.random.default_rng(0)
    orders = [np.arange(len(points1))]
    orders += [random.permutation(len(points1)) for _ in range(repeats - 1)]
    return [
        estimate_homography(
            points1[order], points2[order], threshold, max_iterations, confidence, estimator
        )
        for order in orders
    ]


def corner_error(estimate: Floats | None, homography: Floats, size: tuple[int, int]) -> float:
    """Mean distance between the corners of image 1 under two homographies [1]_.

    Parameters
    ----------
    estimate : (3, 3) array or None
    homography : (3, 3) array
        The truth.
    size : tuple of int
        (height, width) of image 1.

    Returns
    -------
    float
        Pixels in image 2; infinite if there is no estimate or it sends a corner to infinity.
    """
    if estimate is None:
        return float("inf")
    height, width = size
    corners = np.array(
        [[0, 0], [width - 1, 0], [width - 1, height - 1], [0, height - 1]], np.float64
    )
    difference = warp_points(corners, estimate) - warp_points(corners, homography)
    error = np.linalg.norm(difference, axis=1).mean()
    return float(error) if np.isfinite(error) else float("inf")


def correctness(errors: ArrayLike, threshold: float) -> float:
    """Share of pairs whose homography is correct, i.e. has a small enough corner error [1]_.

    Parameters
    ----------
    errors : (P,) array
        Corner error of every pair, infinite where the estimation failed.
    threshold : float
        Pixels; an error equal to it is correct.

    Returns
    -------
    float
        In [0, 1].
    """
    return float(np.mean(np.asarray(errors) <= threshold))


def area_under_curve(errors: ArrayLike, threshold: float) -> float:
    """Area under the curve of correctness over threshold, divided by the threshold [3]_.

    The curve joins (0, 0) and the points (i-th smallest error, i / P) by straight lines and stays
    level from the last error below the threshold on. This is how published numbers are computed;
    the area under the step curve is smaller by up to 1 / (2 P).

    Parameters
    ----------
    errors : (P,) array
        Corner error of every pair, infinite where the estimation failed.
    threshold : float
        Pixels.

    Returns
    -------
    float
        In [0, 1].
    """
    ordered = np.sort(np.asarray(errors, np.float64))
    below = ordered[ordered < threshold]
    x = np.concatenate([[0.0], below, [threshold]])
    y = np.arange(len(below) + 1) / len(ordered)
    y = np.append(y, y[-1])
    return float(np.sum(np.diff(x) * (y[1:] + y[:-1]) / 2) / threshold)


def _inside(points: Floats, size: tuple[int, int]) -> NDArray[np.bool_]:
    # Pixels are squares around their centres, so an image reaches from -1/2 to its side - 1/2.
    height, width = size
    return np.all((points >= -0.5) & (points < np.array([width, height]) - 0.5), axis=1)

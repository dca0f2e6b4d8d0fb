"""The metrics of one pair of images under a protocol."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..common import metrics
from ..common.datasets import Image
from ..common.features import Features
from . import descriptor_metrics
from .protocol import ESTIMATORS, Protocol


@dataclass(frozen=True)
class View:
    """The images of a sequence at one size, with homographies from image 1 and features.

    Attributes
    ----------
    given : list of (3, 3) arrays
        The homographies of the data.
    homographies : list of (3, 3) arrays
        Those that count: the given ones, or aligned.
    """

    images: list[Image]
    given: list[NDArray[np.float64]]
    homographies: list[NDArray[np.float64]]
    features: list[Features]


def match(view: View, k: int) -> NDArray[np.intp]:
    """Match image 1 and image k by mutual nearest neighbours: (M, 2) indices of their points."""
    first, second = view.features[0], view.features[k]
    assert first.norm is not None
    return metrics.mutual_nearest_neighbours(first.descriptors, second.descriptors, first.norm)


def score_matches(view: View, k: int, protocol: Protocol) -> dict[str, Any]:
    """Score image 1 and image k at the size for homographies: fields of a `PairRecord`."""
    first, second, homography = view.features[0], view.features[k], view.homographies[k]
    if first.norm is None:
        return {
            "matches": None,
            "corner_errors": [],
            "matching_accuracy": {},
            "matching_score": None,
            "average_precision": None,
        }
    pairs = match(view, k)
    matched1, matched2 = first.points[pairs[:, 0]], second.points[pairs[:, 1]]
    size1, size2 = _size(view.images[0]), _size(view.images[k])
    return {
        "matches": len(pairs),
        "corner_errors": [
            metrics.corner_error(estimate, homography, size1)
            for estimate in metrics.estimate_homographies(
                matched1,
                matched2,
                protocol.ransac_threshold,
                protocol.ransac_iterations,
                protocol.ransac_confidence,
                ESTIMATORS[protocol.estimator],
                protocol.ransac_repeats,
            )
        ],
        "matching_accuracy": {
            threshold: metrics.matching_accuracy(matched1, matched2, homography, threshold)
            for threshold in protocol.mma_thresholds
        },
        "matching_score": descriptor_metrics.matching_score(
            first.points,
            second.points,
            pairs,
            homography,
            size1,
            size2,
            protocol.descriptor_threshold,
        ),
        "average_precision": descriptor_metrics.nearest_neighbour_average_precision(
            first.points,
            second.points,
            first.descriptors,
            second.descriptors,
            first.norm,
            homography,
            size1,
            size2,
            protocol.descriptor_threshold,
        ),
    }


def error_of_data(view: View, k: int) -> float:
    """Return the corner error of the given homography by that which counts, pixels."""
    return metrics.corner_error(view.given[k], view.homographies[k], _size(view.images[0]))


def score_detection(view: View, k: int, protocol: Protocol) -> tuple[float, float]:
    """Score image 1 and image k at their size: repeatability and localisation error."""
    return metrics.repeatability(
        view.features[0].points,
        view.features[k].points,
        view.homographies[k],
        protocol.repeatability_size,
        protocol.repeatability_threshold,
    )


def _size(image: Image) -> tuple[int, int]:
    return image.shape[0], image.shape[1]

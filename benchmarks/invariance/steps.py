"""A photograph matched with itself, changed step by step: records, and their summary per step."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from tqdm import tqdm

from ..common import metrics
from ..common.datasets import Image
from ..common.detectors import Detector
from ..common.features import Features, extract
from .views import View


@dataclass(frozen=True)
class Protocol:
    """Constants of matching; thresholds in pixels."""

    points: int = 500
    match_threshold: float = 3
    corner_threshold: float = 3
    ransac_threshold: float = 3
    ransac_iterations: int = 10_000
    ransac_confidence: float = 0.9999
    ransac_repeats: int = 1


@dataclass(frozen=True)
class Record:
    """A method's result on one photograph at one step; errors in pixels of the changed picture."""

    method: str
    photograph: str
    step: float
    matches: int
    correct: int
    corner_error: float


@dataclass(frozen=True)
class Summary:
    """The records of a method at a step.

    Attributes
    ----------
    photographs : int
    homographies : int
        So many of the photographs have a correct one.
    correct_share : float
        Mean over the photographs; one without matches counts 0.
    correct_matches : float
        Median over the photographs.
    """

    method: str
    step: float
    photographs: int
    homographies: int
    correct_share: float
    correct_matches: float


def run_steps(
    methods: Mapping[str, Detector],
    photographs: Mapping[str, Image],
    steps: Sequence[float],
    view: Callable[[Image, float], View],
    protocol: Protocol,
) -> list[Record]:
    """Match every photograph as it is at the first step with itself at every step.

    Parameters
    ----------
    methods : mapping of str to Detector
        With descriptors.
    photographs : mapping of str to (H, W) uint8 array
    steps : sequence of float
        The first is the unchanged photograph.
    view : callable
        Shows a photograph at a step.
    protocol : Protocol
    """
    records = []
    for name, photograph in tqdm(photographs.items(), unit="photograph"):
        views = [view(photograph, step) for step in steps]
        for method, detector in methods.items():
            found = [extract_inside(detector, seen, protocol.points) for seen in views]
            for step, seen, features in zip(steps, views, found, strict=True):
                size = views[0].image.shape
                result = compare(found[0], features, seen.homography, size, protocol)
                records.append(Record(method, name, step, *result[:2], result[2][0]))
    return records


def extract_inside(detector: Detector, view: View, count: int) -> Features:
    """Return the features that count: the strongest so many, then of those the ones inside."""
    found = extract(detector, view.image, count)
    height, width = view.image.shape
    centre = ((width - 1) / 2, (height - 1) / 2)
    inside = np.linalg.norm(found.points - centre, axis=1) <= view.radius
    return replace(found, points=found.points[inside], descriptors=found.descriptors[inside])


def compare(
    first: Features,
    second: Features,
    homography: metrics.Floats,
    size: tuple[int, int],
    protocol: Protocol,
) -> tuple[int, int, list[float]]:
    """Match two views.

    Parameters
    ----------
    first, second : Features
    homography : (3, 3) array
        From the first view to the second.
    size : tuple of int
        (height, width) of the first view.
    protocol : Protocol

    Returns
    -------
    matches, correct : int
    corner_errors : list of float
        In pixels of the second view, one per order of the matches.
    """
    assert first.norm is not None
    pairs = metrics.mutual_nearest_neighbours(first.descriptors, second.descriptors, first.norm)
    matched1, matched2 = first.points[pairs[:, 0]], second.points[pairs[:, 1]]
    share = metrics.matching_accuracy(matched1, matched2, homography, protocol.match_threshold)
    estimates = metrics.estimate_homographies(
        matched1,
        matched2,
        protocol.ransac_threshold,
        protocol.ransac_iterations,
        protocol.ransac_confidence,
        repeats=protocol.ransac_repeats,
    )
    errors = [metrics.corner_error(estimate, homography, size) for estimate in estimates]
    return len(pairs), round(share * len(pairs)), errors


def summarise(records: Sequence[Record], protocol: Protocol) -> list[Summary]:
    """Summarise the photographs, per step and method."""
    summaries = []
    for step, method in dict.fromkeys((r.step, r.method) for r in records):
        same = [r for r in records if (r.step, r.method) == (step, method)]
        summaries.append(
            Summary(
                method,
                step,
                photographs=len(same),
                homographies=sum(r.corner_error <= protocol.corner_threshold for r in same),
                correct_share=float(np.mean([r.correct / max(1, r.matches) for r in same])),
                correct_matches=float(np.median([r.correct for r in same])),
            )
        )
    return summaries

"""Methods over sequences: one record per image and pair, and a table of their means."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from time import perf_counter
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from . import datasets, metrics
from .detectors import Detector, Factory


@dataclass(frozen=True)
class Protocol:
    """Every constant that the numbers depend on; sizes are (height, width).

    RANSAC draws by position, so the order of the matches alone moves the homography figures of a
    few pairs; `ransac_repeats` above 1 averages over that many orders (the first is the method's).

    Repeatability follows the SuperPoint paper (see `metrics`); so do the size and the number of
    points for homographies.
    """

    size: tuple[int, int] = (480, 640)
    points: int = 1000
    ransac_threshold: float = 3
    ransac_iterations: int = 10_000
    ransac_confidence: float = 0.9999
    ransac_repeats: int = 1
    homography_thresholds: tuple[int, ...] = (1, 3, 5)
    auc_thresholds: tuple[int, ...] = (3,)
    mma_thresholds: tuple[int, ...] = (1, 3, 5)
    repeatability_size: tuple[int, int] = (240, 320)
    repeatability_points: int = 300
    repeatability_threshold: float = 3


RULES = (
    "images in grey, resized with their ratio kept (area average, or linear where enlarged), "
    "centre crop; strongest points by response; mutual nearest neighbours in the method's norm; "
    "homographies by OpenCV's RANSAC; means over pairs, median time"
)


@dataclass(frozen=True)
class ImageRecord:
    """What a method did on one image at the size of the homography protocol."""

    method: str
    sequence: str
    image: str
    keypoints: int
    milliseconds: float


@dataclass(frozen=True)
class PairRecord:
    """A method's result on image 1 and another image of a sequence."""

    method: str
    sequence: str
    image: str
    matches: int
    corner_errors: list[float]
    matching_accuracy: dict[int, float]
    repeatability: float
    localisation_error: float


@dataclass(frozen=True)
class Features:
    """Keypoints (N, 2) in pixels of the image, with their descriptors (N, D)."""

    points: NDArray[np.float64]
    descriptors: NDArray[Any]
    milliseconds: float


def run(
    methods: Mapping[str, Factory],
    sequences: Sequence[datasets.Sequence],
    protocol: Protocol,
) -> tuple[list[ImageRecord], list[PairRecord]]:
    """Evaluate every method on every pair (image 1, image k) of every sequence.

    Parameters
    ----------
    methods : mapping of str to Factory
        Name of each method and the callable that makes it.
    sequences : sequence of datasets.Sequence
    protocol : Protocol

    Returns
    -------
    images : list of ImageRecord
    pairs : list of PairRecord
    """
    detectors = {
        name: (make(protocol.points), make(protocol.repeatability_points))
        for name, make in methods.items()
    }
    images: list[ImageRecord] = []
    pairs: list[PairRecord] = []
    for sequence in tqdm(sequences, desc="HPatches", unit="sequence"):
        names = [path.name for path in sequence.images]
        large_images, large_homographies = sequence.load(protocol.size)
        small_images, small_homographies = sequence.load(protocol.repeatability_size)
        for method, (many, few) in detectors.items():
            large = [extract(many, image, protocol.points) for image in large_images]
            small = [extract(few, image, protocol.repeatability_points) for image in small_images]
            images += [
                ImageRecord(method, sequence.name, name, len(f.points), f.milliseconds)
                for name, f in zip(names, large, strict=True)
            ]
            pairs += [
                PairRecord(
                    method,
                    sequence.name,
                    names[k],
                    **_evaluate_matches(
                        large[0], large[k], large_homographies[k], many.defaultNorm(), protocol
                    ),
                    **_evaluate_detection(small[0], small[k], small_homographies[k], protocol),
                )
                for k in range(1, len(names))
            ]
    return images, pairs


def extract(detector: Detector, image: NDArray[np.uint8], count: int) -> Features:
    """Detect and describe, and keep the `count` keypoints of the largest response.

    A detector may return more than it was asked for (SIFT does where responses tie), and methods
    are comparable only at the same number of points.
    """
    start = perf_counter()
    keypoints, descriptors = detector.detectAndCompute(image, None)
    milliseconds = 1000 * (perf_counter() - start)
    if descriptors is None:
        return Features(np.empty((0, 2)), np.empty((0, 0), np.uint8), milliseconds)
    strongest = np.argsort([-k.response for k in keypoints], kind="stable")[:count]
    # RANSAC draws by position, so the detector's own order is left as it is.
    kept = np.sort(strongest)
    points = np.array([k.pt for k in keypoints], np.float64)
    return Features(points[kept], descriptors[kept], milliseconds)


def _evaluate_matches(
    features1: Features,
    features2: Features,
    homography: NDArray[np.float64],
    norm: int,
    protocol: Protocol,
) -> dict[str, Any]:
    pairs = metrics.mutual_nearest_neighbours(features1.descriptors, features2.descriptors, norm)
    matched1, matched2 = features1.points[pairs[:, 0]], features2.points[pairs[:, 1]]
    random = np.random.default_rng(0)
    orders = [np.arange(len(pairs))]
    orders += [random.permutation(len(pairs)) for _ in range(protocol.ransac_repeats - 1)]
    estimates = [
        metrics.estimate_homography(
            matched1[order],
            matched2[order],
            protocol.ransac_threshold,
            protocol.ransac_iterations,
            protocol.ransac_confidence,
        )
        for order in orders
    ]
    return {
        "matches": len(pairs),
        "corner_errors": [
            metrics.corner_error(estimate, homography, protocol.size) for estimate in estimates
        ],
        "matching_accuracy": {
            threshold: metrics.matching_accuracy(matched1, matched2, homography, threshold)
            for threshold in protocol.mma_thresholds
        },
    }


def _evaluate_detection(
    features1: Features,
    features2: Features,
    homography: NDArray[np.float64],
    protocol: Protocol,
) -> dict[str, Any]:
    repeatability, localisation_error = metrics.repeatability(
        features1.points,
        features2.points,
        homography,
        protocol.repeatability_size,
        protocol.repeatability_threshold,
    )
    return {"repeatability": repeatability, "localisation_error": localisation_error}


def summarise(
    images: Iterable[ImageRecord], pairs: Sequence[PairRecord], protocol: Protocol
) -> dict[str, float]:
    """Average the records of one method into the columns of the table.

    Every pair counts the same. The localisation error is over the pairs with a repeated point;
    the time is the median, so that a first call that loads a network does not show.
    """
    errors = [error for pair in pairs for error in pair.corner_errors]
    localisation_errors = [pair.localisation_error for pair in pairs if pair.repeatability > 0]
    return {
        **{f"H@{t}": metrics.correctness(errors, t) for t in protocol.homography_thresholds},
        **{f"AUC@{t}": metrics.area_under_curve(errors, t) for t in protocol.auc_thresholds},
        **{
            f"MMA@{t}": float(np.mean([pair.matching_accuracy[t] for pair in pairs]))
            for t in protocol.mma_thresholds
        },
        "repeatability": float(np.mean([pair.repeatability for pair in pairs])),
        "loc. error": float(np.mean(localisation_errors)) if localisation_errors else float("nan"),
        "ms/image": float(np.median([image.milliseconds for image in images])),
        "pairs": len(pairs),
    }


def format_table(
    images: Sequence[ImageRecord],
    pairs: Sequence[PairRecord],
    protocol: Protocol,
    per_sequence: bool = False,
) -> str:
    """Lay out a row per method, or one per sequence and method."""

    def row_name(record: ImageRecord | PairRecord) -> str:
        return f"{record.sequence} {record.method}" if per_sequence else record.method

    rows = []
    for name in dict.fromkeys(map(row_name, pairs)):
        summary = summarise(
            [image for image in images if row_name(image) == name],
            [pair for pair in pairs if row_name(pair) == name],
            protocol,
        )
        rows.append({"method": name} | {key: _format(value) for key, value in summary.items()})
    header = {key: key for key in rows[0]}
    widths = {key: max(len(row[key]) for row in [header, *rows]) for key in header}
    return "\n".join(
        "  ".join(
            text.ljust(widths[key]) if key == "method" else text.rjust(widths[key])
            for key, text in row.items()
        )
        for row in [header, *rows]
    )


def _format(value: float) -> str:
    return str(value) if isinstance(value, int) else f"{value:.3f}"

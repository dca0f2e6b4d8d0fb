"""``python -m benchmarks rotation`` and ``scale``: matching of photographs turned, and shrunk."""

import argparse
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray
from tqdm import tqdm

from . import metrics
from .detectors import METHODS, Detector, UnknownMethodError, find_factory
from .photographs import PhotographError, read_photographs
from .tables import format_table, write_csv
from .views import View, shrink, turn

Image = NDArray[np.uint8]
Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Protocol:
    """Every constant that the numbers depend on; sizes are (height, width), thresholds pixels."""

    points: int = 500
    rotation_size: tuple[int, int] = (320, 320)
    scale_size: tuple[int, int] = (480, 640)
    match_threshold: float = 3
    corner_threshold: float = 3
    ransac_threshold: float = 3
    ransac_iterations: int = 10_000
    ransac_confidence: float = 0.9999


PROTOCOL = Protocol()

MATCHING = (
    "Strongest points by response; mutual nearest neighbours in the method's norm; homographies by "
    "OpenCV's RANSAC. A match is correct within 3 pixels, a homography if its corners are off by "
    "at most 3 pixels on average, both in the turned or smaller picture. Pictures: grey, resized "
    "with their ratio kept and cropped; without --data those of scikit-image."
)

ROTATION = (
    "Photographs turned about their centre. Every view is a square cut from the middle of a larger "
    "picture, so that none shows a border, and only the points in the circle that fits the square "
    "count, so that all views share all of the scene that counts. "
)

SCALE = (
    "Whole photographs against themselves made so many times smaller, by averages of areas: both "
    "show the same scene, the smaller one with fewer pixels. "
)


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
    """The records of a method at a step; shares are means over the photographs."""

    method: str
    step: float
    photographs: int
    median_matches: float
    mean_matches: float
    median_correct: float
    mean_correct: float
    correct_share: float
    homography_share: float


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
            found = [_extract(detector, seen, protocol.points) for seen in views]
            for step, seen, features in zip(steps, views, found, strict=True):
                norm = detector.defaultNorm()
                result = _compare(found[0], features, norm, seen.homography, views[0], protocol)
                records.append(Record(method, name, step, *result))
    return records


def _extract(detector: Detector, view: View, count: int) -> tuple[Floats, NDArray[Any]]:
    """Return the points (N, 2) and descriptors (N, D) that count, at most so many."""
    keypoints, descriptors = detector.detectAndCompute(view.image, None)
    if descriptors is None:
        return np.empty((0, 2)), np.empty((0, 0), np.uint8)
    points = np.array([k.pt for k in keypoints], np.float64)
    # A detector may return more than it was asked for; RANSAC draws by position, so that the
    # detector's own order is left as it is.
    kept = np.sort(np.argsort([-k.response for k in keypoints], kind="stable")[:count])
    height, width = view.image.shape
    centre = ((width - 1) / 2, (height - 1) / 2)
    kept = kept[np.linalg.norm(points[kept] - centre, axis=1) <= view.radius]
    return points[kept], descriptors[kept]


def _compare(
    first: tuple[Floats, NDArray[Any]],
    second: tuple[Floats, NDArray[Any]],
    norm: int,
    homography: Floats,
    reference: View,
    protocol: Protocol,
) -> tuple[int, int, float]:
    """Return matches, correct matches and corner error."""
    pairs = metrics.mutual_nearest_neighbours(first[1], second[1], norm)
    matched1, matched2 = first[0][pairs[:, 0]], second[0][pairs[:, 1]]
    share = metrics.matching_accuracy(matched1, matched2, homography, protocol.match_threshold)
    estimate = metrics.estimate_homography(
        matched1,
        matched2,
        protocol.ransac_threshold,
        protocol.ransac_iterations,
        protocol.ransac_confidence,
    )
    height, width = reference.image.shape
    error = metrics.corner_error(estimate, homography, (height, width))
    return len(pairs), round(share * len(pairs)), error


def summarise(records: Sequence[Record], protocol: Protocol) -> list[Summary]:
    """Summarise the photographs, per step and method.

    The share of correct matches is 0 for a photograph without matches.
    """
    summaries = []
    for step, method in dict.fromkeys((r.step, r.method) for r in records):
        same = [r for r in records if (r.step, r.method) == (step, method)]
        matches, correct = [r.matches for r in same], [r.correct for r in same]
        summaries.append(
            Summary(
                method,
                step,
                photographs=len(same),
                median_matches=float(np.median(matches)),
                mean_matches=float(np.mean(matches)),
                median_correct=float(np.median(correct)),
                mean_correct=float(np.mean(correct)),
                correct_share=float(np.mean([r.correct / max(1, r.matches) for r in same])),
                homography_share=metrics.correctness(
                    [r.corner_error for r in same], protocol.corner_threshold
                ),
            )
        )
    return summaries


def format_summaries(summaries: Sequence[Summary], unit: str) -> str:
    """Lay out a row per step, and a last one with the means over the steps."""
    methods = list(dict.fromkeys(s.method for s in summaries))

    def cell(same: Sequence[Summary]) -> str:
        means = np.mean([(s.median_correct, s.correct_share, s.homography_share) for s in same], 0)
        return f"{means[0]:.0f}  {means[1]:.2f}  {means[2]:.2f}"

    def row(title: str, chosen: Sequence[Summary]) -> dict[str, str]:
        cells = {m: cell([s for s in chosen if s.method == m]) for m in methods}
        return {unit: title} | cells

    steps = dict.fromkeys(s.step for s in summaries)
    rows = [row(f"{step:g}", [s for s in summaries if s.step == step]) for step in steps]
    return format_table([*rows, row("mean", summaries)])


def plot(path: Path, summaries: Sequence[Summary], unit: str) -> None:
    """Draw what `format_summaries` prints, as a PNG."""
    panels = {
        "median_correct": "correct matches (median)",
        "correct_share": "share of correct matches",
        "homography_share": "share of correct homographies",
    }
    figure = Figure(figsize=(12, 3.6), layout="constrained")
    for axes, (column, title) in zip(figure.subplots(1, 3), panels.items(), strict=True):
        for method in dict.fromkeys(s.method for s in summaries):
            same = [s for s in summaries if s.method == method]
            axes.plot(
                [s.step for s in same], [getattr(s, column) for s in same], ".-", label=method
            )
        axes.set(title=title, xlabel=unit, ylim=(0, None if column == "median_correct" else 1.03))
        axes.grid(alpha=0.3)
    figure.legend(*axes.get_legend_handles_labels(), loc="outside right center")
    figure.savefig(path, dpi=120)


def add_command(commands: Any) -> None:
    """Add both commands to those of an argument parser."""
    rotation = commands.add_parser(
        "rotation", help="matching of turned photographs", description=ROTATION + MATCHING
    )
    _add_options(rotation, "degrees", start=0, end=360, step=15)
    rotation.set_defaults(view=lambda p, degrees: turn(p, degrees, PROTOCOL.rotation_size))
    scale = commands.add_parser(
        "scale", help="matching of photographs of other sizes", description=SCALE + MATCHING
    )
    _add_options(scale, "times smaller", start=1, end=4, step=0.5)
    scale.set_defaults(view=lambda p, factor: shrink(p, factor, PROTOCOL.scale_size))


def _add_options(
    parser: argparse.ArgumentParser, unit: str, start: float, end: float, step: float
) -> None:
    parser.add_argument("--data", type=Path, metavar="DIR", help="a folder of pictures")
    parser.add_argument("--limit", type=int, metavar="N", help="at most so many pictures")
    parser.add_argument(
        "--methods",
        nargs="+",
        default=["ORB", "SIFT", "SuperPoint"],
        metavar="NAME",
        help=f"{', '.join(METHODS)}, or module:callable (default: ORB SIFT SuperPoint)",
    )
    parser.add_argument("--step", type=float, default=step, help=f"default: {step:g}")
    parser.add_argument("--to", type=float, default=end, help=f"the last step; default: {end:g}")
    name = parser.prog.split()[-1]
    parser.add_argument(
        "--out", type=Path, metavar="DIR", help=f"write {name}.csv, {name}_pairs.csv and {name}.png"
    )
    parser.set_defaults(run=run, fail=parser.error, name=name, unit=unit, start=start)


def run(options: argparse.Namespace) -> None:
    """Measure what the options name, and print and write it."""
    if options.step <= 0 or options.to < options.start:
        options.fail(f"--step must be above 0, and --to at least {options.start:g}")
    if options.limit is not None and options.limit < 1:
        options.fail("--limit must be at least 1")
    # The last step counts although steps such as 0.1 have no exact sum.
    steps = np.arange(options.start, options.to + options.step / 1000, options.step).tolist()
    try:
        methods = {name: find_factory(name)(PROTOCOL.points) for name in options.methods}
        photographs = read_photographs(options.data, options.limit)
    except (PhotographError, UnknownMethodError) as error:
        options.fail(str(error))
    records = run_steps(methods, photographs, steps, options.view, PROTOCOL)
    summaries = summarise(records, PROTOCOL)
    print(f"{len(photographs)} photographs; {asdict(PROTOCOL)}")
    print("Each: correct matches (median); their share of all matches; share of homographies that")
    print("are correct", end="\n\n")
    print(format_summaries(summaries, options.unit))
    if options.out:
        options.out.mkdir(parents=True, exist_ok=True)
        write_csv(options.out / f"{options.name}.csv", [asdict(s) for s in summaries])
        write_csv(options.out / f"{options.name}_pairs.csv", [asdict(r) for r in records])
        plot(options.out / f"{options.name}.png", summaries, options.unit)

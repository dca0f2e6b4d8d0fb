"""Pairs drawn with their matches, right ones and wrong ones, of two methods one below the other."""

import io
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure

from ..common import metrics
from ..common.datasets import Image, in_split
from ..common.detectors import is_ours
from .run import Job, PairRecord, find_view
from .scoring import View, match
from .summary import format_value

RIGHT, WRONG = "#4cc9ff", "#ff8c1a"  # also told apart by colour-blind eyes
_GAP = 8  # pixels between the two images


@dataclass(frozen=True)
class Choice:
    """A pair worth a look: "best", "median" or "worst" of the first of the methods."""

    rank: str
    sequence: str
    image: str


def choose_methods(methods: Sequence[str], pairs: Sequence[PairRecord]) -> list[str]:
    """Choose whom to draw: the first of ours and ORB, or what describes in their place."""
    described = {pair.method for pair in pairs if pair.matches is not None}
    able = [method for method in methods if method in described]
    wanted = [*filter(is_ours, able)][:1] + [method for method in able if method == "ORB"]
    return list(dict.fromkeys([*wanted, *able]))[:2]


def choose_pairs(method: str, pairs: Sequence[PairRecord], split: str) -> list[Choice]:
    """Choose the best, the median and the worst pair of a method in a split, by corner error.

    Where the first errors are equal, as those of failures are, the matching score decides.
    """
    ours = [p for p in pairs if p.method == method and in_split(p.sequence, split)]
    ours.sort(key=lambda pair: (pair.corner_errors[0], -(pair.matching_score or 0)))
    if not ours:
        return []
    places = {"best": 0, "median": len(ours) // 2, "worst": len(ours) - 1}
    return [Choice(rank, ours[i].sequence, ours[i].image) for rank, i in places.items()]


def draw(jobs: Sequence[Job], records: Sequence[PairRecord]) -> bytes:
    """Draw one pair, a panel per method, as a JPEG.

    Parameters
    ----------
    jobs : sequence of Job
        The methods to draw, all on the same sequence.
    records : sequence of PairRecord
        What each of them did on the same pair.
    """
    views = [find_view(job, job.protocol.size, job.protocol.points) for job in jobs]
    k = [path.name for path in jobs[0].sequence.images].index(records[0].image)
    canvas = _side_by_side(views[0].images[0], views[0].images[k])
    height = 10 * canvas.shape[0] / canvas.shape[1] + 0.35  # inches; the title's is the last term
    figure = Figure(figsize=(10, height * len(jobs)), layout="constrained")
    panels = figure.subplots(len(jobs), squeeze=False)[:, 0]
    for axes, job, view, record in zip(panels, jobs, views, records, strict=True):
        axes.imshow(canvas, cmap="gray", vmin=0, vmax=255)
        axes.axis("off")
        right, total = _draw_matches(axes, view, k, job.protocol.descriptor_threshold)
        error = record.corner_errors[0]
        corners = "no homography" if math.isinf(error) else f"corner error {error:.2f} px"
        score = format_value("M. score", record.matching_score)
        title = f"{job.method}: {right} of {total} matches right, {corners}, matching score {score}"
        axes.set_title(title, fontsize=10)
    stream = io.BytesIO()
    figure.savefig(
        stream,
        format="jpg",
        dpi=120,
        bbox_inches="tight",
        pad_inches=0.05,
        pil_kwargs={"quality": 85},
    )
    return stream.getvalue()


def _side_by_side(first: Image, second: Image) -> Image:
    height = max(len(first), len(second))
    canvas = np.full((height, first.shape[1] + _GAP + second.shape[1]), 255, np.uint8)
    canvas[: len(first), : first.shape[1]] = first
    canvas[: len(second), first.shape[1] + _GAP :] = second
    return canvas


def _draw_matches(axes: Axes, view: View, k: int, threshold: float) -> tuple[int, int]:
    pairs = match(view, k)
    points1 = view.features[0].points[pairs[:, 0]]
    points2 = view.features[k].points[pairs[:, 1]]
    warped = metrics.warp_points(points1, view.homographies[k])
    right = np.linalg.norm(warped - points2, axis=1) <= threshold
    lines = np.stack([points1, points2 + np.array([view.images[0].shape[1] + _GAP, 0])], axis=1)
    for chosen, colour in ((~right, WRONG), (right, RIGHT)):
        axes.add_collection(LineCollection(list(lines[chosen]), colors=colour, lw=0.5, alpha=0.4))
        ends = lines[chosen].reshape(-1, 2)
        axes.plot(ends[:, 0], ends[:, 1], ".", color=colour, markersize=2)
    return int(right.sum()), len(right)

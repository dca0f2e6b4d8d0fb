"""Time of a frame, memory over the size of the image, and accuracy over time."""

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np
from matplotlib.axes import Axes

from ..common.detectors import is_ours
from ..common.figures import Plot, set_logarithmic, style, wrap
from .cases import setting_of
from .memory import Footprints
from .report import name_of
from .tradeoff import Point

OURS, OTHERS = "#d1495b", "#7c8894"
STAGES = {
    "detect": ("ms", "#4477aa"),
    "match": ("ms_match", "#ccbb44"),
    "homography": ("ms_homography", "#ee6677"),
}
"""Of a frame: column of the report and colour."""


def frame_bars(rows: Sequence[dict[str, Any]]) -> list[Plot]:
    """Draw the `STAGES` of a frame as bars, a plot per setting, of the rows of a report."""

    def draw(same: Sequence[dict[str, Any]], axes: Axes) -> None:
        places, start = np.arange(len(same)), np.zeros(len(same))
        for stage, (column, colour) in STAGES.items():
            values = np.array([row[column] for row in same])
            bars = axes.barh(places, values, 0.7, start, label=stage, color=colour)
            start += values
        # The median of the frames, which is not the sum of the medians.
        axes.bar_label(bars, [f"{row['ms_frame']:.1f}" for row in same], padding=3, fontsize=9)
        axes.set_yticks(places, [wrap(name_of(row)) for row in same])
        axes.invert_yaxis()
        axes.grid(visible=False, axis="y")
        axes.margins(x=0.12)
        axes.set_xlabel("ms per frame (medians)")

    framed = [row for row in rows if row["ms_frame"] is not None]
    plots: list[Plot] = []
    for setting in dict.fromkeys(map(setting_of, framed)):
        same = [row for row in framed if setting_of(row) == setting]
        size = (5, 1 + 0.45 * len(same))
        plots.append(Plot(f"frame_{len(plots)}", setting, [partial(draw, same)], size))
    return plots


def footprint_curves(footprints: Footprints) -> Plot:
    """Draw peak memory and time over the size of the image; what was killed is missing."""
    methods = list(dict.fromkeys(case.method for case in footprints))

    def draw(field: str, label: str, axes: Axes) -> None:
        for method in methods:
            points = [
                (case.size[0] * case.size[1] / 1e6, getattr(found, field))
                for case, found in footprints.items()
                if case.method == method and found
            ]
            if points:
                axes.plot(*zip(*points, strict=True), label=method, **style(method, methods))
        axes.set(xlabel="megapixels", ylabel=label)
        set_logarithmic(axes, "x")
        set_logarithmic(axes, "y")

    panels = [partial(draw, "mib", "peak memory (MiB)"), partial(draw, "milliseconds", "time (ms)")]
    return Plot(
        "memory", "Ours are the solid lines; both axes are logarithmic.", panels, (4.8, 3.8)
    )


def accuracy_over_time(panels: Mapping[str, Sequence[Point]], conditions: str) -> Plot:
    """Draw a panel per accuracy, its methods as labelled points, time on a logarithmic axis.

    Parameters
    ----------
    panels : mapping of str to sequence of Point
        By title.
    conditions : str
        Of the times.
    """
    times = [point.milliseconds for points in panels.values() for point in points]

    def draw(title: str, axes: Axes) -> None:
        set_logarithmic(axes, "x")
        axes.set_xlim(min(times) / 1.8, max(times) * 1.8)
        axes.margins(y=0.25)
        axes.set_title(title, loc="left", fontsize=11, weight="bold")
        axes.set_xlabel(f"ms per frame: detect, match, homography\n{conditions}", color=OTHERS)
        _draw_points(axes, panels[title])

    caption = f"Accuracy over the time of a frame; {conditions}. Ours are red."
    return Plot(
        "accuracy-over-time", caption, [partial(draw, title) for title in panels], (6.2, 4.4)
    )


def _draw_points(axes: Axes, points: Sequence[Point]) -> None:
    for i, point in enumerate(points):
        ours = is_ours(point.method)
        colour, above = OURS if ours else OTHERS, i % 2 == 0
        axes.scatter(
            point.milliseconds,
            point.accuracy,
            s=90 if ours else 55,
            color=colour,
            zorder=3 + ours,
            edgecolor="white",
        )
        # Above and below by turns, so that labels of neighbours stay apart.
        axes.annotate(
            point.method.replace("[", "\n").rstrip("]"),
            (point.milliseconds, point.accuracy),
            xytext=(0, 8 if above else -8),
            textcoords="offset points",
            ha="center",
            va="bottom" if above else "top",
            color=colour,
            fontsize=8,
            weight="bold" if ours else "normal",
            zorder=5,
        )

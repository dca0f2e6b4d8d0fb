"""Accuracy over the time of a frame."""

from collections.abc import Mapping, Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullFormatter, ScalarFormatter

from ..common.detectors import is_ours
from ..common.figures import save
from .tradeoff import Point

OURS, OTHERS = "#d1495b", "#5b6770"


def accuracy_over_time(panels: Mapping[str, Sequence[Point]], conditions: str) -> bytes:
    """Draw a panel per accuracy, its methods as labelled points, time on a logarithmic axis.

    Parameters
    ----------
    panels : mapping of str to sequence of Point
        By title.
    conditions : str
        Of the times.

    Returns
    -------
    bytes
        A PNG.
    """
    figure = Figure(figsize=(5.2 * len(panels), 4.4), layout="constrained")
    drawn = figure.subplots(1, len(panels), squeeze=False, sharex=True)[0]
    for axes, (title, points) in zip(drawn, panels.items(), strict=True):
        _draw(axes, points)
        axes.set_title(title, loc="left", fontsize=11, weight="bold")
        axes.set_xlabel("ms per frame: detect, match, homography", color=OTHERS)
    times = [point.milliseconds for points in panels.values() for point in points]
    drawn[0].set_xlim(min(times) / 1.8, max(times) * 1.8)
    figure.supxlabel(conditions, fontsize=9, color=OTHERS)
    return save(figure)


def _draw(axes: Axes, points: Sequence[Point]) -> None:
    axes.set_xscale("log")
    axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axes.xaxis.set_major_formatter(ScalarFormatter())
    axes.xaxis.set_minor_formatter(NullFormatter())
    axes.margins(y=0.25)
    axes.grid(alpha=0.25)
    axes.spines[["top", "right"]].set_visible(False)
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
            fontsize=7.5,
            weight="bold" if ours else "normal",
            zorder=5,
        )

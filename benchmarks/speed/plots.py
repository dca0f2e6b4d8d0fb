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
    figure = Figure(figsize=(5.2 * len(panels), 4.2), layout="constrained")
    for axes, (title, points) in zip(
        figure.subplots(1, len(panels), squeeze=False)[0], panels.items(), strict=True
    ):
        _draw(axes, points)
        axes.set_title(title, loc="left", fontsize=11, weight="bold")
        axes.set_xlabel("ms per frame: detect, match, homography", color=OTHERS)
    figure.supxlabel(conditions, fontsize=9, color=OTHERS)
    return save(figure)


def _draw(axes: Axes, points: Sequence[Point]) -> None:
    times = [point.milliseconds for point in points]
    axes.set_xscale("log")
    axes.set_xlim(min(times) / 1.6, max(times) * 1.6)
    axes.set_ylim(0, 1.15 * max(point.accuracy for point in points))
    axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axes.xaxis.set_major_formatter(ScalarFormatter())
    axes.xaxis.set_minor_formatter(NullFormatter())
    axes.grid(alpha=0.25)
    axes.spines[["top", "right"]].set_visible(False)
    middle = (times[0] * times[-1]) ** 0.5
    for point in points:
        ours = is_ours(point.method)
        colour = OURS if ours else OTHERS
        axes.scatter(
            point.milliseconds,
            point.accuracy,
            s=90 if ours else 55,
            color=colour,
            zorder=3 + ours,
            edgecolor="white",
        )
        # Towards the middle, so that no label leaves the panel.
        left = point.milliseconds > middle
        axes.annotate(
            point.method.replace("[", "\n["),
            (point.milliseconds, point.accuracy),
            xytext=(-8 if left else 8, 5),
            textcoords="offset points",
            ha="right" if left else "left",
            color=colour,
            fontsize=9,
            weight="bold" if ours else "normal",
            zorder=5,
        )

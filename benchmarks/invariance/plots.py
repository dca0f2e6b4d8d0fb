"""Curves over rotation, tilt, scale and zoom."""

from collections.abc import Sequence
from functools import partial

from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator, MultipleLocator

from ..common.figures import Plot, style
from .steps import Summary
from .zoom import ROTATIONS, ZOOMS, ZoomSummary, mean_share


def curves_over_steps(name: str, summaries: Sequence[Summary], unit: str) -> Plot:
    """Correct homographies, share and number of correct matches, a panel each, over the steps."""
    methods = list(dict.fromkeys(summary.method for summary in summaries))
    steps = list(dict.fromkeys(summary.step for summary in summaries))
    count = summaries[0].photographs

    def draw(field: str, title: str, top: float | None, axes: Axes) -> None:
        for method in methods:
            values = [getattr(s, field) for s in summaries if s.method == method]
            axes.plot(steps, values, label=method, clip_on=False, **style(method, methods))
        axes.set(title=title, xlabel=unit, ylim=(0, top))
        axes.yaxis.set_major_locator(MaxNLocator(5, steps=[1, 2, 3, 5, 10]))
        if unit == "degrees":
            axes.xaxis.set_major_locator(MultipleLocator(45 if steps[-1] > 90 else 15))

    panels = [
        partial(draw, "homographies", f"correct homographies, of {count}", count),
        partial(draw, "correct_share", "share of correct matches", 1),
        partial(draw, "correct_matches", "correct matches (median)", None),
    ]
    return Plot(name, "Ours are the solid lines.", panels)


def shares_of_close_ups(summaries: Sequence[ZoomSummary]) -> Plot:
    """Share of correct homographies over zoom and over rotation, each averaged over the other."""
    methods = list(dict.fromkeys(summary.method for summary in summaries))

    def draw(field: str, values: Sequence[float], axes: Axes) -> None:
        for method in methods:
            shares = [mean_share(summaries, method=method, **{field: v}) for v in values]
            axes.plot(values, shares, label=method, clip_on=False, **style(method, methods))
        axes.set(xlabel=field, xticks=values, ylim=(0, 1), ylabel="share of correct homographies")

    panels = [partial(draw, "zoom", ZOOMS), partial(draw, "rotation", ROTATIONS)]
    caption = "Over zoom and over rotation, each averaged over the other. Ours are the solid lines."
    return Plot("zoom-rotation", caption, panels, (4.8, 3.8))

"""Curves over rotation, scale and zoom."""

from collections.abc import Sequence

from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, MultipleLocator

from ..common.figures import save_with_legend, style
from .steps import Summary
from .zoom import ROTATIONS, ZOOMS, ZoomSummary, mean_share


def curves_over_steps(summaries: Sequence[Summary], unit: str) -> bytes:
    """Correct homographies, share and number of correct matches over rotation or scale."""
    methods = list(dict.fromkeys(summary.method for summary in summaries))
    steps = list(dict.fromkeys(summary.step for summary in summaries))
    count = summaries[0].photographs
    panels = [
        ("homographies", f"correct homographies, of {count}", count),
        ("correct_share", "share of correct matches", 1),
        ("correct_matches", "correct matches (median)", None),
    ]
    figure = Figure(figsize=(12, 3.8), layout="constrained")
    drawn = list(figure.subplots(1, len(panels)))
    for axes, (field, title, top) in zip(drawn, panels, strict=True):
        for method in methods:
            values = [getattr(s, field) for s in summaries if s.method == method]
            axes.plot(steps, values, label=method, clip_on=False, **style(method, methods))
        axes.set(title=title, xlabel=unit, ylim=(0, top))
        axes.yaxis.set_major_locator(MaxNLocator(5, steps=[1, 2, 3, 5, 10]))
        if unit == "degrees":
            axes.xaxis.set_major_locator(MultipleLocator(45))
        axes.grid(alpha=0.3)
        axes.spines[["top", "right"]].set_visible(False)
    return save_with_legend(figure, drawn)


def shares_of_close_ups(summaries: Sequence[ZoomSummary]) -> bytes:
    """Share of correct homographies over zoom and over rotation, each averaged over the other."""
    methods = list(dict.fromkeys(summary.method for summary in summaries))
    figure = Figure(figsize=(9, 4), layout="constrained")
    drawn = list(figure.subplots(1, 2, sharey=True))
    for axes, (field, values) in zip(
        drawn, {"zoom": ZOOMS, "rotation": ROTATIONS}.items(), strict=True
    ):
        for method in methods:
            shares = [mean_share(summaries, method=method, **{field: v}) for v in values]
            axes.plot(values, shares, label=method, clip_on=False, **style(method, methods))
        axes.set(xlabel=field, xticks=values, ylim=(0, 1))
        axes.grid(alpha=0.3)
        axes.spines[["top", "right"]].set_visible(False)
    drawn[0].set_ylabel("share of correct homographies")
    return save_with_legend(figure, drawn)

"""The plots: each function takes records or rows and returns a PNG's bytes."""

import io
import math
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, MultipleLocator, ScalarFormatter

from . import metrics
from .accuracy import PairRecord
from .detectors import is_ours
from .protocol import Protocol
from .steps import Summary
from .summary import Row

Splits = dict[str, dict[str, Row]]

# The ten strong colours first, then their pale versions.
_COLOURS = [colormaps["tab20"](i) for i in [*range(0, 20, 2), *range(1, 20, 2)]]
_CURVE = np.linspace(0, 10, 1001)


def mma_curves(splits: Splits, protocol: Protocol) -> bytes:
    """MMA over threshold, a panel per split."""
    figure, panels = _panels(splits, "threshold (px)", "MMA")
    for axes, rows in zip(panels, splits.values(), strict=True):
        for name, row in rows.items():
            values = [row[f"MMA@{t}"] for t in protocol.mma_thresholds]
            if not np.isnan(values).all():
                style = _style(name, rows)
                axes.plot(protocol.mma_thresholds, values, label=name, clip_on=False, **style)
        axes.set_xticks(protocol.mma_thresholds)
        axes.set_xlim(left=min(protocol.mma_thresholds) - 0.5)
    return _save_with_legend(figure, panels)


def homography_curves(pairs: Sequence[PairRecord], splits: Splits) -> bytes:
    """Share of correct homographies over the threshold of the corner error, a panel per split."""
    figure, panels = _panels(splits, "threshold of the corner error (px)", "correct homographies")
    for axes, (split, rows) in zip(panels, splits.items(), strict=True):
        for name in rows:
            errors = [
                error
                for pair in pairs
                if pair.method == name and (split == "all" or pair.sequence[0] == split[0])
                for error in pair.corner_errors
            ]
            if errors:
                shares = [metrics.correctness(errors, t) for t in _CURVE]
                style = _style(name, rows) | {"marker": ""}
                axes.plot(_CURVE, shares, label=name, clip_on=False, **style)
    return _save_with_legend(figure, panels)


def repeatability_bars(splits: Splits) -> bytes:
    """Repeatability of every method, by split."""
    names = list(splits["all"])
    figure = Figure(figsize=(max(6, 1.3 * len(names)), 3.6), layout="constrained")
    axes = figure.subplots()
    kinds = [split for split in splits if split != "all"]
    for i, split in enumerate(kinds):
        x = np.arange(len(names)) + (i - (len(kinds) - 1) / 2) * 0.38
        values = [splits[split][name]["repeatability"] for name in names]
        bars = axes.bar(x, values, 0.36, label=split, color=("#4477aa", "#ccbb44")[i])
        labels = ["" if math.isnan(value) else f"{value:.2f}" for value in values]
        axes.bar_label(bars, labels, fontsize=8, padding=1)
    axes.set_xticks(range(len(names)), names, rotation=20 if len(names) > 3 else 0)
    axes.set(ylabel="repeatability", ylim=(0, 1.05))
    axes.grid(axis="y", alpha=0.3)
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False, ncols=2, loc="upper right", bbox_to_anchor=(1, 1.15))
    return _save(figure)


def time_against_accuracy(splits: Splits) -> bytes:
    """Time per image against H@3, a dot per method that describes."""
    rows = {name: row for name, row in splits["all"].items() if not math.isnan(row["H@3"])}
    figure = Figure(figsize=(7.5, 4), layout="constrained")
    axes = figure.subplots()
    for name, row in rows.items():
        style = _style(name, splits["all"]) | {"markersize": 8, "linestyle": ""}
        axes.plot(row["ms/image"], row["H@3"], label=name, **style)
    axes.set(xscale="log", xlabel="median time per image (ms, log scale)", ylabel="H@3")
    axes.xaxis.set_major_formatter(ScalarFormatter())
    axes.margins(0.15)
    axes.grid(alpha=0.3, which="both")
    axes.spines[["top", "right"]].set_visible(False)
    if rows:
        figure.legend(loc="outside right upper", frameon=False)
    return _save(figure)


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
            axes.plot(steps, values, label=method, clip_on=False, **_style(method, methods))
        axes.set(title=title, xlabel=unit, ylim=(0, top))
        axes.yaxis.set_major_locator(MaxNLocator(5, steps=[1, 2, 3, 5, 10]))
        if unit == "degrees":
            axes.xaxis.set_major_locator(MultipleLocator(45))
        axes.grid(alpha=0.3)
        axes.spines[["top", "right"]].set_visible(False)
    return _save_with_legend(figure, drawn)


def _style(name: str, names: Iterable[str]) -> dict[str, Any]:
    index = list(names).index(name)
    ours = is_ours(name)
    return {
        "color": _COLOURS[index % len(_COLOURS)],
        "linewidth": 2.4 if ours else 1.4,
        "linestyle": "-" if ours else "--",
        "marker": "o" if ours else "s",
        "markersize": 4,
    }


def _panels(splits: Splits, x: str, y: str) -> tuple[Figure, list[Axes]]:
    figure = Figure(figsize=(4 * len(splits), 3.8), layout="constrained")
    panels = list(figure.subplots(1, len(splits), sharey=True))
    for axes, (split, rows) in zip(panels, splits.items(), strict=True):
        count = max((row["pairs"] for row in rows.values()), default=0)
        axes.set(title=f"{split} ({count} pairs)", xlabel=x, ylim=(0, 1), xlim=(0, 10))
        axes.grid(alpha=0.3)
        axes.spines[["top", "right"]].set_visible(False)
    panels[0].set_ylabel(y)
    return figure, panels


def _save_with_legend(figure: Figure, panels: Sequence[Axes]) -> bytes:
    handles, labels = panels[0].get_legend_handles_labels()
    if handles:
        figure.legend(handles, labels, loc="outside lower center", ncols=6, frameon=False)
    return _save(figure)


def _save(figure: Figure) -> bytes:
    stream = io.BytesIO()
    figure.savefig(stream, format="png", dpi=150)
    return stream.getvalue()

"""The plots: each function takes records or rows and returns a PNG's bytes."""

import math
from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import ScalarFormatter

from ..common import metrics
from ..common.datasets import in_split
from ..common.figures import save, save_with_legend, style
from .protocol import Protocol
from .run import PairRecord
from .summary import Row

Splits = dict[str, dict[str, Row]]

_CURVE = np.linspace(0, 10, 1001)


def mma_curves(splits: Splits, protocol: Protocol) -> bytes:
    """MMA over threshold, a panel per split."""
    figure, panels = _panels(splits, "threshold (px)", "MMA")
    for axes, rows in zip(panels, splits.values(), strict=True):
        for name, row in rows.items():
            values = [row[f"MMA@{t}"] for t in protocol.mma_thresholds]
            if not np.isnan(values).all():
                look = style(name, rows)
                axes.plot(protocol.mma_thresholds, values, label=name, clip_on=False, **look)
        axes.set_xticks(protocol.mma_thresholds)
        axes.set_xlim(left=min(protocol.mma_thresholds) - 0.5)
    return save_with_legend(figure, panels)


def homography_curves(pairs: Sequence[PairRecord], splits: Splits) -> bytes:
    """Share of correct homographies over the threshold of the corner error, a panel per split."""
    figure, panels = _panels(splits, "threshold of the corner error (px)", "correct homographies")
    for axes, (split, rows) in zip(panels, splits.items(), strict=True):
        for name in rows:
            errors = [
                error
                for pair in pairs
                if pair.method == name and in_split(pair.sequence, split)
                for error in pair.corner_errors
            ]
            if errors:
                shares = [metrics.correctness(errors, t) for t in _CURVE]
                look = style(name, rows) | {"marker": ""}
                axes.plot(_CURVE, shares, label=name, clip_on=False, **look)
    return save_with_legend(figure, panels)


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
    return save(figure)


def time_against_accuracy(splits: Splits) -> bytes:
    """Time per image against H@3, a dot per method that describes."""
    rows = {name: row for name, row in splits["all"].items() if not math.isnan(row["H@3"])}
    figure = Figure(figsize=(7.5, 4), layout="constrained")
    axes = figure.subplots()
    for name, row in rows.items():
        look = style(name, splits["all"]) | {"markersize": 8, "linestyle": ""}
        axes.plot(row["ms/image"], row["H@3"], label=name, **look)
    axes.set(xscale="log", xlabel="median time per image (ms, log scale)", ylabel="H@3")
    axes.xaxis.set_major_formatter(ScalarFormatter())
    axes.margins(0.15)
    axes.grid(alpha=0.3, which="both")
    axes.spines[["top", "right"]].set_visible(False)
    if rows:
        figure.legend(loc="outside right upper", frameon=False)
    return save(figure)


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

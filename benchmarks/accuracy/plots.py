"""The plots of a run: records or rows -> panels."""

import math
from collections.abc import Sequence
from functools import partial

import numpy as np
from matplotlib.axes import Axes

from ..common import metrics
from ..common.datasets import in_split
from ..common.figures import Plot, set_logarithmic, style, wrap
from .protocol import Protocol
from .run import PairRecord
from .summary import Row

Splits = dict[str, dict[str, Row]]

_CURVE = np.linspace(0, 10, 1001)


def mma_curves(splits: Splits, protocol: Protocol) -> Plot:
    """MMA over threshold, a panel per split."""

    def draw(split: str, axes: Axes) -> None:
        rows = splits[split]
        for name, row in rows.items():
            values = [row[f"MMA@{t}"] for t in protocol.mma_thresholds]
            if not np.isnan(values).all():
                look = style(name, rows)
                axes.plot(protocol.mma_thresholds, values, label=name, clip_on=False, **look)
        _set_shares(axes, _title(split, rows), "threshold (px)", "MMA")
        axes.set_xticks(protocol.mma_thresholds)
        axes.set_xlim(left=min(protocol.mma_thresholds) - 0.5)

    caption = "Mean matching accuracy over threshold. Ours are the solid lines."
    return Plot("mma", caption, [partial(draw, split) for split in splits])


def homography_curves(pairs: Sequence[PairRecord], splits: Splits) -> Plot:
    """Share of correct homographies over the threshold of the corner error, a panel per split."""

    def draw(split: str, axes: Axes) -> None:
        rows = splits[split]
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
        title = _title(split, rows)
        _set_shares(axes, title, "threshold k of the corner error (px)", "H@k")

    caption = "Share of pairs whose homography is correct, over threshold."
    return Plot("homography", caption, [partial(draw, split) for split in splits])


def repeatability_bars(splits: Splits) -> Plot:
    """Repeatability of every method, by split."""
    names = list(splits["all"])
    kinds = [split for split in splits if split != "all"]

    def draw(axes: Axes) -> None:
        for i, split in enumerate(kinds):
            y = np.arange(len(names)) + (i - (len(kinds) - 1) / 2) * 0.38
            values = [splits[split][name]["repeatability"] for name in names]
            bars = axes.barh(y, values, 0.36, label=split, color=("#4477aa", "#ccbb44")[i])
            labels = ["" if math.isnan(value) else f"{value:.2f}" for value in values]
            axes.bar_label(bars, labels, fontsize=8, padding=2)
        axes.set_yticks(range(len(names)), [wrap(name) for name in names])
        axes.invert_yaxis()
        axes.grid(visible=False, axis="y")
        axes.set(xlabel="repeatability", xlim=(0, 1))

    return Plot("repeatability", "Repeatability by split.", [draw], (5, 1.2 + 0.55 * len(names)))


def time_against_accuracy(splits: Splits) -> Plot:
    """Time per image against H@3, a dot per method that describes."""

    def draw(axes: Axes) -> None:
        for name, row in splits["all"].items():
            if not math.isnan(row["H@3"]):
                look = style(name, splits["all"]) | {"markersize": 8, "linestyle": ""}
                axes.plot(row["ms/image"], row["H@3"], label=name, **look)
        axes.set(xlabel="median time per image (ms, log scale)", ylabel="H@3")
        set_logarithmic(axes, "x")
        axes.margins(0.15)

    return Plot("time", "Time per image against homography accuracy.", [draw], (5, 3.8))


def _set_shares(axes: Axes, title: str, x: str, y: str) -> None:
    axes.set(title=title, xlabel=x, ylabel=y, ylim=(0, 1), xlim=(0, 10))


def _title(split: str, rows: dict[str, Row]) -> str:
    return f"{split} ({max((row['pairs'] for row in rows.values()), default=0)} pairs)"

"""Records to rows of a table: the means of a method over a split; and rows to text."""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from ..common import metrics
from ..common.datasets import SPLITS, in_split
from ..common.tables import Table, format_table
from .protocol import Protocol
from .run import ImageRecord, PairRecord

Row = dict[str, Any]

TERMINAL_COLUMNS = (
    *("H@1", "H@3", "H@5", "AUC@3", "MMA@1", "MMA@3", "MMA@5", "NN mAP", "M. score"),
    *("repeatability", "loc. error", "keypoints", "matches", "ms/image", "pairs"),
)


def summarise(
    images: Sequence[ImageRecord], pairs: Sequence[PairRecord], protocol: Protocol
) -> Row:
    """Average the records of one method into the columns of the table.

    Every pair counts the same. The localisation error is over the pairs with a repeated point;
    the time is the median, so that a first call that loads a network does not show. What a method
    does not have, such as matches without descriptors, is nan.
    """
    described = [pair for pair in pairs if pair.matches is not None]
    errors = [error for pair in described for error in pair.corner_errors]

    def of_errors(metric: Callable[[Any, float], float], threshold: float) -> float:
        return metric(errors, threshold) if errors else math.nan

    return {
        **{f"H@{t}": of_errors(metrics.correctness, t) for t in protocol.homography_thresholds},
        **{f"AUC@{t}": of_errors(metrics.area_under_curve, t) for t in protocol.auc_thresholds},
        **{
            f"MMA@{t}": _mean(pair.matching_accuracy[t] for pair in described)
            for t in protocol.mma_thresholds
        },
        "NN mAP": _mean(pair.average_precision for pair in described),
        "M. score": _mean(pair.matching_score for pair in described),
        "repeatability": _mean(pair.repeatability for pair in pairs),
        "loc. error": _mean(p.localisation_error for p in pairs if p.repeatability > 0),
        "keypoints": _mean(image.keypoints for image in images),
        "matches": _mean(pair.matches for pair in described),
        "ms/image": float(np.median([i.milliseconds for i in images])) if images else math.nan,
        "pairs": len(pairs),
    }


def _mean(values: Iterable[Any]) -> float:
    listed = list(values)
    return float(np.mean(listed)) if listed else math.nan


def summarise_splits(
    images: Sequence[ImageRecord], pairs: Sequence[PairRecord], protocol: Protocol
) -> dict[str, dict[str, Row]]:
    """Return the row of each method by split ("all", "illumination", "viewpoint") and name."""
    methods = list(dict.fromkeys(pair.method for pair in pairs))

    def rows(split: str) -> dict[str, Row]:
        return {
            method: summarise(
                [i for i in images if i.method == method and in_split(i.sequence, split)],
                [p for p in pairs if p.method == method and in_split(p.sequence, split)],
                protocol,
            )
            for method in methods
        }

    return {split: rows(split) for split in ("all", *SPLITS.values())}


def summarise_sequences(
    images: Sequence[ImageRecord], pairs: Sequence[PairRecord], protocol: Protocol
) -> dict[str, Row]:
    """Return a row for every sequence and method, named "sequence method"."""
    keys = list(dict.fromkeys((pair.sequence, pair.method) for pair in pairs))
    return {
        f"{sequence} {method}": summarise(
            [i for i in images if (i.sequence, i.method) == (sequence, method)],
            [p for p in pairs if (p.sequence, p.method) == (sequence, method)],
            protocol,
        )
        for sequence, method in keys
    }


def format_rows(
    rows: Mapping[str, Mapping[str, Any]],
    columns: Sequence[str] = TERMINAL_COLUMNS,
    sign: str = "",
) -> str:
    """Lay out named rows for a terminal; `sign` "+" for differences."""
    laid_out = [
        {"method": name} | {c: format_value(c, row.get(c), sign) for c in columns}
        for name, row in rows.items()
    ]
    return format_table(Table("", laid_out))


def format_value(column: str, value: float | None, sign: str = "") -> str:
    """Write a number with as many digits as its column deserves; a dash if there is none."""
    if value is None or math.isnan(value):
        return "-"
    digits = {"pairs": 0, "keypoints": 0, "matches": 0, "ms/image": 1}.get(column, 3)
    return f"{value:{sign}.{digits}f}"

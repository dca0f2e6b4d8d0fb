"""Everything that a run found, as JSON, as CSV and as a list of its settings."""

import csv
import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from .accuracy import ImageRecord, PairRecord
from .protocol import Protocol
from .published import PUBLISHED, comparable
from .summary import Row, summarise_splits


@dataclass(frozen=True)
class Results:
    """Everything that a report tells.

    Attributes
    ----------
    protocol : Protocol
    data : dict
        "name", "sequences", "pairs", "full release" and "built-in" of the data.
    versions : dict of str to str
        Of libraries.
    machine : dict of str to str
    images : list of ImageRecord
    pairs : list of PairRecord
    """

    protocol: Protocol
    data: dict[str, Any]
    versions: dict[str, str]
    machine: dict[str, str]
    images: list[ImageRecord]
    pairs: list[PairRecord]

    @cached_property
    def splits(self) -> dict[str, dict[str, Row]]:
        """Rows by split and method."""
        return summarise_splits(self.images, self.pairs, self.protocol)

    @property
    def published(self) -> dict[str, dict[str, dict[str, float]]]:
        """Published rows by split and method; none where they are not comparable."""
        return PUBLISHED if comparable(self.protocol, self.data["full release"]) else {}


def describe_settings(results: Results) -> list[tuple[str, str]]:
    """List every constant and condition of a run as (name, value)."""
    shared = sorted({image.workers for image in results.images})
    timed = " or ".join(f"{count} process{'es side by side' * (count > 1)}" for count in shared)
    return [
        *((f"data: {name}", str(value)) for name, value in results.data.items()),
        *((f"protocol: {name}", str(value)) for name, value in asdict(results.protocol).items()),
        *results.versions.items(),
        *results.machine.items(),
        ("time measured with", f"{timed} (when the features were computed, maybe earlier)"),
    ]


def to_json(results: Results) -> dict[str, Any]:
    """Return what report.json holds; what is not finite (failed, or undefined) becomes null."""
    contents = {
        "protocol": asdict(results.protocol),
        "data": results.data,
        "versions": results.versions,
        "machine": results.machine,
        "summary": results.splits,
        "images": [asdict(image) for image in results.images],
        "pairs": [asdict(pair) for pair in results.pairs],
    }
    return {key: _finite_or_null(value) for key, value in contents.items()}


def _finite_or_null(value: Any) -> Any:
    if isinstance(value, dict):
        return {str(key): _finite_or_null(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_finite_or_null(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def write_csv(path: Path, pairs: Sequence[PairRecord], protocol: Protocol) -> None:
    """Write a line per method and pair; failed homographies are "inf", what is undefined empty."""
    with path.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.writer(stream)
        errors = [f"corner error {i + 1}" for i in range(protocol.ransac_repeats)]
        accuracies = [f"MMA@{t}" for t in protocol.mma_thresholds]
        first = ["method", "sequence", "image", "repeatability", "loc. error", "matches"]
        writer.writerow([*first, *errors, *accuracies, "M. score", "NN AP"])
        for pair in pairs:
            described = pair.matches is not None
            values = [pair.repeatability, pair.localisation_error, pair.matches]
            values += pair.corner_errors if described else [None] * len(errors)
            values += [pair.matching_accuracy.get(t) for t in protocol.mma_thresholds]
            values += [pair.matching_score, pair.average_precision]
            writer.writerow(
                [pair.method, pair.sequence, pair.image]
                + ["" if v is None or math.isnan(v) else v for v in values]
            )

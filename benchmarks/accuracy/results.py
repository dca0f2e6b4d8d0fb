"""Everything that a run found, as JSON, as CSV and as a list of its settings."""

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Any

from .protocol import Protocol
from .published import PUBLISHED, comparable
from .run import ImageRecord, PairRecord
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
        "benchmark": "hpatches",
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


def tabulate_pairs(pairs: Sequence[PairRecord]) -> list[dict[str, Any]]:
    """Return what pairs.csv holds: a row per method and pair.

    The error of a failed homography is infinite; what is undefined, or what a method without
    descriptors does not have, is None or missing.
    """
    return [
        {
            "method": pair.method,
            "sequence": pair.sequence,
            "image": pair.image,
            "repeatability": pair.repeatability,
            "loc. error": None if math.isnan(pair.localisation_error) else pair.localisation_error,
            "matches": pair.matches,
            **{f"corner error {i}": error for i, error in enumerate(pair.corner_errors, start=1)},
            **{f"MMA@{t}": share for t, share in pair.matching_accuracy.items()},
            "M. score": pair.matching_score,
            "NN AP": pair.average_precision,
        }
        for pair in pairs
    ]

"""What changed between two runs, from their JSON."""

import json
from pathlib import Path
from typing import Any

from .summary import Row, format_rows


class ComparisonError(ValueError):
    """The file is not the JSON of a run."""


def read(path: Path) -> dict[str, Any]:
    """Read the ``report.json`` of an earlier run.

    Raises
    ------
    ComparisonError
    """
    try:
        report = json.loads(path.read_text(encoding="utf-8"))
        report["summary"]["all"], report["protocol"], report["data"], report["versions"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ComparisonError(f"cannot compare with {path}: not a report.json ({error})") from error
    return report


def compare(old: dict[str, Any], new: dict[str, Any]) -> str:
    """Describe the differences: first of the conditions, then of the numbers, new minus old.

    Parameters
    ----------
    old, new : dict
        As `results.to_json` makes them.
    """
    lines = []
    for part in ("protocol", "data", "versions"):
        for key in sorted({*old[part], *new[part]}):
            before, after = old[part].get(key), new[part].get(key)
            if before != after:
                lines.append(f"{part}: {key} was {before}, is {after}")
    if lines:
        lines.insert(0, "The runs differ in more than the methods:")
    for split, rows in new["summary"].items():
        before_rows = old["summary"].get(split, {})
        shared = {name: row for name, row in rows.items() if name in before_rows}
        table = {name: _difference(before_rows[name], row) for name, row in shared.items()}
        lines += ["", f"{split}, new minus old:"]
        lines.append(format_rows(table, sign="+") if table else "no method in common")
    for name in sorted({*old["summary"]["all"]} ^ {*new["summary"]["all"]}):
        where = "new" if name in new["summary"]["all"] else "old"
        lines.append(f"{name}: only in the {where} run")
    return "\n".join(lines).strip()


def _difference(old: Row, new: Row) -> Row:
    return {
        key: value - old[key]
        for key, value in new.items()
        if value is not None and old.get(key) is not None
    }

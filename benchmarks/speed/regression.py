"""The command ``compare-speed``: two files of pytest-benchmark, in multiples of ORB and SIFT."""

import argparse
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

from ..common.tables import Table, format_table
from .cases import REFERENCES

RULES = """\
Compares the times of our methods in two files of pytest-benchmark, written by `pytest benchmarks
--benchmark-only --benchmark-json FILE`. Each time is divided by those of ORB and SIFT, taken by
turns with it, so that the speed of the machine cancels out; medians over the rounds. A method is
slower if both ratios have grown by more than the limit, as they do when its own time has: what
disturbs a reference moves one of them. The exit code is then 1."""


class SpeedFileError(ValueError):
    """A file is not one of pytest-benchmark, or holds no times with references."""


@dataclass(frozen=True)
class Change:
    """What has become of the time of a case.

    Attributes
    ----------
    old, new : dict of str to float
        The time in multiples of that of each reference.
    """

    case: str
    old: Mapping[str, float]
    new: Mapping[str, float]

    @property
    def growth(self) -> dict[str, float]:
        """By how much each ratio has grown: 1.1 is 10 % slower."""
        return {name: self.new[name] / self.old[name] for name in REFERENCES}

    def slower(self, limit: float) -> bool:
        """Tell whether the case is slower by every reference."""
        return min(self.growth.values()) > limit


def add_command(commands: Any) -> None:
    """Add the command to the subparsers of ``python -m benchmarks``."""
    parser = commands.add_parser(
        "compare-speed", help="has a change made it slower? compares two runs", description=RULES
    )
    parser.add_argument("old", type=Path, metavar="OLD.json")
    parser.add_argument("new", type=Path, metavar="NEW.json")
    parser.add_argument(
        "--fail",
        dest="limit",
        type=float,
        default=1.1,
        metavar="LIMIT",
        help="how many times the old ratios are too slow (default: %(default)s)",
    )
    parser.set_defaults(run=run, fail=parser.error)


def run(options: argparse.Namespace) -> None:
    """Print how the ratios have changed.

    Raises
    ------
    SystemExit
        With 1 if a method is slower; with a message, for files that cannot be compared.
    """
    try:
        files = [read(path) for path in (options.old, options.new)]
        changes = compare(*(ratios(file) for file in files))
    except SpeedFileError as error:
        options.fail(str(error))
    for name, file in zip(("old", "new"), files, strict=True):
        print(f"{name}: {describe_origin(file)}")
    print("", format_table(tabulate(changes, options.limit)), sep="\n")
    if any(change.slower(options.limit) for change in changes):
        raise SystemExit(1)


def read(path: Path) -> dict[str, Any]:
    """Read a file of pytest-benchmark.

    Raises
    ------
    SpeedFileError
    """
    try:
        contents: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        contents["benchmarks"], contents["commit_info"], contents["machine_info"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise SpeedFileError(
            f"cannot read {path} as a file of pytest-benchmark: {error}"
        ) from error
    return contents


def describe_origin(contents: Mapping[str, Any]) -> str:
    """Say which commit was timed, when, on which processor."""
    commit = contents["commit_info"]
    changed = ", with changes that are not committed" if commit.get("dirty") else ""
    processor = contents["machine_info"].get("cpu", {}).get("brand_raw", "unknown processor")
    name = (commit.get("id") or "unknown commit")[:10]
    return f"{name}{changed}, {contents.get('datetime', '')[:19]}, {processor}"


def ratios(contents: Mapping[str, Any]) -> dict[str, dict[str, float]]:
    """Return the times of our methods, by case and reference, in multiples of the reference's.

    Raises
    ------
    SpeedFileError
        If none was timed by turns with references.
    """
    found = {}
    for benchmark in contents["benchmarks"]:
        references = benchmark["extra_info"].get("references")
        if references:
            time = benchmark["stats"]["median"]
            found[benchmark["param"]] = {n: time / median(references[n]) for n in REFERENCES}
    if not found:
        raise SpeedFileError("no times of our methods by turns with ORB and SIFT in the file")
    return found


def compare(
    old: Mapping[str, Mapping[str, float]], new: Mapping[str, Mapping[str, float]]
) -> list[Change]:
    """Pair the cases that both have.

    Raises
    ------
    SpeedFileError
        If there are none.
    """
    changes = [Change(case, old[case], new[case]) for case in new if case in old]
    if not changes:
        raise SpeedFileError("the files have no case in common")
    return changes


def tabulate(changes: Sequence[Change], limit: float) -> Table:
    """Lay out a row per case: both ratios, old and new, and by how much they have grown."""
    rows = [
        {"case": change.case}
        | {
            f"x {name}{which}": text
            for name in REFERENCES
            for which, text in (
                (" old", f"{change.old[name]:.2f}"),
                (" new", f"{change.new[name]:.2f}"),
                ("", f"{change.growth[name] - 1:+.1%}"),
            )
        }
        | {"": "SLOWER" if change.slower(limit) else "ok"}
        for change in changes
    ]
    return Table(f"Times in multiples of ORB's and SIFT's; the limit is {limit - 1:+.0%}", rows)

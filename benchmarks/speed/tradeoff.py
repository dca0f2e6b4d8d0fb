"""The command ``accuracy-over-time``: what other commands measured, as one picture."""

import argparse
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..common import outputs
from ..common.tables import Table
from .cases import setting_of

Json = dict[str, Any]

TITLES = {
    "hpatches": "AUC@3 of homographies",
    "zoom-rotation": "close-ups found, zoomed and turned",
}


class ReportError(ValueError):
    """A file is no report of these commands, or the reports do not belong together."""


@dataclass(frozen=True)
class Point:
    """A method in the picture: milliseconds per frame, and its accuracy."""

    method: str
    milliseconds: float
    accuracy: float


def add_command(commands: Any) -> None:
    """Add the command to the subparsers of ``python -m benchmarks``."""
    parser = commands.add_parser(
        "accuracy-over-time",
        help="a picture of what hpatches, zoom-rotation and speed measured",
        description="Draws the accuracy of methods over the time of a frame loop: detection, "
        "matching, homography. A method is a point if it is, by the same name, in the report of "
        "speed and in one of hpatches or zoom-rotation.",
    )
    add = parser.add_argument
    add(
        "reports",
        nargs="+",
        type=Path,
        metavar="REPORT.json",
        help="report.json of hpatches, zoom-rotation.json, speed.json; of speed one, and of the "
        "others one or both",
    )
    add("--threads", type=int, metavar="N", help="times with so many (default: the fewest)")
    add("--out", type=Path, required=True, metavar="FILE", help="a .png, or a page, .html")
    parser.set_defaults(run=run, fail=parser.error)


def run(options: argparse.Namespace) -> None:
    """Read the reports, write the picture, and print its points.

    Raises
    ------
    SystemExit
        With a message, for files that are no reports or lack what is drawn.
    """
    from ..common import page  # these need matplotlib and jinja2
    from .plots import accuracy_over_time

    try:
        reports = read_reports(options.reports)
        speed = reports.pop("speed")
        times, conditions = frame_times(speed, options.threads)
        panels = {
            TITLES[benchmark]: points(accuracies(benchmark, report), times)
            for benchmark, report in reports.items()
        }
    except ReportError as error:
        options.fail(str(error))
    for title, found in panels.items():
        for point in found:
            print(f"{title}: {point.method} {point.accuracy:.3f}, {point.milliseconds:.1f} ms")
    plot = accuracy_over_time(panels, conditions)
    if options.out.suffix != ".html":
        outputs.write(options.out, plot.png())
        return
    tables = [tabulate(title, found) for title, found in panels.items()]
    sections = [page.Section("Results", tables=tables, plots=[plot])]
    sources = f"From {', '.join(map(str, options.reports))}; times: {conditions}."
    made = page.Page(
        "Accuracy over time", sources, options.command_line, sections, machine=speed["machine"]
    )
    page.write_html(options.out, made)


def tabulate(title: str, points: Sequence[Point]) -> Table:
    """Lay out a row per method."""
    rows = [
        {
            "method": point.method,
            "accuracy": f"{point.accuracy:.3f}",
            "ms per frame": f"{point.milliseconds:.1f}",
        }
        for point in points
    ]
    return Table(title, rows, best={"accuracy": max, "ms per frame": min})


def read_reports(paths: Sequence[Path]) -> dict[str, Json]:
    """Read reports, by the command that wrote them.

    Raises
    ------
    ReportError
        For a file that is none, and unless there are times and an accuracy.
    """
    reports: dict[str, Json] = {}
    for path in paths:
        try:
            report = json.loads(path.read_text(encoding="utf-8"))
            benchmark = report["benchmark"]
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise ReportError(f"cannot read {path} as a report: {error}") from error
        if benchmark in reports:
            raise ReportError(f"{path} is a second report of {benchmark}")
        reports[benchmark] = report
    if "speed" not in reports or not reports.keys() & TITLES.keys():
        raise ReportError("a report of speed is needed, and one of hpatches or zoom-rotation")
    return {
        "speed": reports["speed"],
        **{name: reports[name] for name in TITLES if name in reports},
    }


def frame_times(report: Json, threads: int | None) -> tuple[dict[str, float], str]:
    """Return the milliseconds of a frame by method, and the conditions in words.

    Parameters
    ----------
    report : dict
        Of speed. Of its sizes, points and devices the first counts.
    threads : int or None
        None: the fewest that were measured.

    Raises
    ------
    ReportError
        If there are no times with so many threads.
    """
    rows = [row for row in report["rows"] if row["ms_frame"] is not None]
    chosen = min((row["threads"] for row in rows), default=0) if threads is None else threads
    rows = [row for row in rows if row["threads"] == chosen]
    if not rows:
        raise ReportError(f"the report of speed has no frames with {chosen} threads")
    conditions = setting_of(rows[0])
    same = [row for row in rows if setting_of(row) == conditions]
    # Of several devices and precisions of a method, the first is what it does by default.
    return {row["method"]: row["ms_frame"] for row in reversed(same)}, conditions


def accuracies(benchmark: str, report: Json) -> dict[str, float]:
    """Return what is drawn of a report of hpatches or zoom-rotation, by method."""
    if benchmark == "hpatches":
        return {m: row["AUC@3"] for m, row in report["summary"]["all"].items() if row["AUC@3"]}
    return dict(report["summary"])


def points(accuracy: Mapping[str, float], times: Mapping[str, float]) -> list[Point]:
    """Return the methods that have both, the fastest first.

    Raises
    ------
    ReportError
        If none has.
    """
    found = [Point(m, times[m], accuracy[m]) for m in accuracy if m in times]
    if not found:
        raise ReportError("the reports have no method in common")
    return sorted(found, key=lambda point: point.milliseconds)

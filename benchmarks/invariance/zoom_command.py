"""The command ``zoom-rotation``: photographs matched with close-ups of them, turned."""

import argparse
import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from ..common import outputs
from ..common.detectors import MethodError, make_describing
from ..common.machine import describe_machine, library_versions
from ..common.options import add_methods, add_repeats, add_workers, positive
from ..common.photographs import PhotographError, describe_photographs, read_photographs
from ..common.tables import Table, format_tables, write_csv
from . import zoom as zooming
from .steps import Protocol
from .zoom import ROTATIONS, ZOOMS, ZoomSummary, mean_share, summarise_zooms

RULES = f"""\
Large photographs, each seen as a whole and in close-ups. The overview is the photograph made
smaller by averages of areas until {zooming.SIZE[1]}x{zooming.SIZE[0]} pixels (or
{zooming.SIZE[0]}x{zooming.SIZE[1]}) cover it. A close-up has the same size, shows the middle of the
photograph {", ".join(f"{z:g}" for z in ZOOMS)} times larger, turned by
{", ".join(f"{r:g}" for r in ROTATIONS)} degrees, in other light, with noise, compressed as JPEG. It
is rendered from the whole file, so that zoom brings detail: a photograph with a short side of 1440
pixels has it up to 3 times and is enlarged a little at 4. Beyond the photograph's border it is
mirrored. Strongest points by response; mutual nearest neighbours in the method's norm; OpenCV's
RANSAC. Printed are shares of close-ups that are found: their corners, carried to the overview, are
off by at most 3 pixels of the overview on average."""


def add_command(commands: Any) -> None:
    """Add the command to the subparsers of ``python -m benchmarks``."""
    parser = commands.add_parser(
        "zoom-rotation",
        help="correct homographies between large photographs and close-ups, by zoom and rotation",
        description=RULES,
    )
    add = parser.add_argument
    add(
        "--data",
        type=Path,
        required=True,
        metavar="DIR",
        help="a folder of large photographs, with short sides of 1440 pixels or more",
    )
    add("--limit", type=positive, metavar="N", help="use the first N pictures only")
    add_methods(parser, "ORB", "SIFT", "AKAZE", "SuperPoint[nlevels=1]", "SuperPoint")
    add("--points", type=positive, default=1000, metavar="N", help="default: %(default)s")
    add_repeats(parser)
    add_workers(parser)
    add("--out", type=Path, metavar="DIR", help="write zoom-rotation.html, .csv, .json, .png")
    parser.set_defaults(run=run, fail=parser.error)


def run(options: argparse.Namespace) -> None:
    """Measure what the options name, and print and write it.

    Raises
    ------
    SystemExit
        With a message, for unusable pictures or methods.
    """
    if options.out:
        # Only these need matplotlib and jinja2; if they are missing, say so before the work.
        from ..common import page
        from . import exhibits, plots
    protocol = Protocol(points=options.points, ransac_repeats=options.repeats)
    try:
        for name in options.methods:
            make_describing(name, protocol.points)  # a wrong one shows before the work
        photographs = read_photographs(options.data, options.limit)
        records = zooming.run_zooms(options.methods, photographs, protocol, options.workers)
    except (PhotographError, MethodError) as error:
        options.fail(str(error))
    summaries = summarise_zooms(records, protocol)
    data = describe_photographs(options.data, len(photographs))
    print(data)
    settings = {**asdict(protocol), **library_versions()}
    print("; ".join(f"{name} {value}" for name, value in settings.items()), end="\n\n")
    tables = tabulate(summaries)
    print(format_tables(tables))
    if options.out:
        options.out.mkdir(parents=True, exist_ok=True)
        rows = [asdict(summary) for summary in summaries]
        write_csv(options.out / "zoom-rotation.csv", rows)
        report = {
            "benchmark": "zoom-rotation",
            "data": data,
            "protocol": asdict(protocol),
            "versions": library_versions(),
            "machine": describe_machine(),
            "summary": {m: mean_share(summaries, method=m) for m in methods_of(summaries)},
            "rows": rows,
        }
        outputs.write(options.out / "zoom-rotation.json", json.dumps(report, indent=1).encode())
        curves = plots.shares_of_close_ups(summaries)
        outputs.write(options.out / "zoom-rotation.png", curves.png())
        drawn = exhibits.of_zooms(photographs, records, protocol)
        made = page.Page(
            "Close-ups, zoomed and turned",
            data,
            options.command_line,
            [
                page.Section("Results", tables=tables[:1], plots=[curves]),
                page.Section("Zoom by rotation", tables=tabulate_grids(summaries)),
                page.Section("Pairs", exhibits.RULES_OF_ZOOMS, exhibits=drawn),
                page.Section("How it was measured", RULES),
                page.settings(settings.items()),
            ],
        )
        page.write_html(options.out / "zoom-rotation.html", made)


def methods_of(summaries: Sequence[ZoomSummary]) -> list[str]:
    """List the methods in order."""
    return list(dict.fromkeys(summary.method for summary in summaries))


def tabulate(summaries: Sequence[ZoomSummary]) -> list[Table]:
    """Lay out two tables: a row per method with all means; a row per method and zoom."""
    methods = methods_of(summaries)
    means = [
        {"method": method, "all": f"{mean_share(summaries, method=method):.3f}"}
        | _cells(summaries, "zoom", ZOOMS, "x", method=method)
        | _by_rotation(summaries, method=method)
        for method in methods
    ]
    full = [
        {"method": method, "zoom": f"{zoom:g}x"} | _by_rotation(summaries, method=method, zoom=zoom)
        for method in methods
        for zoom in ZOOMS
    ]
    title = "Share of correct homographies: the mean of all, by zoom, by rotation"
    return [
        Table(title, means, best=dict.fromkeys([*means[0]][1:], max)),
        Table("By both", full, left=2),
    ]


def tabulate_grids(summaries: Sequence[ZoomSummary]) -> list[Table]:
    """Lay out a shaded table per method: a row per zoom, a column per rotation."""
    return [
        Table(
            method,
            [
                {"zoom": f"{zoom:g}x"} | _by_rotation(summaries, method=method, zoom=zoom)
                for zoom in ZOOMS
            ],
            shaded=True,
        )
        for method in methods_of(summaries)
    ]


def _by_rotation(summaries: Sequence[ZoomSummary], **chosen: Any) -> dict[str, str]:
    return _cells(summaries, "rotation", ROTATIONS, "\N{DEGREE SIGN}", **chosen)


def _cells(
    summaries: Sequence[ZoomSummary], name: str, values: Sequence[float], unit: str, **chosen: Any
) -> dict[str, str]:
    return {
        f"{value:g}{unit}": f"{mean_share(summaries, **chosen, **{name: value}):.2f}"
        for value in values
    }

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
from ..common.tables import format_table, write_csv
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
    add("--out", type=Path, metavar="DIR", help="write zoom-rotation.csv, .json and .png")
    parser.set_defaults(run=run, fail=parser.error)


def run(options: argparse.Namespace) -> None:
    """Measure what the options name, and print and write it.

    Raises
    ------
    SystemExit
        With a message, for unusable pictures or methods.
    """
    if options.out:
        from . import plots  # needs matplotlib; if it is missing, say so before the work
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
    print(format_summaries(summaries))
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
        outputs.write(options.out / "zoom-rotation.png", plots.shares_of_close_ups(summaries))


def methods_of(summaries: Sequence[ZoomSummary]) -> list[str]:
    """List the methods in order."""
    return list(dict.fromkeys(summary.method for summary in summaries))


def format_summaries(summaries: Sequence[ZoomSummary]) -> str:
    """Lay out two tables: a row per method with all means; a row per method and zoom."""
    methods = methods_of(summaries)

    def cells(name: str, values: Sequence[float], unit: str, **chosen: Any) -> dict[str, str]:
        return {
            f"{value:g}{unit}": f"{mean_share(summaries, **chosen, **{name: value}):.2f}"
            for value in values
        }

    means = [
        {"method": method, "all": f"{mean_share(summaries, method=method):.3f}"}
        | cells("zoom", ZOOMS, "x", method=method)
        | cells("rotation", ROTATIONS, "\N{DEGREE SIGN}", method=method)
        for method in methods
    ]
    full = [
        {"method": method, "zoom": f"{zoom:g}x"}
        | cells("rotation", ROTATIONS, "\N{DEGREE SIGN}", method=method, zoom=zoom)
        for method in methods
        for zoom in ZOOMS
    ]
    return (
        "Share of correct homographies: the mean of all, by zoom, by rotation\n"
        f"{format_table(means)}\n\nBy both\n{format_table(full, 2)}"
    )

"""The command ``memory``: peak memory and time over the size of the image."""

import argparse
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from tqdm import tqdm

from ..common.datasets import fit
from ..common.detectors import MethodError, find_factory, runs_on_gpu
from ..common.machine import count_cores, describe_machine, library_versions
from ..common.options import add_methods, positive, size
from ..common.photographs import PhotographError, describe_photographs, read_photographs
from ..common.tables import Table, format_tables, write_csv
from .cases import Case
from .memory import Footprints, measure_memory

SIZES = ((480, 640), (960, 1280), (1920, 2560), (3000, 4000), (4243, 5657), (6144, 8192))
"""(height, width): 0.3 to 50 megapixels."""

RULES = """\
Peak memory of detectAndCompute, and the time of its second call, over the size of a grey
photograph, each in a fresh process: resident, with Python and all libraries, or allocated on the
GPU. A dash: the process was killed, as happens for want of memory."""


def add_command(commands: Any) -> None:
    """Add the command to the subparsers of ``python -m benchmarks``."""
    parser = commands.add_parser(
        "memory", help="peak memory and time from 0.3 to 50 megapixels", description=RULES
    )
    add = parser.add_argument
    add(
        "--data",
        type=Path,
        metavar="DIR",
        help="a folder of pictures, of which the first is used (default: one inside scikit-image)",
    )
    add(
        "--sizes",
        nargs="+",
        type=size,
        default=list(SIZES),
        metavar="WxH",
        help=f"default: {' '.join(f'{width}x{height}' for height, width in SIZES)}",
    )
    add("--points", type=positive, default=1000, metavar="N", help="default: %(default)s")
    add_methods(parser, "ORB", "SIFT", "SuperPoint")
    add(
        "--threads",
        type=positive,
        default=count_cores(),
        metavar="N",
        help="of the CPU (default: %(default)s)",
    )
    add("--out", type=Path, metavar="DIR", help="write memory.html and .csv")
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
        from . import plots
    try:
        for method in options.methods:
            find_factory(method)  # a wrong one shows before the work
        (photograph,) = read_photographs(options.data, limit=1).values()
    except (PhotographError, MethodError) as error:
        options.fail(str(error))
    cases = [
        Case(method, one, options.points, options.threads, "cuda" if runs_on_gpu(method) else "cpu")
        for one in options.sizes
        for method in options.methods
    ]
    results = {
        case: measure_memory(case, fit(photograph, case.size)[0])
        for case in tqdm(cases, unit="process")
    }
    data = describe_photographs(options.data, 1)
    print(data)
    conditions = {**describe_machine(), **library_versions(), "threads": options.threads}
    print("; ".join(f"{name} {value}" for name, value in conditions.items()), end="\n\n")
    tables = tabulate(results)
    print(format_tables(tables))
    if options.out:
        options.out.mkdir(parents=True, exist_ok=True)
        rows = [asdict(case) | (asdict(found) if found else {}) for case, found in results.items()]
        write_csv(options.out / "memory.csv", rows)
        made = page.Page(
            "Memory and time over the size of the image",
            data,
            options.command_line,
            [page.Section("Results", RULES, tables, [plots.footprint_curves(results)])],
            machine={name: str(value) for name, value in conditions.items()},
        )
        page.write_html(options.out / "memory.html", made)


def tabulate(results: Footprints) -> list[Table]:
    """Lay out two tables: a row per method, a column per size."""

    def table(title: str, field: str, cases: Sequence[Case]) -> Table:
        rows: dict[str, dict[str, str]] = {}
        for case in cases:
            found, (height, width) = results[case], case.size
            cell = f"{getattr(found, field):.0f}" if found else "-"
            row = rows.setdefault(case.method, {"megapixels": case.method})
            row[f"{height * width / 1e6:.1f}"] = cell
        columns = [*next(iter(rows.values()))]
        return Table(title, list(rows.values()), best=dict.fromkeys(columns[1:], min))

    cases = list(results)
    return [table("Peak memory, MiB", "mib", cases), table("Time, ms", "milliseconds", cases)]

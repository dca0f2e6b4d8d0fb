"""The commands ``rotation``, ``tilt`` and ``scale``: photographs against themselves, changed."""

import argparse
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from ..common import outputs
from ..common.detectors import MethodError, make_describing
from ..common.machine import library_versions
from ..common.options import add_methods, positive
from ..common.photographs import BUNDLED, PhotographError, describe_photographs, read_photographs
from ..common.tables import Table, format_tables, write_csv
from .steps import Protocol, Summary, run_steps, summarise
from .views import View, shrink, tilt, turn

PROTOCOL = Protocol()

MATCHING = (
    "Strongest points by response; mutual nearest neighbours in the method's norm; homographies by "
    f"OpenCV's RANSAC. A match is correct within {PROTOCOL.match_threshold:g} pixels, a homography "
    f"if its corners are off by at most {PROTOCOL.corner_threshold:g} pixels on average, both in "
    "the changed picture. Pictures: grey, resized with their ratio kept and cropped."
)


@dataclass(frozen=True)
class Change:
    """What a command does to photographs, step by step.

    Attributes
    ----------
    name, help, description
        Of the command.
    title : str
        Of its report.
    view : callable
        Takes a photograph, (H, W) uint8, a step and `size`; shows the photograph at the step.
    size : tuple of int
        (height, width) of the views, in pixels.
    unit : str
        Of the steps.
    start, end, step : float
        The steps, by default.
    """

    name: str
    title: str
    help: str
    description: str
    view: Callable[..., View]
    size: tuple[int, int]
    unit: str
    start: float
    end: float
    step: float


CHANGES = (
    Change(
        "rotation",
        "Local features under rotation",
        "correct homographies of turned photographs, per angle",
        "Photographs turned about their centre. Every view is a square cut from the middle of a "
        "larger picture, so that none shows a border, and only the points in the circle that fits "
        "the square count, so that all views share all of the scene that counts. ",
        turn, (320, 320), "degrees", start=0, end=360, step=15,
    ),
    Change(
        "tilt",
        "Local features under a change of viewpoint",
        "correct homographies of photographs seen at an angle, per angle",
        "Photographs against themselves as pictures on a wall, seen at an angle: at 60 "
        "degrees they look half as wide. ",
        tilt, (480, 640), "degrees", start=0, end=75, step=15,
    ),
    Change(
        "scale",
        "Local features under a change of scale",
        "correct homographies of photographs made smaller, per factor",
        "Whole photographs against themselves made so many times smaller, by averages of areas: "
        "both show the same scene, the smaller one with fewer pixels. ",
        shrink, (480, 640), "times smaller", start=1, end=4, step=0.5,
    ),
)  # fmt: skip


def add_command(commands: Any) -> None:
    """Add a command for each change to the subparsers of ``python -m benchmarks``."""
    for change in CHANGES:
        name = change.name
        parser = commands.add_parser(
            name, help=change.help, description=change.description + MATCHING
        )
        add = parser.add_argument
        add(
            "--data",
            type=Path,
            metavar="DIR",
            help=f"a folder of pictures (default: {len(BUNDLED)} photographs inside scikit-image)",
        )
        add("--limit", type=positive, metavar="N", help="use the first N pictures only")
        add_methods(parser, "ORB", "SIFT", "SuperPoint")
        add("--step", type=float, default=change.step, help=f"default: {change.step:g}")
        add("--to", type=float, default=change.end, help=f"the last; default: {change.end:g}")
        add("--out", type=Path, metavar="DIR", help=f"write {name}.html, .csv, .png, _pairs.csv")
        parser.set_defaults(run=run, fail=parser.error, change=change)


def run(options: argparse.Namespace) -> None:
    """Measure what the options name, and print and write it.

    Raises
    ------
    SystemExit
        With a message, for unusable pictures, methods or steps.
    """
    change: Change = options.change
    if options.out:
        # Only these need matplotlib and jinja2; if they are missing, say so before the work.
        from ..common import page
        from . import exhibits, plots
    if options.step <= 0 or options.to < change.start:
        options.fail(f"--step must be above 0, and --to at least {change.start:g}")
    # The last step counts although steps such as 0.1 have no exact sum.
    steps = np.arange(change.start, options.to + options.step / 1000, options.step).tolist()
    try:
        methods = {name: make_describing(name, PROTOCOL.points) for name in options.methods}
        photographs = read_photographs(options.data, options.limit)
    except (PhotographError, MethodError) as error:
        options.fail(str(error))
    view = partial(change.view, size=change.size)
    records = run_steps(methods, photographs, steps, view, PROTOCOL)
    summaries = summarise(records, PROTOCOL)
    data = describe_photographs(options.data, len(photographs))
    print(data)
    settings = {"size": change.size, **asdict(PROTOCOL), **library_versions()}
    print("; ".join(f"{name} {value}" for name, value in settings.items()), end="\n\n")
    tables = tabulate(summaries, change.unit)
    print(format_tables(tables))
    if options.out:
        options.out.mkdir(parents=True, exist_ok=True)
        write_csv(options.out / f"{change.name}.csv", [asdict(s) for s in summaries])
        write_csv(options.out / f"{change.name}_pairs.csv", [asdict(r) for r in records])
        curves = plots.curves_over_steps(change.name, summaries, change.unit)
        outputs.write(options.out / f"{change.name}.png", curves.png())
        drawn = exhibits.of_steps(methods, photographs, records, view, change.unit, PROTOCOL)
        made = page.Page(
            change.title,
            data,
            options.command_line,
            [
                page.Section("Results", tables=tables, plots=[curves]),
                page.Section("Pairs", exhibits.RULES, exhibits=drawn),
                page.Section("How it was measured", change.description + MATCHING),
                page.settings(settings.items()),
            ],
        )
        page.write_html(options.out / f"{change.name}.html", made)


def tabulate(summaries: Sequence[Summary], unit: str) -> list[Table]:
    """Lay out three tables: a row per method, a column per step, and the mean over the steps."""
    methods = list(dict.fromkeys(s.method for s in summaries))

    def table(title: str, value: Callable[[Summary], float], form: str, mean_form: str) -> Table:
        rows = []
        for method in methods:
            same = [s for s in summaries if s.method == method]
            cells = {f"{s.step:g}": format(value(s), form) for s in same}
            mean = format(np.mean([value(s) for s in same]), mean_form)
            rows.append({unit: method} | cells | {"mean": mean})
        return Table(title, rows, best=dict.fromkeys([*rows[0]][1:], max))

    count = summaries[0].photographs
    return [
        table(f"Correct homographies, of {count}", lambda s: s.homographies, "d", ".1f"),
        table("Share of matches that are correct", lambda s: s.correct_share, ".2f", ".2f"),
        table("Correct matches (median)", lambda s: s.correct_matches, ".0f", ".0f"),
    ]

"""The command ``hpatches``: accuracy on HPatches, a folder like it, or a built-in set."""

import argparse
import sys
import tempfile
import textwrap
from concurrent.futures.process import BrokenProcessPool
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2

from ..common import datasets
from ..common.detectors import MethodError
from ..common.machine import describe_machine, library_versions
from ..common.metrics import area_under_curve, correctness
from ..common.options import add_methods, add_repeats, add_workers, positive
from ..common.photographs import read_photographs
from . import comparison, simulated
from . import run as accuracy
from .protocol import ESTIMATORS, PRESETS, RULES, Protocol
from .results import Results, describe_settings, to_json
from .summary import format_rows, summarise_sequences


def add_command(commands: Any) -> None:
    """Add the command to the subparsers of ``python -m benchmarks``."""
    parser = commands.add_parser(
        "hpatches",
        help="repeatability, matching and homography accuracy on HPatches-format sequences",
        description=datasets.LAYOUT,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("--data", type=Path, metavar="DIR", help="default: a set made from photographs")
    add("--out", type=Path, metavar="DIR", help="write report.md, .html, .json, pairs.csv here")
    add_methods(parser, "ORB", "SIFT", "SuperPoint")
    add("--preset", choices=PRESETS, default="paper", help="protocol (default: paper)")
    add("--estimator", choices=ESTIMATORS, help="of homographies (default: the preset's)")
    add(
        "--aligned",
        action="store_true",
        help="first refine the homographies of the data by dense alignment of the images",
    )
    add(
        "--points",
        type=positive,
        metavar="N",
        help="per image, for matching (default: the preset's)",
    )
    add(
        "--skip-large",
        action=argparse.BooleanOptionalAction,
        help="leave out the eight sequences that D2-Net left out (default: the preset's)",
    )
    add_repeats(parser)
    add("--per-sequence", action="store_true", help="print a table row per sequence too")
    add("--compare", type=Path, metavar="JSON", help="report.json of an earlier run")
    add_workers(parser)
    add(
        "--cache",
        type=Path,
        metavar="DIR",
        help="of features, to stop and go on (default: OUT/features)",
    )
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> None:
    """Run the benchmark, print its tables and write its report.

    Raises
    ------
    SystemExit
        With a message, for unusable data, methods or files, and after an interruption.
    """
    try:
        _run(options)
    except (MethodError, datasets.DatasetError, comparison.ComparisonError) as error:
        print(error, file=sys.stderr)
        raise SystemExit(2) from error
    except BrokenProcessPool as error:
        print(f"\na worker process died, of too little memory? {_advice(options)}", file=sys.stderr)
        raise SystemExit(1) from error
    except KeyboardInterrupt:
        print(f"\nstopped; {_advice(options)}", file=sys.stderr)
        raise SystemExit(130) from None


def _advice(options: argparse.Namespace) -> str:
    kept = _cache_folder(options)
    if kept is None:
        return "nothing was kept: give --out or --cache"
    return f"what was computed is in {kept}; the same command goes on"


def _run(options: argparse.Namespace) -> None:
    if options.out:
        # Only a report needs matplotlib and jinja2; if they are missing, say so before the work.
        from . import report
    protocol = _protocol(options)
    earlier = comparison.read(options.compare) if options.compare else None
    methods = list(dict.fromkeys(options.methods))
    with ExitStack() as stack:
        folder = options.data
        if folder is None:
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
            simulated.write_sequences(folder, read_photographs())
        sequences = datasets.read_sequences(folder)
        if protocol.skip_large:
            sequences = [s for s in sequences if s.name not in datasets.LARGE_SEQUENCES]
        if not sequences:
            raise datasets.DatasetError(f"Only sequences that D2-Net left out are in {folder}")
        cache = _cache_folder(options)
        if cache is None:
            cache = Path(stack.enter_context(tempfile.TemporaryDirectory()))

        jobs = accuracy.plan(methods, sequences, protocol, cache, options.workers)
        workers = jobs[0].workers
        machine = {  # asked before the work, which is load too
            **describe_machine(),
            "processes": str(workers),
            "OpenCV threads in each": str(cv2.getNumThreads() if workers == 1 else 1),
        }
        images, pairs = accuracy.run(jobs)
        data = _describe_data(options.data, sequences)
        results = Results(protocol, data, library_versions(), machine, images, pairs)
        difference = comparison.compare(earlier, to_json(results)) if earlier else ""
        _print(results, options.per_sequence, difference)
        if options.out:
            report.write(options.out, results, jobs, options.command_line, difference)
            print(f"\nwritten to {options.out}: report.html, report.md, report.json, pairs.csv")


def _protocol(options: argparse.Namespace) -> Protocol:
    chosen = {
        "estimator": options.estimator,
        "points": options.points,
        "skip_large": options.skip_large,
        "ransac_repeats": options.repeats,
        "aligned": options.aligned,
    }
    given = {name: value for name, value in chosen.items() if value is not None}
    return replace(PRESETS[options.preset], **given)


def _cache_folder(options: argparse.Namespace) -> Path | None:
    return options.cache or (options.out / "features" if options.out else None)


def _describe_data(folder: Path | None, sequences: list[datasets.Sequence]) -> dict[str, Any]:
    return {
        "name": str(folder) if folder else simulated.LABEL,
        "sequences": len(sequences),
        "pairs": sum(len(sequence.images) - 1 for sequence in sequences),
        "full release": datasets.is_full_release(sequences),
        "built-in": folder is None,
    }


def _print(results: Results, per_sequence: bool, difference: str) -> None:
    if results.data["built-in"]:
        print(f"{simulated.LABEL}\n")
    _print_paragraph(f"rules: {RULES}")
    _print_paragraph("; ".join(f"{name} {value}" for name, value in describe_settings(results)))
    if per_sequence:
        rows = summarise_sequences(results.images, results.pairs, results.protocol)
        print("", format_rows(rows), sep="\n")
    if results.protocol.aligned:
        _print_paragraph(_describe_alignment(results))
    for split, rows in results.splits.items():
        print(f"\n{split}", format_rows(rows | results.published.get(split, {})), sep="\n")
    if difference:
        print("", difference, sep="\n")


def _describe_alignment(results: Results) -> str:
    """Say how good the homographies of the data are, by the aligned ones."""
    errors = [p.error_of_data for p in results.pairs if p.method == results.pairs[0].method]
    thresholds = results.protocol.homography_thresholds
    shares = [f"H@{t} {correctness(errors, t):.3f}" for t in thresholds]
    areas = [f"AUC@{t} {area_under_curve(errors, t):.3f}" for t in results.protocol.auc_thresholds]
    return f"homographies of the data, by the aligned ones: {', '.join([*shares, *areas])}"


def _print_paragraph(text: str) -> None:
    print(textwrap.fill(text, width=100, subsequent_indent="  "))

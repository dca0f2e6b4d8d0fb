"""The command ``speed``: how long a frame takes, and where the time goes."""

import argparse
import itertools
import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

from tqdm import tqdm

from ..common import outputs
from ..common.datasets import fit
from ..common.detectors import MethodError, is_ours
from ..common.machine import count_cores, describe_machine, has_cuda, library_versions
from ..common.options import add_methods, positive, size
from ..common.photographs import PhotographError, describe_photographs, read_photographs
from ..common.tables import format_tables, write_csv
from .cases import METHODS, PRECISIONS, Case, unshipped

SIZE = (480, 640)
"""(height, width), of the command's default."""

RULES = """\
Times the frame loop of a camera: detectAndCompute of a frame, matching with the frame before
(mutual nearest neighbours, by cv2.BFMatcher or the one that comes with the method), and
findHomography. Frames are grey photographs, resized with their ratio kept and cropped, and the same
a moment later; without --data they are those inside scikit-image. Two rounds to warm up; then
rounds in which every method has its turn, on the same frames. Medians, of detection also quartiles,
over the rounds. The ratios are to the times of ORB and SIFT of the same size, points, threads and
run. PlainSuperPoint is the paper's network as commonly implemented in PyTorch (plain.py). Batches
above 1 go through extract(), without cv2.KeyPoint; times are per image, of detection alone. On a
GPU, times are taken once it has finished, and also by its own events. The stages are timed in
further calls. On a machine with other work to do, networks with a thread on every core slow down
far more than the others."""

RANDOM = """\
{}: no weights ship, so they are RANDOM: the network takes the time of a trained one, its detection
sees a heat map without peaks."""


def add_command(commands: Any) -> None:
    """Add the command to the subparsers of ``python -m benchmarks``."""
    parser = commands.add_parser(
        "speed", help="milliseconds per frame, against ORB and SIFT", description=RULES
    )
    add, cores = parser.add_argument, count_cores()
    add("--data", type=Path, metavar="DIR", help="a folder of pictures")
    add(
        "--sizes",
        nargs="+",
        type=size,
        default=[SIZE],
        metavar="WxH",
        help="default: 640x480",
    )
    add("--points", nargs="+", type=positive, default=[1000], metavar="N", help="default: 1000")
    add_methods(parser, *METHODS)
    threads = sorted({1, min(2, cores), cores})
    add(
        "--threads",
        nargs="+",
        type=positive,
        default=threads,
        metavar="N",
        help=f"of the CPU (default: {' '.join(map(str, threads))})",
    )
    add(
        "--batches",
        nargs="+",
        type=positive,
        default=[1],
        metavar="N",
        help="images per call, of our methods (default: 1)",
    )
    add(
        "--precisions",
        nargs="+",
        choices=PRECISIONS,
        default=[""],
        help="of the same (default: as they come)",
    )
    add(
        "--device",
        choices=["auto", "cpu", "cuda"],
        default="auto",
        help="of the same; auto: the CPU, and CUDA where there is one",
    )
    # The time of SIFT depends on the photograph, so each bundled one has its turn.
    add("--repeats", type=positive, default=15, metavar="N", help="rounds (default: 15)")
    add("--out", type=Path, metavar="DIR", help="write speed.html, .csv and .json")
    parser.set_defaults(run=run, fail=parser.error)


def run(options: argparse.Namespace) -> None:
    """Time what the options name, and print and write it.

    Raises
    ------
    SystemExit
        With a message, for unusable pictures or methods, or a device that is not there.
    """
    from . import report as speed_report  # need PyTorch, which takes seconds to import
    from . import timing

    if options.out:
        # Only these need matplotlib and jinja2; if they are missing, say so before the work.
        from ..common import page
        from . import plots

    if options.device == "cuda" and not has_cuda():
        options.fail("there is no CUDA device here")
    machine = {**describe_machine(), **library_versions()}
    print(*(f"{name}: {value}" for name, value in machine.items()), sep="\n")
    try:
        random = list(filter(unshipped, options.methods))
        for name in random:
            print(RANDOM.format(name))
        cases = list_cases(options)
        photographs = list(read_photographs(options.data).values())
        images = {c.size: [fit(p, c.size)[0] for p in photographs] for c in cases}
        results = []
        with tqdm(total=len(cases), desc="time", unit="case") as bar:
            for _, group in itertools.groupby(cases, timing.group_of):
                same = list(group)
                results += timing.measure(same, images[same[0].size], options.repeats)
                bar.update(len(same))
    except (PhotographError, MethodError) as error:
        options.fail(str(error))
    rows = [speed_report.describe(result, results) for result in results]
    data = describe_photographs(options.data, len(photographs))
    tables = speed_report.tabulate(rows)
    print(data, format_tables(tables), sep="\n\n")
    if options.out:
        options.out.mkdir(parents=True, exist_ok=True)
        write_csv(options.out / "speed.csv", rows)
        report = {
            "benchmark": "speed",
            "machine": machine,
            "rules": RULES,
            "rows": rows,
            "rounds": [asdict(result) for result in results],
        }
        text = json.dumps(report, indent=1, allow_nan=False)
        outputs.write(options.out / "speed.json", text.encode())
        made = page.Page(
            "Time of a frame",
            data,
            options.command_line,
            [
                page.Section("Results", tables=tables, plots=plots.frame_bars(rows)),
                page.Section("How it was measured", RULES),
            ],
            RANDOM.format(", ".join(random)) if random else "",
            machine,
        )
        page.write_html(options.out / "speed.html", made)


def list_cases(options: argparse.Namespace) -> list[Case]:
    """List what to time; what is compared with one another lies side by side."""
    devices = [options.device]
    if options.device == "auto":
        devices = ["cpu", "cuda"] if has_cuda() else ["cpu"]
    cases = []
    for one_size, count, n in itertools.product(options.sizes, options.points, options.threads):
        for method in options.methods:
            if not is_ours(method):
                cases.append(Case(method, one_size, count, n))
                continue
            cases += [
                Case(method, one_size, count, n, device, precision, batch)
                for device in devices
                # The CPU's threads hardly matter to a GPU.
                if device == "cpu" or n == max(options.threads)
                for precision in options.precisions
                for batch in options.batches
            ]
    return cases

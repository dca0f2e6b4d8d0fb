"""The command ``speed``: how long detectAndCompute takes, and where the time goes."""

import argparse
import itertools
import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

from tqdm import tqdm

from ..common import outputs
from ..common.datasets import fit
from ..common.detectors import MethodError, runs_on_gpu
from ..common.machine import count_cores, describe_machine, has_cuda, library_versions
from ..common.options import add_methods, positive, size
from ..common.photographs import PhotographError, describe_photographs, read_photographs
from ..common.tables import write_csv
from .cases import NETWORKS, PRECISIONS, Case, ships
from .memory import peak_memory

SIZES = ((240, 320), (480, 640), (720, 1280), (1080, 1920))
"""(height, width), of the command's default."""

RULES = """\
Times detectAndCompute of grey photographs, resized with their ratio kept and cropped; without
--data they are those inside scikit-image, most of which are enlarged for sizes above 320x240.
Batches above 1 go through extract(), without cv2.KeyPoint; times are per image. Two rounds to warm
up; then rounds in which every method has its turn, on the same image. Median and quartiles over
the rounds. The ratios are to the times of ORB and SIFT (one image, CPU) of the same size, points,
threads and run. On a GPU, times are taken once it has finished, and also by its own events. The
stages are timed in further calls. Memory is the peak of a fresh process for each row: resident, or
allocated on the GPU. On a machine with other work to do, networks with a thread on every core slow
down far more than the others: leave a core free with --threads."""


def add_command(commands: Any) -> None:
    """Add the command to the subparsers of ``python -m benchmarks``."""
    parser = commands.add_parser(
        "speed", help="milliseconds per image, against ORB and SIFT", description=RULES
    )
    add = parser.add_argument
    add("--data", type=Path, metavar="DIR", help="a folder of pictures")
    add(
        "--sizes",
        nargs="+",
        type=size,
        metavar="WxH",
        help=f"default: {' '.join(f'{width}x{height}' for height, width in SIZES)}",
    )
    add("--points", nargs="+", type=positive, metavar="N", help="default: 1000")
    add_methods(parser, "ORB", "SIFT", "AKAZE", *NETWORKS)
    add(
        "--threads",
        nargs="+",
        type=positive,
        metavar="N",
        help=f"of the CPU (default: {count_cores()})",
    )
    add(
        "--batches",
        nargs="+",
        type=positive,
        metavar="N",
        help=f"images per call, of {' and '.join(NETWORKS)} (default: 1)",
    )
    add(
        "--precisions",
        nargs="+",
        choices=PRECISIONS,
        help="of the same (default: float32 on a CPU, all on a GPU)",
    )
    add(
        "--device",
        choices=["auto", "cpu", "cuda"],
        default="auto",
        help="of the same; auto: the CPU, and CUDA where there is one",
    )
    add("--repeats", type=positive, default=5, metavar="N", help="rounds; default: 5")
    add(
        "--full",
        action="store_true",
        help="500, 1000 and 2000 points, 1, 2 and all threads, batches of 1, 8 and 32 (takes hours "
        "on a CPU); lists given explicitly still count",
    )
    add("--out", type=Path, metavar="DIR", help="write speed.csv and speed.json")
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

    if options.device == "cuda" and not has_cuda():
        options.fail("there is no CUDA device here")
    machine = {**describe_machine(), **library_versions()}
    print(*(f"{name}: {value}" for name, value in machine.items()), sep="\n")
    for name, model in NETWORKS.items():
        if name in options.methods and not ships(model):
            print(f"{name}: no weights ship, so they are RANDOM: its network takes the time of a")
            print("  trained one, its detection sees a heat map without peaks")
    cases = list_cases(options)
    try:
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
    peaks = [peak_memory(r.case, images[r.case.size]) for r in tqdm(results, desc="memory")]
    rows = [
        speed_report.describe(result, results, peak)
        for result, peak in zip(results, peaks, strict=True)
    ]
    print(describe_photographs(options.data, len(photographs)), end="\n\n")
    print(speed_report.format_results(rows))
    if options.out:
        options.out.mkdir(parents=True, exist_ok=True)
        write_csv(options.out / "speed.csv", rows)
        rounds = [asdict(result) for result in results]
        report = {"machine": machine, "rules": RULES, "rows": rows, "rounds": rounds}
        text = json.dumps(report, indent=1, allow_nan=False)
        outputs.write(options.out / "speed.json", text.encode())


def list_cases(options: argparse.Namespace) -> list[Case]:
    """List what to time; what is compared with one another lies side by side."""
    full, cores = options.full, count_cores()
    sizes = options.sizes or list(SIZES)
    points = options.points or ([500, 1000, 2000] if full else [1000])
    threads = options.threads or (sorted({1, min(2, cores), cores}) if full else [cores])
    batches = options.batches or ([1, 8, 32] if full else [1])
    devices = [options.device]
    if options.device == "auto":
        devices = ["cpu", "cuda"] if has_cuda() else ["cpu"]
    cases = []
    for one_size, count, n in itertools.product(sizes, points, threads):
        for method in options.methods:
            if method not in NETWORKS:
                device = "cuda" if runs_on_gpu(method) else "cpu"
                cases.append(Case(method, one_size, count, n, device))
                continue
            for device in devices:
                if device == "cuda" and n < max(threads):
                    continue  # the CPU's threads hardly matter to a GPU
                for_all = list(PRECISIONS) if device == "cuda" else ["float32"]
                cases += [
                    Case(method, one_size, count, n, device, precision, batch)
                    for precision in options.precisions or for_all
                    for batch in batches
                ]
    return cases

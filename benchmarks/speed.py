"""``python -m benchmarks speed``: how long detectAndCompute takes, and where the time goes."""

import argparse
import itertools
import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np
import torch
from tqdm import tqdm

from cv2_superpoint.extractor import PRECISIONS

from . import roofline
from .cases import NETWORKS, Case, Image, choose, detect, make, set_threads, ships
from .datasets import fit
from .detectors import METHODS, UnknownMethodError
from .machine import count_cores, describe_machine
from .memory import peak_memory
from .photographs import PhotographError, read_photographs
from .speed_report import Result, describe, format_results, group_of
from .tables import write_csv

SIZES = ("320x240", "640x480", "1280x720", "1920x1080")

RULES = """\
Times detectAndCompute of grey photographs, resized with their ratio kept and cropped; without
--data they are those of scikit-image, which are smaller than the larger sizes and enlarged for
them. Batches above 1 go through extract(), without cv2.KeyPoint; times are per image. Two
rounds to warm up; then rounds in which every method has its turn, on the same image. Median and
quartiles over the rounds. The ratios are to the times of ORB and SIFT (one image, CPU) of the same
size, points, threads and run. On a GPU, times are taken once it has finished, and also by its own
events. The stages are timed in further calls. Memory is the peak of a fresh process for each row:
resident, or allocated on the GPU. On a machine with other work to do, networks with a thread on
every core slow down far more than the others: leave a core free with --threads."""

WARM_UP_ROUNDS = 2
STAGE_ROUNDS = 3


def add_command(commands: Any) -> None:
    """Add the command to those of an argument parser."""
    parser = commands.add_parser(
        "speed", help="milliseconds per image, against ORB and SIFT", description=RULES
    )
    every = [*(name for name in METHODS if name not in NETWORKS), *NETWORKS]
    cores = count_cores()
    parser.add_argument("--data", type=Path, metavar="DIR", help="a folder of pictures")
    parser.add_argument("--sizes", nargs="+", type=_size, metavar="WxH", help=" ".join(SIZES))
    parser.add_argument("--points", nargs="+", type=_count, metavar="N", help="default: 1000")
    parser.add_argument(
        "--methods",
        nargs="+",
        default=["ORB", "SIFT", "AKAZE", *NETWORKS],
        metavar="NAME",
        help=f"{', '.join(every)}, or module:callable (default: ORB SIFT AKAZE and our networks)",
    )
    parser.add_argument(
        "--threads", nargs="+", type=_count, metavar="N", help=f"of the CPU (default: {cores})"
    )
    parser.add_argument(
        "--batches", nargs="+", type=_count, metavar="N", help="images per call (default: 1)"
    )
    parser.add_argument(
        "--precisions",
        nargs="+",
        choices=PRECISIONS,
        help="of our networks (default: float32 on a CPU, all on a GPU)",
    )
    parser.add_argument(
        "--device",
        choices=["auto", "cpu", "cuda"],
        default="auto",
        help="of our networks; auto: the CPU, and CUDA where there is one",
    )
    parser.add_argument("--repeats", type=_count, default=5, metavar="N", help="rounds; default: 5")
    parser.add_argument(
        "--full",
        action="store_true",
        help="500, 1000 and 2000 points, 1, 2 and all threads, batches of 1, 8 and 32 (takes hours "
        "on a CPU); lists given explicitly still count",
    )
    parser.add_argument("--out", type=Path, metavar="DIR", help="write speed.csv and speed.json")
    parser.set_defaults(run=run, fail=parser.error)


def run(options: argparse.Namespace) -> None:
    """Time what the options name, and print and write it."""
    if options.device == "cuda" and not torch.cuda.is_available():
        options.fail("there is no CUDA device here")
    machine = describe_machine()
    print(*(f"{name}: {value}" for name, value in machine.items()), sep="\n")
    for name, model in NETWORKS.items():
        if name in options.methods and not ships(model):
            print(f"{name}: no weights ship, so they are RANDOM: its network takes the time of a")
            print("  trained one, its detection sees a heat map without peaks")
    cases = list_cases(options)
    try:
        photographs = list(read_photographs(options.data).values())
        images = {size: [fit(p, size)[0] for p in photographs] for size in {c.size for c in cases}}
        results = []
        with tqdm(total=len(cases), desc="time", unit="case") as bar:
            for _, group in itertools.groupby(cases, group_of):
                same = list(group)
                results += measure(same, images[same[0].size], options.repeats)
                bar.update(len(same))
    except (PhotographError, UnknownMethodError) as error:
        options.fail(str(error))
    peaks = [peak_memory(r.case, images[r.case.size]) for r in tqdm(results, desc="memory")]
    rows = [describe(result, results, peak) for result, peak in zip(results, peaks, strict=True)]
    print(format_results(rows))
    if options.out:
        options.out.mkdir(parents=True, exist_ok=True)
        write_csv(options.out / "speed.csv", rows)
        rounds = [asdict(result) for result in results]
        report = {"machine": machine, "rules": RULES, "rows": rows, "rounds": rounds}
        (options.out / "speed.json").write_text(json.dumps(report, indent=1, allow_nan=False))


def list_cases(options: argparse.Namespace) -> list[Case]:
    """List what to time; what is compared with one another lies side by side."""
    full, cores = options.full, count_cores()
    sizes = options.sizes or [_size(size) for size in SIZES]
    points = options.points or ([500, 1000, 2000] if full else [1000])
    threads = options.threads or (sorted({1, min(2, cores), cores}) if full else [cores])
    batches = options.batches or ([1, 8, 32] if full else [1])
    devices = [options.device]
    if options.device == "auto":
        devices = ["cpu", "cuda"] if torch.cuda.is_available() else ["cpu"]
    cases = []
    for size, count, n in itertools.product(sizes, points, threads):
        for method in options.methods:
            if method not in NETWORKS:
                cases.append(Case(method, size, count, n))
                continue
            for device in devices:
                if device == "cuda" and n < max(threads):
                    continue  # the CPU's threads hardly matter to a GPU
                for_all = list(PRECISIONS) if device == "cuda" else ["float32"]
                cases += [
                    Case(method, size, count, n, device, precision, batch)
                    for precision in options.precisions or for_all
                    for batch in batches
                ]
    return cases


def measure(cases: Sequence[Case], images: Sequence[Image], rounds: int) -> list[Result]:
    """Time cases of one size, in rounds of one call each, so that noise hits all alike.

    Parameters
    ----------
    cases : sequence of Case
        Of one size and number of threads.
    images : sequence of (height, width) uint8 arrays
    rounds : int
    """
    made = [(case, make(case)) for case in cases]
    set_threads(cases[0].threads)
    for _ in range(WARM_UP_ROUNDS):
        for case, detector in made:
            detect(detector, choose(images, case.batch, 0))
    timed = [
        [_time(detector, case, choose(images, case.batch, turn)) for case, detector in made]
        for turn in range(rounds)
    ]
    results = []
    for (case, detector), calls in zip(made, zip(*timed, strict=True), strict=True):
        found, times, device_times = zip(*calls, strict=True)
        on_gpu = case.device != "cpu"
        stages = _median_stages(detector, case, images) if case.method in NETWORKS else {}
        results.append(
            Result(
                case,
                int(np.median(found)),
                list(times),
                list(device_times) if on_gpu else [],
                stages,
            )
        )
    return results


def _time(detector: Any, case: Case, images: list[Image]) -> tuple[int, float, float]:
    """Return keypoints, and milliseconds per image by the clock and by the device."""
    if case.device != "cpu":
        torch.cuda.synchronize()
    start, begin = perf_counter(), roofline.mark(case.device)
    keypoints = detect(detector, images)
    device_time = roofline.milliseconds(begin, roofline.mark(case.device))  # waits for a GPU
    time = roofline.milliseconds(start, perf_counter())
    return keypoints, time / len(images), device_time / len(images)


def _median_stages(detector: Any, case: Case, images: Sequence[Image]) -> dict[str, float]:
    rounds = [
        roofline.time_stages(detector, choose(images, case.batch, turn), case.device)
        for turn in range(STAGE_ROUNDS)
    ]
    return {name: float(np.median([r[name] for r in rounds])) for name in roofline.STAGES}


def _size(text: str) -> tuple[int, int]:
    """Read ``640x480`` as (height, width)."""
    width, cross, height = text.partition("x")
    if not cross:
        raise argparse.ArgumentTypeError(f"a size is like 640x480, not {text!r}")
    return _count(height), _count(width)


def _count(text: str) -> int:
    if not text.isdecimal() or int(text) == 0:
        raise argparse.ArgumentTypeError(f"a positive whole number is wanted, not {text!r}")
    return int(text)

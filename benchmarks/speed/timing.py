"""Times of cases, taken in rounds."""

from collections.abc import Sequence
from dataclasses import dataclass
from time import perf_counter
from typing import Any

import numpy as np
import torch

from ..common.datasets import Image
from . import roofline
from .cases import NETWORKS, Case, choose, detect, make, set_threads

WARM_UP_ROUNDS = 2
STAGE_ROUNDS = 3


@dataclass(frozen=True)
class Result:
    """The times of a case, in milliseconds per image, one per round.

    Attributes
    ----------
    keypoints : int
        Median over the rounds.
    device_times : list of float
        By the events of a GPU; empty on a CPU.
    stages : dict of str to float
        Medians, by `roofline.STAGES`; empty for methods that are not in `NETWORKS`.
    """

    case: Case
    keypoints: int
    times: list[float]
    device_times: list[float]
    stages: dict[str, float]


def group_of(case: Case) -> tuple[Any, ...]:
    """Return what cases must share to be compared with one another."""
    return case.size, case.points, case.threads


def measure(cases: Sequence[Case], images: Sequence[Image], rounds: int) -> list[Result]:
    """Time cases in rounds of one call each, so that noise hits all alike.

    Parameters
    ----------
    cases : sequence of Case
        Of one group (`group_of`).
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

"""Times of cases, taken in rounds."""

import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from time import perf_counter
from typing import Any

import cv2
import numpy as np
import torch

from ..common.datasets import Image
from ..common.detectors import DetectionOnly
from . import roofline
from .cases import Case, choose, detect, make, make_matcher, next_frame, set_threads

WARM_UP_ROUNDS = 2
STAGE_ROUNDS = 3


@dataclass(frozen=True)
class Result:
    """The times of a case, in milliseconds, one per round.

    Attributes
    ----------
    keypoints : int
        Median over the rounds.
    times : list of float
        Of detection and description, per image.
    device_times : list of float
        The same by the events of a GPU; empty on a CPU.
    match_times, homography_times : list of float
        Of the rest of a frame loop: matching with the frame before, and findHomography. Empty for
        batches and for methods without descriptors.
    stages : dict of str to float
        Medians, by `roofline.STAGES`; empty where they cannot be told apart.
    operations : int
        Of the convolutions, per image; 0 as for stages.
    precision : str
        Of the arithmetic of the network; empty as for stages.
    """

    case: Case
    keypoints: int
    times: list[float]
    device_times: list[float]
    match_times: list[float]
    homography_times: list[float]
    stages: dict[str, float]
    operations: int = 0
    precision: str = ""

    @property
    def frame_times(self) -> list[float]:
        """Of the whole frame loop."""
        parts = zip(self.times, self.match_times, self.homography_times, strict=False)
        return [sum(part) for part in parts]


def group_of(case: Case) -> tuple[Any, ...]:
    """Return what cases must share to be compared with one another."""
    return case.size, case.points, case.threads


def measure(cases: Sequence[Case], images: Sequence[Image], rounds: int) -> list[Result]:
    """Time cases in rounds of one turn each, so that noise hits all alike.

    Parameters
    ----------
    cases : sequence of Case
        Of one group (`group_of`).
    images : sequence of (height, width) uint8 arrays
    rounds : int
    """
    made = [(case, make(case)) for case in cases]
    set_threads(cases[0].threads)
    frames = [(image, next_frame(image)) for image in images]
    turns = [*range(-WARM_UP_ROUNDS, 0), *range(rounds)]
    timed = [
        [_take_turn(case, detector, frames, turn) for case, detector in made] for turn in turns
    ]
    kept = zip(*timed[WARM_UP_ROUNDS:], strict=True)
    return [
        _result(case, detector, images, taken)
        for (case, detector), taken in zip(made, kept, strict=True)
    ]


@dataclass(frozen=True)
class _Turn:
    """What a case did in a round: milliseconds, per image where there are several."""

    keypoints: int
    time: float
    device_time: float
    match_time: float | None = None
    homography_time: float | None = None


def _take_turn(
    case: Case, detector: Any, frames: Sequence[tuple[Image, Image]], turn: int
) -> _Turn:
    if case.batch > 1 or isinstance(detector, DetectionOnly):
        images = choose([first for first, _ in frames], case.batch, turn)
        keypoints, time, device_time = _clock(case, lambda: detect(detector, images))
        return _Turn(keypoints, time / case.batch, device_time / case.batch)
    found = [
        _clock(case, functools.partial(detector.detectAndCompute, image, None))
        for image in frames[turn % len(frames)]
    ]
    (((before, query), *_), ((keypoints, train), *_)) = found
    time, device_time = (float(np.mean([call[i] for call in found])) for i in (1, 2))
    if not before or not keypoints:
        return _Turn(len(keypoints), time, device_time, match_time=0, homography_time=0)
    matcher = make_matcher(case.method, detector.defaultNorm())
    matches, match_time, _ = _clock(case, lambda: matcher.match(query, train))
    _, homography_time, _ = _clock(case, lambda: _find_homography(before, keypoints, matches))
    return _Turn(len(keypoints), time, device_time, match_time, homography_time)


def _find_homography(before: Any, keypoints: Any, matches: Any) -> Any:
    if len(matches) < 4:
        return None
    query, train = np.array([(m.queryIdx, m.trainIdx) for m in matches]).T
    source, target = cv2.KeyPoint.convert(before)[query], cv2.KeyPoint.convert(keypoints)[train]
    return cv2.findHomography(source, target, cv2.RANSAC, 3.0)


def _clock(case: Case, call: Callable[[], Any]) -> tuple[Any, float, float]:
    """Call, and return the result, and milliseconds by the clock and by the device."""
    if case.device != "cpu":
        torch.cuda.synchronize()
    start, begin = perf_counter(), roofline.mark(case.device)
    result = call()
    device_time = roofline.milliseconds(begin, roofline.mark(case.device))  # waits for a GPU
    return result, roofline.milliseconds(start, perf_counter()), device_time


def _result(case: Case, detector: Any, images: Sequence[Image], turns: Sequence[_Turn]) -> Result:
    stages, operations, precision = {}, 0, ""
    if hasattr(detector, "getPrecision"):
        stages = _median_stages(detector, case, images)
        operations = roofline.count_operations(detector, images[0])
        precision = detector.getPrecision()
    return Result(
        case,
        int(np.median([turn.keypoints for turn in turns])),
        [turn.time for turn in turns],
        [turn.device_time for turn in turns] if case.device != "cpu" else [],
        [turn.match_time for turn in turns if turn.match_time is not None],
        [turn.homography_time for turn in turns if turn.homography_time is not None],
        stages,
        operations,
        precision,
    )


def _median_stages(detector: Any, case: Case, images: Sequence[Image]) -> dict[str, float]:
    rounds = [
        roofline.time_stages(detector, choose(images, case.batch, turn), case.device)
        for turn in range(STAGE_ROUNDS)
    ]
    return {name: float(np.median([r[name] for r in rounds])) for name in rounds[0]}

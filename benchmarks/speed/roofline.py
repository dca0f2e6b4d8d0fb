"""Where the time of a network goes, and how much of it the machine's arithmetic explains.

The roofline here is the arithmetic one: operations of the network, divided by the rate at which
the same device multiplies large matrices at the same precision. (Williams, Waterman, Patterson,
"Roofline: An Insightful Visual Performance Model for Multicore Architectures", CACM 2009. Memory
bandwidth, the other part of that model, is left out.)
"""

import functools
import itertools
from collections.abc import Callable, Sequence
from time import perf_counter
from typing import Any

import torch
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode

from cv2_superpoint.extract.regions import levels
from cv2_superpoint.model.network import CELL, SuperPointNet
from cv2_superpoint.opencv.conversion import to_keypoints
from cv2_superpoint.runners.eager import DTYPES

from ..common.datasets import Image

STAGES = ("network", "detection", "KeyPoints")
"""While convolutions run; all else from image to Features; Features to cv2.KeyPoint."""

PRODUCTS = 20
"""So many matrix products, of which the fastest counts: other work only ever slows them down."""


def mark(device: str) -> Any:
    """Mark this moment: in seconds on the CPU, as an event in the order of its work on a GPU."""
    if device == "cpu":
        return perf_counter()
    event = torch.cuda.Event(enable_timing=True)
    event.record()
    return event


def milliseconds(begin: Any, end: Any) -> float:
    """Return the time between two marks of one device, once it has passed both."""
    if isinstance(begin, float):
        return 1000 * (end - begin)
    end.synchronize()
    return float(begin.elapsed_time(end))


def time_stages(detector: Any, images: Sequence[Image], device: str) -> dict[str, float]:
    """Time the stages of one call.

    Parameters
    ----------
    detector : SuperPoint
    images : sequence of (height, width) uint8 arrays
        One batch.
    device : str
        The detector's.

    Returns
    -------
    dict of str to float
        Milliseconds per image, by `STAGES`, over all levels of the pyramid.
    """
    extractor = detector._extractor
    runner = extractor.runner
    extractor.runner = watched = _Watched(runner, device)
    try:
        begin = mark(device)
        features = detector.extract(list(images))
        end = mark(device)
    finally:
        extractor.runner = runner
    network = _time_of(watched.calls)
    start = perf_counter()
    for one in features:
        to_keypoints(one)
    rest = milliseconds(begin, end) - network
    spans = (network, rest, milliseconds(start, perf_counter()))
    return {name: span / len(images) for name, span in zip(STAGES, spans, strict=True)}


def _time_of(calls: Sequence[tuple[Any, Any]]) -> float:
    """Return the milliseconds in which at least one call ran; on a CPU two may at once."""
    if not isinstance(calls[0][0], float):
        return sum(itertools.starmap(milliseconds, calls))
    total, until = 0.0, 0.0
    for begin, end in sorted(calls):
        total += milliseconds(max(begin, until), max(end, until))
        until = max(end, until)
    return total


class _Watched:
    """A runner that notes when each of its calls begins and ends."""

    def __init__(self, runner: Any, device: str) -> None:
        self.runner, self.place = runner, device
        self.device, self.precision = runner.device, runner.precision
        self.calls: list[tuple[Any, Any]] = []

    def __call__(self, *arguments: Any) -> Any:
        begin = mark(self.place)
        maps = self.runner(*arguments)
        self.calls.append((begin, mark(self.place)))
        return maps


def count_operations(detector: Any, image: Image) -> int:
    """Count the additions and multiplications of the convolutions on one image, by PyTorch.

    All levels of the pyramid, each padded to whole cells, as the package does; the last layer of
    the descriptors as if it were applied to all cells.
    """
    with torch.device("meta"):  # shapes only
        network = SuperPointNet(detector._extractor.network.architecture)
    with torch.inference_mode(), FlopCounterMode(display=False) as counter:
        for _, size in levels(image.shape[0], image.shape[1], detector._settings):
            height, width = (-(-side // CELL) * CELL for side in size)
            network(torch.empty(1, 1, height, width, device="meta"))
    return int(counter.get_total_flops())


@functools.cache
def multiplication_rate(device: str, precision: str, threads: int) -> float:
    """Measure operations per second of the product of large square matrices, at its best.

    Parameters
    ----------
    device : str
    precision : str
        ``"int8"``, or a key of DTYPES. On CUDA, float32 is TF32 where PyTorch's convolutions use
        that.
    threads : int
        Of the CPU; they stay set.
    """
    torch.set_num_threads(threads)
    side = 2048 if device == "cpu" else 8192
    factor = torch.rand(side, side, device=device) * 100
    multiply = _int8_product(factor) if precision == "int8" else _product(factor, DTYPES[precision])
    before = torch.backends.cuda.matmul.allow_tf32
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32
    try:
        multiply()
        times = []
        for _ in range(PRODUCTS):
            begin = mark(device)
            multiply()
            times.append(milliseconds(begin, mark(device)))
    finally:
        torch.backends.cuda.matmul.allow_tf32 = before
    return 2000 * side**3 / min(times)


def _product(factor: Tensor, dtype: torch.dtype) -> Callable[[], object]:
    factor = factor.to(dtype)
    return lambda: factor @ factor


def _int8_product(factor: Tensor) -> Callable[[], object]:
    """Return the product of uint8 and int8 by oneDNN, whose kernels convolve as well."""
    side = len(factor)
    left, right = factor.to(torch.uint8), factor.to(torch.int8)
    packed = torch.ops.onednn.qlinear_prepack(right, [side, side])
    scales, zeros = torch.ones(side), torch.zeros(side, dtype=torch.int32)
    multiply = torch.ops.onednn.qlinear_pointwise
    return lambda: multiply(
        left, 1.0, 0, packed, scales, zeros, None, 1.0, 0, torch.float32, "none", [], ""
    )

"""Where the time of a network goes, and how much of it the machine's arithmetic explains.

The roofline here is the arithmetic one: operations of the network, divided by the rate at which
the same device multiplies large matrices at the same precision. (Williams, Waterman, Patterson,
"Roofline: An Insightful Visual Performance Model for Multicore Architectures", CACM 2009. Memory
bandwidth, the other part of that model, is left out.)
"""

import functools
import itertools
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from time import perf_counter
from typing import Any

import torch
from torch import nn
from torch.nn.modules import module as hooks
from torch.utils.flop_counter import FlopCounterMode

from cv2_superpoint.opencv.conversion import to_keypoints
from cv2_superpoint.runners.eager import DTYPES

from ..common.datasets import Image

STAGES = ("read-in", "network", "detection", "KeyPoints")
"""Checks and upload; the convolutions; heat map to Features; Features to cv2.KeyPoint."""

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

    The network is what happens from the first call of a PyTorch module to the return of the last,
    so all levels of a pyramid and what lies between them.

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
        Milliseconds per image, by `STAGES`; empty if no PyTorch module was called.
    """
    with _module_calls(device) as calls:
        marks = [mark(device)]
        features = detector.extract(list(images))
        if not calls:
            return {}
        marks += [calls[0], calls[-1], mark(device)]
    spans = [milliseconds(a, b) for a, b in itertools.pairwise(marks)]
    start = perf_counter()
    for one in features:
        to_keypoints(one)
    spans.append(milliseconds(start, perf_counter()))
    return {name: span / len(images) for name, span in zip(STAGES, spans, strict=True)}


@contextmanager
def _module_calls(device: str) -> Iterator[list[Any]]:
    """Collect a mark whenever a PyTorch module that has parts begins or ends."""
    marks: list[Any] = []

    def note(module: nn.Module, *_: Any) -> None:
        if any(True for _ in module.children()):  # to mark each layer as well would cost time
            marks.append(mark(device))

    handles = [
        hooks.register_module_forward_pre_hook(note),
        hooks.register_module_forward_hook(note),
    ]
    try:
        yield marks
    finally:
        for handle in handles:
            handle.remove()


def count_operations(detector: Any, image: Image) -> int:
    """Count the additions and multiplications of the convolutions on one image, by PyTorch."""
    with FlopCounterMode(display=False) as counter:
        detector.extract(image)
    return int(counter.get_total_flops())


@functools.cache
def multiplication_rate(device: str, precision: str, threads: int) -> float:
    """Measure operations per second of the product of large square matrices, at its best.

    Parameters
    ----------
    device : str
    precision : str
        A key of DTYPES. On CUDA, float32 is TF32 where PyTorch's convolutions use that.
    threads : int
        Of the CPU; they stay set.
    """
    torch.set_num_threads(threads)
    side = 2048 if device == "cpu" else 8192
    factor = torch.rand(side, side, device=device).to(DTYPES[precision])
    before = torch.backends.cuda.matmul.allow_tf32
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32
    try:
        factor @ factor
        times = []
        for _ in range(PRODUCTS):
            begin = mark(device)
            factor @ factor
            times.append(milliseconds(begin, mark(device)))
    finally:
        torch.backends.cuda.matmul.allow_tf32 = before
    return 2000 * side**3 / min(times)

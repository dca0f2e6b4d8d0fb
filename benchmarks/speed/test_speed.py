"""Times of single calls for ``pytest benchmarks --benchmark-only``.

To find regressions: once with ``--benchmark-autosave``, later with ``--benchmark-compare`` and, to
fail on them, ``--benchmark-compare-fail=median:10%``.
"""

import functools
from typing import Any

import pytest

from ..common.datasets import Image, fit
from ..common.machine import count_cores, has_cuda
from ..common.photographs import read_photographs
from .cases import PRECISIONS, Case, choose, detect, make, set_threads

SIZES = ((240, 320), (480, 640))
CORES = count_cores()
OURS = ("SuperPoint-lite", "SuperPoint-full")

CASES = [Case(method, size, 1000, CORES) for size in SIZES for method in ("ORB", "SIFT", "AKAZE")]
CASES += [Case(name, size, 1000, CORES, "cpu") for size in SIZES for name in OURS]
if has_cuda():
    CASES += [
        Case(name, size, 1000, CORES, "cuda", precision, batch)
        for size in SIZES
        for name in OURS
        for precision in PRECISIONS
        for batch in (1, 8, 32)
    ]


@functools.cache
def photographs(size: tuple[int, int]) -> list[Image]:
    """Return those of scikit-image, at one size."""
    return [fit(photograph, size)[0] for photograph in read_photographs().values()]


@pytest.mark.parametrize("case", CASES, ids=str)
def test_detect_and_compute(benchmark: Any, case: Case) -> None:
    """Time detectAndCompute of one photograph, or extract of a batch."""
    detector = make(case)
    set_threads(case.threads)
    images = choose(photographs(case.size), case.batch, 0)
    benchmark.group = "{1}x{0}".format(*case.size)
    assert benchmark.pedantic(detect, (detector, images), rounds=10, warmup_rounds=2) > 0

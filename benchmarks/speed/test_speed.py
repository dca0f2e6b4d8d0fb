"""Times of single calls for ``pytest benchmarks --benchmark-only``.

``--benchmark-json FILE`` keeps them; ``python -m benchmarks compare-speed OLD NEW`` compares two
such files. For that, each round of ours is preceded by one of ORB and one of SIFT on the same
image. On the CPU one thread is used and its time counted, so that other work on the machine matters
little; how threads help is for ``python -m benchmarks speed``.
"""

import functools
from time import process_time
from typing import Any

import pytest

from ..common.datasets import Image, fit
from ..common.machine import has_cuda
from ..common.photographs import read_photographs
from .cases import PRECISIONS, REFERENCES, Case, choose, detect, make, set_threads

SIZES = ((480, 640), (240, 320))
"""The larger first: after it, the C library no longer returns the memory of the smaller."""

OURS = ("SuperPoint-lite", "SuperPoint-full")
ROUNDS, WARMUP_ROUNDS = 15, 2
CALLS = {"ORB": 8, "SIFT": 1}
"""Per round of a reference, so that no time is much shorter than the others."""

CLASSICAL = [Case(name, size, 1000, 1) for size in SIZES for name in ("ORB", "SIFT", "AKAZE")]
NETWORKS = [Case(name, size, 1000, 1) for size in SIZES for name in OURS]
ON_GPU = [
    Case(name, size, 1000, 1, "cuda", precision, batch)
    for size in SIZES
    for name in OURS
    for precision in PRECISIONS
    for batch in (1, 8, 32)
]


@functools.cache
def photographs(size: tuple[int, int]) -> list[Image]:
    """Return those of scikit-image, at one size."""
    return [fit(photograph, size)[0] for photograph in read_photographs().values()]


@pytest.mark.benchmark(timer=process_time)
@pytest.mark.parametrize("case", CLASSICAL, ids=str)
def test_classical(benchmark: Any, case: Case) -> None:
    """Time detectAndCompute of one photograph."""
    _time(benchmark, case)


@pytest.mark.benchmark(timer=process_time)
@pytest.mark.parametrize("case", NETWORKS, ids=str)
def test_network(benchmark: Any, case: Case) -> None:
    """Time the same, ORB and SIFT by turns with it."""
    image = photographs(case.size)[0]
    references = {name: make(Case(name, case.size, case.points, 1)) for name in REFERENCES}
    times: dict[str, list[float]] = {name: [] for name in references}

    def time_references() -> None:
        for name, reference in references.items():
            start = process_time()
            for _ in range(CALLS[name]):
                detect(reference, [image])
            times[name].append((process_time() - start) / CALLS[name])

    _time(benchmark, case, time_references)
    benchmark.extra_info["references"] = {n: t[-ROUNDS:] for n, t in times.items()}


@pytest.mark.skipif(not has_cuda(), reason="needs a GPU")
@pytest.mark.parametrize("case", ON_GPU, ids=str)
def test_on_gpu(benchmark: Any, case: Case) -> None:
    """Time the same on a GPU, or extract of a batch."""
    _time(benchmark, case)


def _time(benchmark: Any, case: Case, setup: Any = None) -> None:
    detector = make(case)
    set_threads(case.threads)
    images = choose(photographs(case.size), case.batch, 0)
    benchmark.group = "{1}x{0}".format(*case.size)
    found = benchmark.pedantic(
        detect, (detector, images), setup=setup, rounds=ROUNDS, warmup_rounds=WARMUP_ROUNDS
    )
    assert found > 0

"""How many threads compute."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing

import pytest
import torch

from cv2_superpoint import SuperPoint_create
from cv2_superpoint.runners import threads as module
from cv2_superpoint.runners.threads import choose_threads, threads


@pytest.fixture
def torch_threads():
    before = torch.get_num_threads()
    yield torch.set_num_threads
    torch.set_num_threads(before)


def test_no_wish_fills_the_memory():
    assert choose_threads(1 << 26) == 256


def test_a_wish_is_followed(torch_threads):
    torch_threads(2)
    assert choose_threads(3) == 3
    with threads(3) as team:
        assert torch.get_num_threads() == 1
        assert team.spread(torch.get_num_threads) == 3
        assert torch.get_num_threads() == 1
    assert torch.get_num_threads() == 2


@pytest.mark.parametrize(("count", "half"), [(1, 1), (2, 1), (5, 2)])
def test_a_second_thread_works_ahead(count, half):
    started = [threading.Event() for _ in range(9)]
    seen = {}

    def work(item):
        started[item].set()
        seen[item] = torch.get_num_threads(), threading.current_thread() is threading.main_thread()
        return -item

    with threads(count) as team:
        results = team.map(work, range(9))
        assert next(results) == 0
        if count > 1:
            assert started[4].wait(5)
            time.sleep(0.02)
            assert not started[5].is_set()  # what waits is bounded
        assert list(results) == [-i for i in range(1, 9)]
        assert torch.get_num_threads() == 1
    assert {threads for threads, _ in seen.values()} == {half}
    assert seen[0][1]
    assert all(seen[i][1] == (count == 1) for i in range(1, 5))


def test_what_is_not_begun_is_done_by_the_caller(monkeypatch):
    monkeypatch.setattr(ThreadPoolExecutor, "submit", lambda *_: Future())
    with threads(2) as team:
        assert list(team.map(str, range(9))) == list("012345678")


def test_all_threads_work_on_a_single_item():
    with threads(3) as team:
        assert list(team.map(lambda item: torch.get_num_threads(), ["only"])) == [3]


def test_an_error_of_the_second_thread_is_the_callers():
    begun = []

    def work(item):
        begun.append(item)
        if item == 1:
            raise KeyError(item)

    with threads(2) as team, pytest.raises(KeyError):
        list(team.map(work, range(9)))
    assert max(begun) < 6


def test_leaving_early_ends_the_second_thread(torch_threads):
    torch_threads(2)
    begun = []
    with threads(2) as team, closing(team.map(begun.append, range(99))) as results:
        next(results)
    count = len(begun)
    time.sleep(0.02)
    assert len(begun) == count < 9
    assert torch.get_num_threads() == 2


@pytest.mark.parametrize(("idle", "most", "count"), [(4, 8, 4), (9, 8, 8), (0, 8, 1), (-5, 8, 1)])
def test_by_default_idle_cores_compute(monkeypatch, torch_threads, idle, most, count):
    torch_threads(most)
    monkeypatch.setattr(module, "idle_cores", lambda: idle)
    assert choose_threads(None) == count


def test_the_number_is_restored_whatever_threads_end_first(torch_threads):
    torch_threads(2)

    def work(i: int) -> None:
        for _ in range(50):
            with threads(1 + i % 2):
                time.sleep(1e-4)

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(work, range(8)))
        left = set(pool.map(lambda _: torch.get_num_threads(), range(8)))
    assert torch.get_num_threads() == 2
    assert left == {2}


def test_a_thread_born_during_a_call_does_not_spread_its_number(torch_threads):
    torch_threads(2)
    born, ended = threading.Event(), threading.Event()

    def work() -> int:
        assert torch.get_num_threads() == 1  # it takes over the number of the main thread's call
        born.set()
        ended.wait(5)
        with threads(1):
            pass
        return torch.get_num_threads()

    with ThreadPoolExecutor(1) as pool:
        with threads(1):
            later = pool.submit(work)
            assert born.wait(5)
        ended.set()
        assert later.result() == 2
    with ThreadPoolExecutor(1) as pool:
        assert pool.submit(torch.get_num_threads).result() == 2


def test_a_number_that_a_thread_sets_stays_its_own(torch_threads):
    torch_threads(2)

    def work() -> int:
        torch.set_num_threads(1)
        with threads(3):
            pass
        return torch.get_num_threads()

    with ThreadPoolExecutor(1) as pool:
        assert pool.submit(work).result() == 1
    with threads(3):
        pass
    assert torch.get_num_threads() == 2


def test_a_loaded_machine_takes_no_longer_than_one_thread_does(photographs):
    image = photographs["camera"]
    spin = [sys.executable, "-c", "while True: pass"]
    others = [subprocess.Popen(spin) for _ in range(2 * (torch.get_num_threads() or 1))]
    try:
        kinds = [SuperPoint_create(300, device="cpu", threads=t) for t in (None, 1)]
        times: dict[int, list[float]] = {0: [], 1: []}
        for _ in range(8):
            for i, feature in enumerate(kinds):
                start = time.perf_counter()
                feature.detect(image)
                times[i].append(time.perf_counter() - start)
    finally:
        for other in others:
            other.kill()
            other.wait()
    chosen, one = (sorted(times[i])[3] for i in (0, 1))
    assert chosen < 1.3 * one + 0.05


def test_results_do_not_depend_on_the_number_of_threads(photographs):
    image = photographs["camera"][:, :157]  # an odd number of points and cells
    found = [
        SuperPoint_create(317, device="cpu", precision=p, threads=t).extract(image)
        for p in ("auto", "float32")
        for t in (1, 2, 2, 3)
    ]
    for one, others in ((found[0], found[1:4]), (found[4], found[5:])):
        for other in others:
            for name in ("xy", "score", "descriptors"):
                assert (getattr(one, name) == getattr(other, name)).all(), name

"""How many threads compute."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch

from cv2_superpoint import SuperPoint_create
from cv2_superpoint.runners import threads as module
from cv2_superpoint.runners.maps import Maps
from cv2_superpoint.runners.threads import Team, choose_threads, threads


@pytest.fixture
def torch_threads():
    before = torch.get_num_threads()
    yield torch.set_num_threads
    torch.set_num_threads(before)


def test_a_wish_is_followed(torch_threads):
    torch_threads(2)
    assert choose_threads(3) == 3
    with threads(3) as team:
        assert torch.get_num_threads() == 1
        assert team.spread(torch.get_num_threads) == 3
        assert torch.get_num_threads() == 1
    assert torch.get_num_threads() == 2


@pytest.mark.parametrize(("count", "share"), [(1, 1), (2, 1), (5, 2)])
def test_two_threads_share_what_there_is(count, share):
    meeting = threading.Barrier(2 if count > 1 else 1, timeout=5)
    done = []

    def work(team, item):
        if item < 2:
            meeting.wait()
        assert torch.get_num_threads() == 1
        done.append((item, team.spread(torch.get_num_threads), threading.get_ident()))

    with threads(count) as team:
        team.share(work, range(6))
    assert sorted(item for item, _, _ in done) == list(range(6))
    assert {threads for _, threads, _ in done} == {share}
    assert len({thread for _, _, thread in done}) == min(count, 2)


def test_all_threads_work_on_a_single_item():
    with threads(3) as team:
        team.share(lambda team, item: numbers.append(team.count), numbers := ["only"])
    assert numbers == ["only", 3]


@pytest.mark.parametrize("fails", [0, 1])
def test_an_error_in_either_thread_ends_both(fails):
    meeting = threading.Barrier(2, timeout=5)
    done = []

    def work(team, item):
        if item < 2:
            meeting.wait()
        if item == fails:
            raise KeyError(item)
        time.sleep(0.05)
        done.append(item)

    with threads(2) as team, pytest.raises(KeyError):
        team.share(work, range(9))
    assert len(done) <= 2


@pytest.mark.parametrize(("idle", "most", "count"), [(4, 8, 4), (9, 8, 8), (0, 8, 1), (-5, 8, 1)])
def test_by_defaultidle_cores_compute(monkeypatch, torch_threads, idle, most, count):
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


class SameOnAllLevels:
    """A runner that sees a point in each cell, all of them equal."""

    device, precision = torch.device("cpu"), "float32"

    def __call__(self, pixels, detect, describe):
        cells = len(pixels), pixels.shape[2] // 8, pixels.shape[3] // 8
        logits = torch.zeros(65, *cells)
        logits[27] = 9
        return Maps(logits.transpose(0, 1), torch.rand(96, *cells).transpose(0, 1))


@pytest.mark.parametrize("order", [slice(None), slice(None, None, -1)])
def test_it_does_not_matter_which_level_is_done_first(monkeypatch, order):
    def share(team, function, items):
        for item in list(items)[order]:
            function(team, item)

    monkeypatch.setattr(Team, "share", share)
    feature = SuperPoint_create(50, device="cpu")
    monkeypatch.setattr(feature._extractor, "runner", SameOnAllLevels())
    found = feature.extract(np.zeros((80, 96), np.uint8))
    assert len(np.unique(found.score)) == 1
    assert (found.octave == 0).all()  # the first of equal ones
    assert (np.diff(found.xy[:, 1]) >= 0).all()


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

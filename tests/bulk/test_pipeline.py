"""The stream from items to features."""

from __future__ import annotations

import threading

import numpy as np
import pytest

pytest.importorskip("tqdm")

from cv2_superpoint.bulk.decode import Decoded
from cv2_superpoint.bulk.pipeline import ahead, by_size, prefetch


def test_batches_are_of_one_size_and_few_images_wait():
    draw = np.random.default_rng(0)
    sizes = draw.integers(1, 40, 500)
    taken = waiting = most = 0

    def images():
        nonlocal taken
        for i, size in enumerate(sizes):
            taken += 1
            yield Decoded(str(i), np.zeros((size, 5), np.uint8))

    names = []
    for group in by_size(images(), 4):
        assert len({one.image.shape for one in group}) == 1
        assert len(group) <= 4
        waiting = taken - len(names)
        most = max(most, waiting)
        names += [one.name for one in group]
    assert sorted(map(int, names)) == list(range(500))
    assert most <= 8 * 4 + 1


def test_large_images_do_not_wait(monkeypatch):
    monkeypatch.setattr("cv2_superpoint.bulk.pipeline._MOST_PIXELS", 100)
    images = (Decoded(str(i), np.zeros((10 + i, 5), np.uint8)) for i in range(5))
    groups = by_size(images, 16)
    assert [one.name for one in next(groups)] == ["1"]


def test_broken_ones_come_at_once():
    first, second = Decoded("a", np.zeros((2, 2), np.uint8)), Decoded("b", None, "x")
    groups = list(by_size([first, second], 4))
    assert groups == [[second], [first]]


def test_ahead_keeps_order_and_takes_few():
    taken = 0

    def values():
        nonlocal taken
        for i in range(50):
            taken += 1
            yield i

    results = ahead(lambda value: value**2, values(), 3, 5)
    assert next(results) == 0
    assert taken <= 6
    assert list(results) == [i**2 for i in range(1, 50)]


def test_prefetch_raises_where_it_happened_and_stops():
    def values():
        yield from range(3)
        raise OSError("listing failed")

    results = prefetch(values())
    assert [next(results) for _ in range(3)] == [0, 1, 2]
    with pytest.raises(OSError, match="listing failed"):
        next(results)

    before = threading.active_count()
    endless = prefetch(iter(int, 1))
    next(endless)
    endless.close()
    for thread in threading.enumerate():
        if thread.daemon and thread.name.startswith("Thread") and "work" in thread.name:
            thread.join(5)
    assert threading.active_count() <= before

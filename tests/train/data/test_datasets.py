"""What the loader hands over: whole pictures and points, made by workers on their own."""

from __future__ import annotations

import itertools
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
from torch.utils.data import IterableDataset

from train.data.datasets import Shapes, collate, load


@pytest.fixture(autouse=True)
def threads():
    before = cv2.getNumThreads()
    yield
    cv2.setNumThreads(before)


def test_a_batch_pads_pictures_and_points():
    images = [np.full(size, 7, np.uint8) for size in ((64, 96), (80, 72))]
    points = [np.float32([[1, 2, 0], [3, 4, 5]]), np.zeros((0, 3), np.float32)]
    batch = collate(list(zip(images, points, strict=True)))
    assert batch.images.shape == (2, 1, 80, 96)
    assert batch.sizes.tolist() == [[64, 96], [80, 72]]
    for canvas, image in zip(batch.images[:, 0].numpy(), images, strict=True):
        assert (canvas[: image.shape[0], : image.shape[1]] == 7).all()
        assert canvas.sum() == image.sum()
    assert batch.points[0].tolist() == [[1, 2], [3, 4]]
    assert batch.level[0].tolist() == [0, 5]
    assert batch.present.tolist() == [[True, True], [False, False]]


@pytest.mark.parametrize("workers", [0, 2])
def test_every_process_and_worker_draws_pictures_of_its_own(workers):
    drawn = [
        picture.numpy().tobytes()
        for process in (0, 1)
        for batch in itertools.islice(load(Shapes((64, 96), [1, process]), 3, workers), 4)
        for picture in batch.images
    ]
    assert len(set(drawn)) == 24


class _Threads(IterableDataset):
    """Pictures whose grey is the number of threads that OpenCV may use."""

    def __iter__(self):
        while True:
            yield np.full((8, 8), cv2.getNumThreads(), np.uint8), np.zeros((0, 3), np.float32)


def test_workers_use_one_thread_each():
    cv2.setNumThreads(3)
    cv2.GaussianBlur(np.zeros((999, 999), np.float32), (0, 0), 3)  # now they have been started
    assert (next(load(_Threads(), 1, 1)).images == 1).all()


_FAILS = """
import signal
from train.data.datasets import Shapes, load
signal.signal(signal.SIGTERM, lambda *_: None)  # workers do not inherit that
batches = load(Shapes((64, 96), [1]), 2, 1)
next(batches)
raise SystemError("with a worker at work")
"""


def test_workers_end_with_a_caller_that_fails():
    root = Path(__file__).parents[3]
    command = [sys.executable, "-c", _FAILS]
    done = subprocess.run(
        command, cwd=root, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 1
    assert "with a worker at work" in done.stderr

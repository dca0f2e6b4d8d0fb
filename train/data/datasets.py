"""What the loader's workers make on the CPU: pictures and their points, padded to batches."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from typing import NamedTuple

import cv2
import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.utils.data import DataLoader, IterableDataset, get_worker_info

from . import shapes
from .images import ImageStore

Sample = tuple[npt.NDArray[np.uint8], npt.NDArray[np.float32]]
"""A picture, ``(H, W)``, and its points, ``(N, 3)``: pixels x, y and the level of the label."""


class Batch(NamedTuple):
    """Pictures on canvases of one size, and their points.

    Attributes
    ----------
    images
        ``(B, 1, H, W)`` uint8, each picture in the first rows and columns.
    sizes
        ``(B, 2)`` ``(height, width)`` of each picture.
    points
        ``(B, N, 2)`` float32 pixels ``(x, y)``.
    level
        ``(B, N)`` float32: at which of the scales of :mod:`train.data.scales` each is a point.
    present
        ``(B, N)`` bool: which rows are points.
    """

    images: Tensor
    sizes: Tensor
    points: Tensor
    level: Tensor
    present: Tensor


def collate(samples: list[Sample]) -> Batch:
    """Pad pictures and point sets of different sizes to one batch."""
    sizes = np.array([image.shape for image, _ in samples], np.int64)
    longest = max(1, *(len(points) for _, points in samples))
    height, width = sizes.max(0)
    images = np.zeros((len(samples), 1, height, width), np.uint8)
    points = np.zeros((len(samples), longest, 3), np.float32)
    present = np.zeros((len(samples), longest), bool)
    for i, (image, p) in enumerate(samples):
        images[i, 0, : image.shape[0], : image.shape[1]] = image
        points[i, : len(p)], present[i, : len(p)] = p, True
    arrays = (images, sizes, points[..., :2], points[..., 2], present)
    return Batch(*(torch.from_numpy(np.ascontiguousarray(array)) for array in arrays))


class Shapes(IterableDataset[Sample]):
    """Endless Synthetic Shapes of one size.

    Parameters
    ----------
    size
        ``(height, width)``.
    seed
        Numbers that tell this run, stage and process from others; workers add their own.
    """

    def __init__(self, size: tuple[int, int], seed: list[int]) -> None:
        self.size = size
        self.seed = seed

    def __iter__(self) -> Iterator[Sample]:
        rng = _worker_rng(self.seed)
        while True:
            image, corners = shapes.draw(rng, self.size)
            yield image, np.pad(corners, ((0, 0), (0, 1)))  # all of level 0


class Photographs(IterableDataset[Sample]):
    """Endless photographs with their pseudo-labels, at random.

    Parameters
    ----------
    store
        The photographs.
    labels
        ``(N, 3)`` of each, as in `Sample`; images beyond those labelled are not used.
    seed
        As for :class:`Shapes`.
    """

    def __init__(
        self, store: ImageStore, labels: list[npt.NDArray[np.float32]], seed: list[int]
    ) -> None:
        self.store = store
        self.labels = labels
        self.seed = seed

    def __iter__(self) -> Iterator[Sample]:
        rng = _worker_rng(self.seed)
        while True:
            for i in rng.permutation(len(self.labels)):
                yield self.store[int(i)], self.labels[i]


def load(dataset: IterableDataset[Sample], batch: int, workers: int) -> Iterator[Batch]:
    """Yield endless batches, made by so many processes; 0: by the caller's own."""
    if workers:  # which inherit one thread; told so themselves, they wait for threads they lack
        cv2.setNumThreads(1)
    loader = DataLoader(
        dataset,
        batch,
        num_workers=workers,
        collate_fn=collate,
        pin_memory=torch.cuda.is_available(),
        prefetch_factor=4 if workers else None,
        worker_init_fn=_leave_ctrl_c_to_the_caller,
    )
    yield from loader


def _leave_ctrl_c_to_the_caller(worker: int) -> None:
    """Ignore Ctrl-C: the caller ends its step first, and may need batches for it."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)  # by which the caller ends its workers


def _worker_rng(seed: list[int]) -> np.random.Generator:
    worker = get_worker_info()
    return np.random.default_rng([*seed, worker.id if worker else 0])

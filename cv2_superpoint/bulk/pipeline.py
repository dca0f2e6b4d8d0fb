"""From items to features in an output, a stream from end to end."""

from __future__ import annotations

import sys
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache
from queue import Full, Queue
from threading import Event, Thread
from typing import Any, TypeVar

from tqdm import tqdm

from ..features import Features
from ..opencv.feature2d import SuperPoint
from .colmap import ColmapDatabase
from .decode import Decoded, Image, decode_item
from .geometry import BLOCK, DEGENERATE, PAIRINGS, count_pairs, verify_pair
from .output import Output
from .sources import Item

S = TypeVar("S")
T = TypeVar("T")

_COMMIT_EVERY = 2.0  # seconds of work that a killed process loses at most
_MOST_PIXELS, _MOST_BATCHES = 1 << 26, 8  # that wait for more images of their sizes


@dataclass(frozen=True)
class Extracted:
    """What became of an item.

    Attributes
    ----------
    name
        Of the item.
    image_size
        ``(width, height)``.
    features
        None if the image is broken.
    error
        What is wrong with it.
    """

    name: str
    image_size: tuple[int, int]
    features: Features | None
    error: str = ""


Engine = Callable[[Iterator[Item]], Iterator[Extracted]]
"""Turns items into features, in any order."""


@dataclass
class Summary:
    """What a run did: images by what became of them, and seconds."""

    written: int = 0
    present: int = 0
    broken: int = 0
    seconds: float = 0.0


def run(items: Iterable[Item], total: int, engine: Engine, output: Output) -> Summary:
    """Extract from all items that an output does not have, and show the progress.

    Broken images are named on standard error.

    Parameters
    ----------
    items, total
        Images, and about how many there are.
    engine
        Such as :func:`local_engine`.
    output
        To add to.

    Raises
    ------
    BulkError, OSError
        If the output cannot be written, or a source not be listed.
    """
    summary, start = Summary(), time.monotonic()

    def new() -> Iterator[Item]:
        for item in prefetch(items):
            if item.name in output:
                summary.present += 1
                bar.total -= 1  # what it shows is about what there is to do
            else:
                yield item

    with tqdm(total=total, unit=" images", disable=None) as bar:
        tick = _committer(output)
        for found in engine(new()):
            bar.update()
            if found.features is None:
                summary.broken += 1
                bar.write(f"broken: {found.name}: {found.error}", file=sys.stderr)
            elif found.name not in output:  # an archive may hold a name twice
                output.write(found.name, found.image_size, found.features)
                summary.written += 1
                tick()
        output.commit()
    summary.seconds = time.monotonic() - start
    return summary


def match_images(database: ColmapDatabase, pairing: str, norm: int) -> tuple[int, int]:
    """Match pairs of images that are not matched yet, and show the progress.

    Parameters
    ----------
    database
        With features.
    pairing
        One of `PAIRINGS`.
    norm
        To compare descriptors by.

    Returns
    -------
    matched, verified : int
        How many pairs were matched now, and how many of them share enough of the scene.
    """
    images = database.image_ids()
    read = lru_cache(2 * BLOCK)(database.read)
    matched = verified = 0
    tick = _committer(database)
    total = count_pairs(pairing, len(images))
    for pair in tqdm(PAIRINGS[pairing](images), total=total, unit=" pairs", disable=None):
        first, second = sorted(pair)
        if not database.is_matched(first, second):
            found = verify_pair(read(first), read(second), norm)
            database.write_pair(first, second, found)
            matched += 1
            verified += found.config != DEGENERATE
            tick()
    database.commit()
    return matched, verified


def local_engine(feature: SuperPoint, batch: int, workers: int) -> Engine:
    """Return what extracts in this process, decoding ahead on as many threads as given.

    Parameters
    ----------
    feature
        Used on one thread.
    batch
        Images of one size to extract from at once.
    workers
        Threads that decode; OpenCV lets them run side by side.
    """

    def engine(items: Iterator[Item]) -> Iterator[Extracted]:
        decoded = ahead(decode_item, items, workers, batch + workers)
        return extract(decoded, feature, batch)

    return engine


def extract(images: Iterable[Decoded], feature: SuperPoint, batch: int) -> Iterator[Extracted]:
    """Yield the features of images, in batches of one size, and the broken ones as they come."""
    for group in by_size(images, batch):
        present: list[Image | None] = [one.image for one in group]
        features: Any = feature.extract(present)  # which stubs, since cv2's are skipped, mistake
        for one, found in zip(group, features, strict=True):
            if one.image is None:
                yield Extracted(one.name, (0, 0), None, one.error)
            else:
                height, width = one.image.shape
                yield Extracted(one.name, (width, height), found)


def by_size(images: Iterable[Decoded], batch: int) -> Iterator[list[Decoded]]:
    """Yield groups of up to `batch` images of one size; broken ones are groups of their own."""
    waiting: dict[tuple[int, ...], list[Decoded]] = {}
    count = pixels = 0
    for one in images:
        if one.image is None:
            yield [one]
            continue
        group = waiting.setdefault(one.image.shape, [])
        group.append(one)
        count, pixels = count + 1, pixels + one.image.size
        too_many = count > _MOST_BATCHES * batch or pixels > _MOST_PIXELS
        if len(group) == batch or too_many:
            ready = group if len(group) == batch else max(waiting.values(), key=_pixels)
            count, pixels = count - len(ready), pixels - _pixels(ready)
            waiting = {size: group for size, group in waiting.items() if group is not ready}
            yield ready
    yield from waiting.values()


def _pixels(images: list[Decoded]) -> int:
    return sum(one.image.size for one in images if one.image is not None)


def ahead(
    function: Callable[[S], T], values: Iterable[S], workers: int, window: int
) -> Iterator[T]:
    """Yield ``function(value)`` for each value, in order, computed on threads ahead of time.

    Parameters
    ----------
    function, values
        Values are taken on the thread that consumes the results.
    workers, window
        Threads, and how many results may be under way.
    """
    with ThreadPoolExecutor(workers) as pool:
        futures: deque[Future[T]] = deque()
        for value in values:
            futures.append(pool.submit(function, value))
            if len(futures) > window:
                yield futures.popleft().result()
        while futures:
            yield futures.popleft().result()


def prefetch(values: Iterable[T], window: int = 8) -> Iterator[T]:
    """Yield values that a thread takes ahead of time; an error is raised where it occurred."""
    queue: Queue[Any] = Queue(window)
    stopped = Event()

    def put(value: object) -> None:
        while not stopped.is_set():
            with suppress(Full):
                return queue.put(value, timeout=0.1)

    def work() -> None:
        try:
            for value in values:
                put((value,))
                if stopped.is_set():
                    return
            put(None)
        except BaseException as error:
            put(error)

    Thread(target=work, daemon=True).start()
    try:
        while (taken := queue.get()) is not None:
            if isinstance(taken, BaseException):
                raise taken
            yield taken[0]
    finally:
        stopped.set()


def _committer(output: Output) -> Callable[[], None]:
    """Return what commits an output if it was not committed for a while."""
    last = time.monotonic()

    def tick() -> None:
        nonlocal last
        if time.monotonic() - last > _COMMIT_EVERY:
            output.commit()
            last = time.monotonic()

    return tick

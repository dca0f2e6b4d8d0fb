"""How many threads PyTorch uses on a CPU.

Its threads spin while they wait for each other. If other processes need the cores, they wait for
threads that are not running: on a busy machine with two cores, two threads took 13 times as long as
one. And a child of ``os.fork`` has none of its parent's threads, but waits for them
(:mod:`cv2_superpoint.forks`).

PyTorch's number is each thread's own, but setting it also sets that of threads that have yet to
use PyTorch. One that does so for the first time while another detects has one thread until it
detects itself.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from threading import Lock
from typing import Any, TypeVar

import torch

from .. import forks

_MOST = 256
_AHEAD = 4
"""Results that may wait: the levels of the default pyramid after the first."""

S = TypeVar("S")
T = TypeVar("T")

_lock = Lock()
_inside, _before = 0, 1


def _in_child() -> None:
    global _lock, _inside
    _lock, _inside = Lock(), 0  # other threads were inside, but not in this process


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_in_child)


def choose_threads(wanted: int | None) -> int:
    """Return how many threads to use.

    Parameters
    ----------
    wanted
        None: as many as there are idle cores, at most ``torch.get_num_threads()``. Never more than
        256, since each takes memory. A forked child always uses one.
    """
    if forks.without_threads:
        return 1
    if wanted is not None:
        return min(wanted, _MOST)
    most = torch.get_num_threads()
    return max(1, min(most, idle_cores())) if most > 1 else 1


def idle_cores() -> int:
    """Return how many cores no other process is using now; 1 if the system does not tell."""
    try:
        with open("/proc/loadavg") as file:
            running = int(file.read().split()[3].split("/")[0]) - 1  # without this one
        return len(os.sched_getaffinity(0)) - running
    except (OSError, AttributeError, ValueError, IndexError):
        return 1


@dataclass(frozen=True)
class Team:
    """So many threads to compute on.

    What is not spread over them is computed on one, because the last bits of small matrix products
    depend on the number of threads, which follows the load of the machine; the network's outputs do
    not.
    """

    count: int

    def spread(self, function: Callable[..., T], *arguments: Any) -> T:
        """Call a function whose operations are each spread over all threads."""
        torch.set_num_threads(self.count)
        try:
            return function(*arguments)
        finally:
            torch.set_num_threads(1)

    def map(self, function: Callable[[S], T], items: Sequence[S]) -> Generator[T, None, None]:
        """Yield what a function returns for each item, in order.

        Meanwhile a second thread works ahead on later items, each of the two with half of the team.
        What it has not begun when it is wanted is done by the caller. So the function should take
        long, and little Python: between operations, Python runs one thread at a time.

        Close the iterator if it is left early. Gradient and autocast modes of the second thread are
        a fresh thread's.
        """
        if self.count == 1 or len(items) == 1:
            for item in items:
                yield self.spread(function, item)
            return
        half, left = Team(self.count // 2), iter(items[1:])
        ahead: deque[tuple[S, Future[T]]] = deque()
        with ThreadPoolExecutor(1) as executor:

            def work_ahead() -> None:
                for item in islice(left, _AHEAD - len(ahead)):
                    ahead.append((item, executor.submit(half.spread, function, item)))

            try:
                work_ahead()
                yield half.spread(function, items[0])
                while ahead:
                    item, later = ahead.popleft()
                    result = half.spread(function, item) if later.cancel() else later.result()
                    work_ahead()
                    yield result
            finally:
                for _, later in ahead:
                    later.cancel()


def _number_of_new_threads() -> int:
    """Return PyTorch's number for threads that have yet to use it.

    That of a thread may be 1 only because it first used PyTorch while another was inside.
    """
    with ThreadPoolExecutor(1) as executor:
        return executor.submit(torch.get_num_threads).result()


@contextmanager
def threads(wanted: int | None) -> Iterator[Team]:
    """Compute on one thread within the context, but for what is given to the team.

    Parameters
    ----------
    wanted
        How many threads the team has (see :func:`choose_threads`).
    """
    global _inside, _before
    count = choose_threads(wanted)
    with _lock:
        if not _inside:
            own = torch.get_num_threads()
            known = own > 1 or own == _before  # to ask takes 0.1 ms
            _before = own if known else _number_of_new_threads()
        _inside += 1
        torch.set_num_threads(1)
    try:
        yield Team(count)
    finally:
        with _lock:
            _inside -= 1
            torch.set_num_threads(_before)

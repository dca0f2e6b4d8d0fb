"""How many threads PyTorch uses on a CPU.

Its threads spin while they wait for each other. If other processes need the cores, they wait for
threads that are not running: on a busy machine with two cores, two threads took 13 times as long as
one. And a child of ``os.fork`` has none of its parent's threads, but waits for them.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from threading import Lock
from typing import Any, TypeVar

import torch

S = TypeVar("S")
T = TypeVar("T")

_lock = Lock()
_inside, _before = 0, 1
_forked = False


def _in_child() -> None:
    global _forked
    _forked = True
    torch.set_num_threads(1)


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_in_child)


def choose_threads(wanted: int | None) -> int:
    """Return how many threads to use.

    Parameters
    ----------
    wanted
        None: as many as there are idle cores, at most ``torch.get_num_threads()``. A forked child
        always uses one.
    """
    if _forked:
        return 1
    if wanted is not None:
        return wanted
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

    def share(self, function: Callable[[Team, S], object], items: Iterable[S]) -> None:
        """Call a function for each item, two at a time: each has half of the threads.

        Only large operations are worth spreading, and Python runs one thread at a time between
        them; so two threads of it are kept busy, and no more. Gradient and autocast modes of the
        second are a fresh thread's.

        Parameters
        ----------
        function
            Takes its team and an item.
        items
            Best ordered so that the first takes about as long as all others.
        """
        items = list(items)
        if self.count == 1 or len(items) == 1:
            for item in items:
                function(self, item)
            return
        half, left = Team(self.count // 2), iter(items)  # each item goes to whoever comes first

        def work() -> None:
            torch.set_num_threads(1)
            try:
                for item in left:
                    function(half, item)
            except BaseException:
                list(left)  # none is left to the other thread
                raise

        with ThreadPoolExecutor(1) as executor:
            other = executor.submit(work)
            work()
            other.result()


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
            _before = torch.get_num_threads()
        _inside += 1
        torch.set_num_threads(1)
    try:
        yield Team(count)
    finally:
        with _lock:
            _inside -= 1
            torch.set_num_threads(_before)

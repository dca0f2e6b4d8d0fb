"""How many threads PyTorch uses on a CPU.

Its threads spin while they wait for each other. If other processes need the cores, they wait for
threads that are not running: on a busy machine with two cores, two threads took 13 times as long as
one. And a child of ``os.fork`` has none of its parent's threads, but waits for them.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import Lock
from typing import Any, TypeVar

import torch

T = TypeVar("T")
Spread = Callable[..., Any]
"""Calls a function with its arguments on several threads."""

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


@contextmanager
def threads(wanted: int | None) -> Iterator[Spread]:
    """Compute on one thread within the context, but for what is spread over several.

    One, because the last bits of small matrix products depend on the number of threads, which
    follows the load of the machine; the network's outputs do not.

    Parameters
    ----------
    wanted
        How many threads to spread work over (see :func:`choose_threads`).

    Yields
    ------
    callable
        ``spread(function, *arguments)`` calls a function on so many threads.
    """
    global _inside, _before
    count = choose_threads(wanted)

    def spread(function: Callable[..., T], *arguments: Any) -> T:
        torch.set_num_threads(count)
        try:
            return function(*arguments)
        finally:
            torch.set_num_threads(1)

    with _lock:
        if not _inside:
            _before = torch.get_num_threads()
        _inside += 1
        torch.set_num_threads(1)
    try:
        yield spread
    finally:
        with _lock:
            _inside -= 1
            torch.set_num_threads(_before)

"""Ctrl-C in loops that save: they stop where it is safe, between two steps."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass

from lightning_fabric.utilities import rank_zero_only

SIGNALS = (signal.SIGINT, signal.SIGTERM)


@dataclass
class Request:
    """Whether the user has asked the loop to stop."""

    made: bool = False


@contextmanager
def held_back() -> Iterator[Request]:
    """Note the first Ctrl-C (or SIGTERM) instead of raising it; raise the next ones.

    What is raised in the middle of a step may be lost, as in functions that PyTorch calls from C++,
    or leave a lock of a library behind, for which saving would then wait.

    Yields
    ------
    Request
        For the loop to look at between two steps.

    Raises
    ------
    KeyboardInterrupt
        At the second request at once; at the end after one that the loop did not look at.
    """
    request = Request()

    def note(number: int, frame: object) -> None:
        if request.made:
            raise KeyboardInterrupt
        request.made = True
        if rank_zero_only.rank == 0:  # not by a stream, which may be in the middle of a write
            with suppress(OSError):  # of a pipe, say, whose reader Ctrl-C has ended
                os.write(2, b"\nstopping soon; once more to stop at once\n")

    if threading.current_thread() is not threading.main_thread():  # where no signal arrives
        yield request
        return
    before = {name: signal.signal(name, note) for name in SIGNALS}
    try:
        yield request
    finally:
        for name, handler in before.items():
            signal.signal(name, handler)
    if request.made:
        raise KeyboardInterrupt

"""Worker processes side by side, each with one thread."""

import multiprocessing
import multiprocessing.connection
import os
import signal
import threading
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager

import cv2


@contextmanager
def worker_pool(workers: int) -> Iterator[ProcessPoolExecutor]:
    """Keep a pool of processes that have one thread each and end with this process."""
    # "spawn", because forked processes inherit the threads' locks of OpenCV and PyTorch.
    context = multiprocessing.get_context("spawn")
    pool = ProcessPoolExecutor(workers, mp_context=context, initializer=_begin_worker)
    try:
        yield pool
    finally:
        # After an interruption or an error: finish what has begun, and begin nothing more.
        pool.shutdown(cancel_futures=True)


def _begin_worker() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent decides how to end
    threading.Thread(target=_end_with_parent, daemon=True).start()
    os.environ["OMP_NUM_THREADS"] = "1"  # for PyTorch, which is imported later if at all
    cv2.setNumThreads(1)


def _end_with_parent() -> None:
    # A pool's processes would wait for ever for work from a parent that was killed.
    parent = multiprocessing.parent_process()
    assert parent is not None
    multiprocessing.connection.wait([parent.sentinel])
    os._exit(1)

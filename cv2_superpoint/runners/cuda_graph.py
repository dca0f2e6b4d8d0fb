"""The network on a CUDA GPU, recorded once per size of image and then replayed.

An image of VGA size keeps a large GPU busy for less time than Python needs to start some forty
kernels one by one; a CUDA graph starts all of them at once. Not measured on a GPU yet.
"""

from __future__ import annotations

import warnings
from collections import OrderedDict
from collections.abc import Callable
from threading import Lock

import torch
from torch import Tensor

from .maps import Maps, Runner

Replay = Callable[[Tensor], Maps]
"""Does again what was recorded, for other pixels of the same size; the result is the caller's."""

Record = Callable[[Runner, Tensor, bool, bool], Replay | None]

MOST_GRAPHS = 32
"""Kept at once, each with its input and output: the pyramids of six sizes of image."""


class CudaGraphRunner:
    """Replays a runner for sizes of image that come again.

    The first image of a size runs as usual, the second is recorded: images of ever new sizes, which
    would be recorded in vain, lose nothing. Graphs share the memory of their intermediate results,
    so they are replayed one after the other, whatever thread or stream asks.

    Parameters
    ----------
    runner
        On a CUDA device.
    record
        Returns a function that does again what the runner does with an input, or None if that is
        impossible. By default it records CUDA graphs.
    """

    def __init__(self, runner: Runner, record: Record | None = None) -> None:
        self.precision = runner.precision
        self.device = runner.device
        self._runner = runner
        self._record = record or _Recorder()
        self._graphs: OrderedDict[tuple[object, ...], Replay | None] = OrderedDict()
        self._lock = Lock()

    @torch.inference_mode()
    def __call__(self, pixels: Tensor, detect: bool, describe: bool) -> Maps:
        """Run the network; see :class:`Runner`."""
        try:
            with self._lock:
                replay = self._find(pixels, detect, describe)
                if replay:
                    return replay(pixels)
            return self._runner(pixels, detect, describe)
        except torch.OutOfMemoryError:
            self._graphs.clear()  # their memory may be what is missing
            raise

    def _find(self, pixels: Tensor, detect: bool, describe: bool) -> Replay | None:
        """Return the graph for such an input, recorded if it is the second one."""
        kind = (tuple(pixels.shape), pixels.dtype, detect, describe)
        seen = kind in self._graphs
        replay = self._graphs.pop(kind, None)
        if seen and not replay:
            replay = self._record(self._runner, pixels, detect, describe)
        self._graphs[kind] = replay  # the last used comes last
        if len(self._graphs) > MOST_GRAPHS:
            self._graphs.popitem(last=False)
        return replay


class _Recorder:
    """Records CUDA graphs that share their memory."""

    def __init__(self) -> None:
        self._memory = torch.cuda.graph_pool_handle()
        self._free = torch.cuda.Event()  # the memory is, once this has happened
        self._possible = True

    def __call__(
        self, runner: Runner, pixels: Tensor, detect: bool, describe: bool
    ) -> Replay | None:
        if not self._possible:
            return None
        try:
            with torch.cuda.device(pixels.device):
                return self._recorded(runner, pixels.clone(), detect, describe)
        except torch.OutOfMemoryError:
            raise
        except RuntimeError as error:
            self._possible = False
            reason = str(error).splitlines()[0]
            warnings.warn(
                f"no CUDA graph can be recorded here, so kernels start one by one: {reason}",
                RuntimeWarning,
                stacklevel=2,
            )
            return None

    def _recorded(self, runner: Runner, given: Tensor, detect: bool, describe: bool) -> Replay:
        # First on another stream, as PyTorch's documentation asks for: what libraries set up when
        # they are first used must not be recorded.
        current, aside = torch.cuda.current_stream(), torch.cuda.Stream()
        aside.wait_stream(current)
        with torch.cuda.stream(aside):
            runner(given, detect, describe)
        current.wait_stream(aside)
        current.wait_event(self._free)
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph, pool=self._memory, capture_error_mode="thread_local"):
            maps = runner(given, detect, describe)

        def replay(pixels: Tensor) -> Maps:
            with torch.cuda.device(given.device):
                stream = torch.cuda.current_stream()
                stream.wait_event(self._free)
                given.copy_(pixels)
                graph.replay()
                copies = Maps(*(None if output is None else output.clone() for output in maps))
                self._free.record(stream)
            return copies

        return replay

"""When sizes are recorded and replayed; on a GPU, tests/extract/test_gpu.py compares results."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor

import pytest
import torch
from torch import Tensor

from cv2_superpoint.runners import cuda_graph
from cv2_superpoint.runners.cuda_graph import CudaGraphRunner
from cv2_superpoint.runners.maps import Maps


class Doubling:
    """A runner whose maps are twice the pixels, and that remembers its calls."""

    precision = "float32"
    device = torch.device("cpu")

    def __init__(self) -> None:
        self.calls: list[tuple[int, ...]] = []

    def __call__(self, pixels: Tensor, detect: bool, describe: bool) -> Maps:
        self.calls.append(tuple(pixels.shape))
        return Maps(pixels.float() * 2 if detect else None, None)


class Recorder:
    """Records nothing; its replays add a thousand, so that one sees which answered."""

    def __init__(self) -> None:
        self.recorded: list[tuple[int, ...]] = []

    def __call__(self, runner: Doubling, pixels: Tensor, detect: bool, describe: bool):
        self.recorded.append((tuple(pixels.shape), detect))
        return lambda given: Maps(given.float() * 2 + 1000 if detect else None, None)


def image(side: int, value: int = 1) -> Tensor:
    return torch.full((1, 1, side, side), value, dtype=torch.uint8)


def test_the_second_image_of_a_size_is_recorded_and_later_ones_replayed():
    runner, recorder = Doubling(), Recorder()
    graphs = CudaGraphRunner(runner, recorder)
    answers = [graphs(image(8, value), True, False).logits.mean() for value in (1, 2, 3)]
    assert answers == [2, 1004, 1006]
    assert len(runner.calls) == len(recorder.recorded) == 1


def test_what_differs_is_recorded_apart():
    recorder = Recorder()
    graphs = CudaGraphRunner(Doubling(), recorder)
    for _ in range(3):
        graphs(image(8), True, False)
        graphs(image(16), True, False)
        assert graphs(image(8), False, False).logits is None
    assert len(recorder.recorded) == len(set(recorder.recorded)) == 3


def test_images_of_ever_new_sizes_are_never_recorded():
    recorder = Recorder()
    graphs = CudaGraphRunner(Doubling(), recorder)
    for side in range(1, 3 * cuda_graph.MOST_GRAPHS):
        graphs(image(side), True, False)
    assert len(graphs._graphs) <= cuda_graph.MOST_GRAPHS
    assert recorder.recorded == []


def test_the_size_not_used_for_longest_is_forgotten():
    recorder = Recorder()
    graphs = CudaGraphRunner(Doubling(), recorder)
    for _ in range(2):
        graphs(image(500), True, False)
    for side in range(1, cuda_graph.MOST_GRAPHS + 10):
        graphs(image(side), True, False)
        graphs(image(500), True, False)  # in use all the time
    assert len(recorder.recorded) == 1
    graphs(image(2), True, False)  # forgotten, so new again
    assert len(recorder.recorded) == 1
    assert len(graphs._graphs) <= cuda_graph.MOST_GRAPHS


def test_without_memory_the_graphs_are_given_up():
    def no_memory(*_: object) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory")

    graphs = CudaGraphRunner(Doubling(), no_memory)
    graphs(image(8), True, False)
    with pytest.raises(torch.OutOfMemoryError):
        graphs(image(8), True, False)
    assert not graphs._graphs


def test_where_nothing_can_be_recorded_the_runner_runs():
    runner = Doubling()
    graphs = CudaGraphRunner(runner, lambda *_: None)
    answers = [graphs(image(8, value), True, False).logits.mean() for value in (1, 2, 3)]
    assert answers == [2, 4, 6]
    assert len(runner.calls) == 3


def test_threads_share_the_graphs():
    """As the memory of a graph's input is the same for all, only one may replay at a time."""
    memory = torch.zeros(1)

    def record(runner: Doubling, pixels: Tensor, detect: bool, describe: bool):
        def replay(given: Tensor) -> Maps:
            memory.fill_(float(given.flatten()[0]))
            time.sleep(1e-4)  # another thread's turn
            return Maps(memory.clone(), None)

        return replay

    graphs = CudaGraphRunner(Doubling(), record)
    for _ in range(2):
        graphs(image(8), True, False)  # from now on replayed

    def answers(value: int) -> set[float]:
        return {graphs(image(8, value), True, False).logits.item() for _ in range(50)}

    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(answers, range(4))) == [{0.0}, {1.0}, {2.0}, {3.0}]

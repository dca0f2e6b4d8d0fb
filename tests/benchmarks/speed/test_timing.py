"""Times of cases: rounds, the frame loop, and the events of a GPU."""

import time

import cv2
import numpy as np
import pytest
import torch

from benchmarks.common.detectors import DetectionOnly
from benchmarks.speed import cases, timing
from benchmarks.speed.cases import Case

SMALL = (64, 96)
LITE = Case("SuperPoint-lite[nlevels=1]", SMALL, 50, 1, "cpu", "float32")


def test_measure(images: list[np.ndarray]) -> None:
    same = [Case("SIFT", SMALL, 50, 1), LITE]
    batch = Case("SuperPoint-lite[nlevels=1]", SMALL, 50, 1, "cpu", "float32", batch=4)
    results = timing.measure([*same, batch], images, rounds=2)
    assert [r.case for r in results] == [*same, batch]
    for result in results:
        assert len(result.times) == 2
        assert min(result.times) > 0
        assert result.device_times == []
    for result in results[:2]:
        assert [len(result.match_times), len(result.homography_times)] == [2, 2]
        assert result.frame_times == [
            sum(part)
            for part in zip(result.times, result.match_times, result.homography_times, strict=True)
        ]
    assert results[2].frame_times == []  # a batch has no frame before
    assert (results[0].stages, results[0].operations) == ({}, 0)
    for result in results[1:]:
        assert 0 < result.keypoints <= 50
        assert list(result.stages) == ["network", "detection", "KeyPoints"]
        assert min(result.stages.values()) > 0
        assert result.operations > 1e6


class Recorder:
    """Notes its name at every call, and finds the same three points."""

    def __init__(self, name: str, order: list[str]) -> None:
        self.name, self.order = name, order

    def detectAndCompute(self, image, mask):
        self.order.append(self.name)
        return [cv2.KeyPoint(1, 1, 1)] * 3, np.eye(3, dtype=np.float32)

    def defaultNorm(self) -> int:
        return cv2.NORM_L2


def test_calls_are_interleaved(images: list[np.ndarray], monkeypatch: pytest.MonkeyPatch) -> None:
    order: list[str] = []
    monkeypatch.setattr(timing, "make", lambda case: Recorder(case.method, order))
    results = timing.measure([Case("a", SMALL, 9, 1), Case("b", SMALL, 9, 1)], images, rounds=2)
    assert order == ["a", "a", "b", "b"] * (timing.WARM_UP_ROUNDS + 2)  # two frames each
    assert [len(r.frame_times) for r in results] == [2, 2]  # though no homography has three points


def test_methods_without_descriptors_have_no_frame_loop(
    images: list[np.ndarray], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(timing, "make", lambda _: DetectionOnly(cv2.ORB.create()))
    (result,) = timing.measure([Case("d", SMALL, 9, 1)], images, rounds=2)
    assert (len(result.times), result.frame_times) == (2, [])


def test_device_times_come_from_events(
    images: list[np.ndarray], monkeypatch: pytest.MonkeyPatch
) -> None:
    class Event:
        """Runs ten times as fast as the clock, and must be waited for."""

        def __init__(self, enable_timing: bool) -> None:
            self.waited = not enable_timing

        def record(self) -> None:
            self.at = time.perf_counter()

        def synchronize(self) -> None:
            self.waited = True

        def elapsed_time(self, end: "Event") -> float:
            assert end.waited
            return 10_000 * (end.at - self.at)

    synchronised = []
    on_cpu = cases.make(LITE)
    monkeypatch.setattr(torch.cuda, "Event", Event)
    monkeypatch.setattr(torch.cuda, "synchronize", lambda: synchronised.append(True))
    monkeypatch.setattr(timing, "make", lambda case: on_cpu)
    case = Case("SuperPoint-lite", SMALL, 50, 1, "cuda", "float32", batch=2)
    (measured,) = timing.measure([case], images, rounds=3)
    assert len(synchronised) == timing.WARM_UP_ROUNDS + 3  # before each round
    for whole, device_time in zip(measured.times, measured.device_times, strict=True):
        assert 5 < device_time / whole <= 10
    assert min(measured.stages.values()) > 0


@pytest.mark.gpu
def test_gpu_times_are_synchronised(images: list[np.ndarray]) -> None:
    case = Case("SuperPoint-full", (480, 640), 50, 1, "cuda", "float16", batch=8)
    large = [cv2.resize(image, (640, 480)) for image in images]
    (measured,) = timing.measure([case], large, rounds=3)
    for whole, device_time in zip(measured.times, measured.device_times, strict=True):
        # The device is busy with the call for no longer than the call takes.
        assert 0 < device_time <= whole * 1.05
    assert measured.stages["network"] > 0

"""The stages of a network, its operations, and the rate of the machine."""

import time
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from benchmarks.speed import cases, roofline
from benchmarks.speed.cases import Case
from cv2_superpoint.model.network import ARCHITECTURES, Architecture
from cv2_superpoint.runners.int8 import can_multiply_int8

SMALL = (64, 96)


class SlowDetector:
    """Sleeps for 20 ms, then for 100 ms in two calls of its runner, then for 30 ms."""

    def __init__(self) -> None:
        self._extractor = SimpleNamespace(runner=self.run)

    def run(self, *_: object) -> None:
        time.sleep(0.05)

    run.device, run.precision = "cpu", "float32"

    def extract(self, images: list[np.ndarray]) -> list[tuple[()]]:
        time.sleep(0.02)
        for _ in range(2):
            self._extractor.runner(None, True, True)
        time.sleep(0.03)
        return []


def test_networks_that_run_at_once_count_once() -> None:
    calls = [(5.0, 6.0), (1.0, 3.0), (2.0, 4.0), (2.5, 3.5)]
    assert roofline._time_of(calls) == 4000


def test_stages_of_known_length(images: list[np.ndarray]) -> None:
    detector = SlowDetector()
    stages = roofline.time_stages(detector, images[:2], "cpu")
    assert stages["network"] >= 50  # per image of two
    assert stages["detection"] >= 25
    assert stages["KeyPoints"] < stages["detection"]
    assert detector._extractor.runner == detector.run


def test_operations_by_hand() -> None:
    def convolutions(a: Architecture, height: int, width: int) -> int:
        strides = (a.stem_stride, 2, 4, 8)
        total, channels = 0, a.stem_stride**2
        for out, stride in zip(a.widths, strides, strict=True):
            total += 2 * 9 * height * width // stride**2 * (channels * out + out * out)
            channels = out
        # A map of details per resolution: stride**2 channels of 1 / stride**2 of the pixels.
        detailed = dict(zip(strides, a.widths[: a.detail_stages], strict=False))
        total += 2 * 9 * height * width * sum(detailed.values())
        heads = 2 * 9 * channels * a.head_width + a.head_width * (65 + a.descriptor_dim)
        return total + 2 * height * width // 64 * heads

    for model, architecture in ARCHITECTURES.items():
        case = Case(f"SuperPoint[model={model},nlevels=1]", SMALL, 50, 1, "cpu", "float32")
        # 41 x 58 is padded to whole cells.
        counted = roofline.count_operations(cases.make(case), np.zeros((41, 58), np.uint8))
        assert counted == convolutions(architecture, 48, 64)


@pytest.mark.parametrize("precision", ["float32", "int8"])
def test_multiplication_rate(monkeypatch: pytest.MonkeyPatch, precision: str) -> None:
    if precision == "int8" and not can_multiply_int8():
        pytest.skip("int8 needs an x86 CPU with AVX2")
    monkeypatch.setattr(roofline, "PRODUCTS", 1)
    monkeypatch.setattr(torch, "rand", lambda *_, **__: torch.ones(8, 8))
    seconds = iter([1.0, 3.0])
    monkeypatch.setattr(roofline, "mark", lambda device: next(seconds))
    uncached = roofline.multiplication_rate.__wrapped__
    assert uncached("cpu", precision, 1) == pytest.approx(2 * 2048**3 / 2)

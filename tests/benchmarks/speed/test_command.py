"""Timing: the grid, the measurements on small images, the report, and the pytest-benchmark file."""

import argparse
import csv
import json
import math
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import cv2
import numpy as np
import pytest
import torch

import cv2_superpoint
from benchmarks import __main__ as cli
from benchmarks.common import detectors
from benchmarks.common.detectors import DetectionOnly
from benchmarks.common.tables import format_tables
from benchmarks.speed import cases, roofline, timing
from benchmarks.speed import command as speed
from benchmarks.speed import report as speed_report
from benchmarks.speed.cases import Case
from cv2_superpoint.model.network import ARCHITECTURES, Architecture
from cv2_superpoint.model.weights import deserialise
from cv2_superpoint.runners.choose import PRECISIONS

ROOT = Path(__file__).parents[3]
SMALL = (64, 96)
LITE = Case("SuperPoint-lite[nlevels=1]", SMALL, 50, 1, "cpu", "float32")


@pytest.fixture(autouse=True)
def threads() -> Iterator[None]:
    """Leave the threads as they were."""
    before = cv2.getNumThreads(), torch.get_num_threads()
    yield
    cv2.setNumThreads(before[0])
    torch.set_num_threads(before[1])


@pytest.fixture
def images() -> list[np.ndarray]:
    noise = np.random.default_rng(0).integers(0, 256, (3, 8, 12), np.uint8)
    return [cv2.resize(n, SMALL[::-1], interpolation=cv2.INTER_NEAREST) for n in noise]


def parse(*arguments: str) -> argparse.Namespace:
    return cli.parse(["speed", *arguments])


def test_default_grid(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(speed, "count_cores", lambda: 8)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    grid = speed.list_cases(parse())
    assert [c.method for c in grid] == [*cases.METHODS] * 3
    assert {c.size for c in grid} == {(480, 640)}
    assert [c.threads for c in grid] == [n for n in (1, 2, 8) for _ in cases.METHODS]
    assert {(c.points, c.device, c.precision, c.batch) for c in grid} == {(1000, "cpu", "", 1)}


def test_grid_with_a_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    lists = ["--threads", "1", "8", "--precisions", "float32", "float16", "--batches", "1", "8"]
    grid = speed.list_cases(parse("--methods", "ORB", "SuperPoint", *lists))
    assert len(set(grid)) == len(grid)
    settings = [(precision, batch) for precision in ("float32", "float16") for batch in (1, 8)]
    for device, threads in (("cpu", (1, 8)), ("cuda", (8,))):  # a GPU with the most threads only
        ours = [c for c in grid if c.method == "SuperPoint" and c.device == device]
        assert [(c.threads, c.precision, c.batch) for c in ours] == [
            (n, *setting) for n in threads for setting in settings
        ]
    assert [c for c in grid if c.method == "ORB"] == [
        Case("ORB", (480, 640), 1000, n) for n in (1, 8)
    ]


def test_names_of_precisions() -> None:
    assert set(cases.PRECISIONS) <= set(PRECISIONS)


@pytest.mark.parametrize(
    "arguments", [["--sizes", "640"], ["--sizes", "0x9"], ["--points", "-1"], ["--batches", "x"]]
)
def test_bad_arguments(arguments: list[str]) -> None:
    with pytest.raises(SystemExit) as stopped:
        parse(*arguments)
    assert stopped.value.code == 2


@pytest.mark.parametrize("model", list(ARCHITECTURES))
def test_network_has_the_named_architecture(model: str) -> None:
    method = f"SuperPoint[model={model}]"
    detector = cases.make(Case(method, SMALL, 50, 1))
    assert detector.getMaxFeatures() == 50
    # Random weights are taken from a file; the model of a shipped one is in its name.
    assert ("from a file" in repr(detector)) == (cases.unshipped(method) == model)


def test_settings_of_a_case_reach_the_detector(monkeypatch: pytest.MonkeyPatch) -> None:
    made = []
    monkeypatch.setattr(detectors, "make", lambda *args, **settings: made.append((args, settings)))
    for case in (
        Case("SuperPoint[nlevels=2]", SMALL, 50, 1, "cpu", "bfloat16"),
        Case("SuperPoint", SMALL, 50, 1, "cuda"),
        Case("ORB", SMALL, 50, 1),
    ):
        cases.make(case)
    assert made == [
        (("SuperPoint[nlevels=2]", 50), {"device": "cpu", "precision": "bfloat16"}),
        (("SuperPoint", 50), {"device": "cuda"}),
        (("ORB", 50), {}),
    ]


@pytest.mark.parametrize(
    ("method", "model"), [("ORB", None), ("SuperPoint", None), ("SuperPoint-full=file", None)]
)
def test_methods_whose_weights_are_there(method: str, model: str | None) -> None:
    assert cases.unshipped(method) == model


def test_matcher_that_goes_with_a_method(monkeypatch: pytest.MonkeyPatch) -> None:
    own = lambda norm, crossCheck: ("own", norm, crossCheck)  # noqa: E731
    monkeypatch.setattr(cv2_superpoint, "BFMatcher", own, raising=False)
    assert cases.make_matcher("SuperPoint", cv2.NORM_L2) == ("own", cv2.NORM_L2, True)
    assert isinstance(cases.make_matcher("SIFT", cv2.NORM_L2), cv2.BFMatcher)


def test_random_weights_are_the_same_each_time_and_leave_the_generator_alone() -> None:
    before = torch.get_rng_state()
    first, second = (
        deserialise(cases.random_weights("superpoint-lite")).network.state_dict() for _ in range(2)
    )
    assert all(torch.equal(first[key], second[key]) for key in first)
    assert first["encoder.3.1.conv.weight"].std() > 0
    assert torch.equal(torch.get_rng_state(), before)


def test_rounds_go_on_through_the_images(images: list[np.ndarray]) -> None:
    first, second = cases.choose(images, 2, 0), cases.choose(images, 2, 1)
    assert [id(i) for i in first + second] == [id(images[i]) for i in (0, 1, 2, 0)]


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


def test_frames_follow_one_another(images: list[np.ndarray]) -> None:
    image = cv2.GaussianBlur(cv2.resize(images[0], (640, 480)), (0, 0), 3)
    shift, _ = cv2.phaseCorrelate(image.astype(float), cases.next_frame(image).astype(float))
    assert np.abs(shift).max() < 5
    assert 2 < np.abs(image.astype(float) - cases.next_frame(image)).mean() < 60


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


def test_multiplication_rate(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(roofline, "PRODUCTS", 1)
    monkeypatch.setattr(torch, "rand", lambda *_, **__: torch.ones(8, 8))
    seconds = iter([1.0, 3.0])
    monkeypatch.setattr(roofline, "mark", lambda device: next(seconds))
    uncached = roofline.multiplication_rate.__wrapped__
    assert uncached("cpu", "float32", 1) == pytest.approx(2 * 2048**3 / 2)


def result(method: str, *times: float, **fields: object) -> timing.Result:
    case = Case(method, (480, 640), 1000, 1, **fields)
    ours = method.startswith("SuperPoint")
    stages = dict.fromkeys(roofline.STAGES, 10.0) if ours else {}
    rest = [[1.0] * len(times), [0.5] * len(times)] if case.batch == 1 else [[], []]
    return timing.Result(case, 500, list(times), [], *rest, stages, 2 * 10**9 * ours)


def test_report_by_hand(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(roofline, "multiplication_rate", lambda *_: 1e12)
    monkeypatch.setattr(speed_report, "unshipped", lambda name: name if "full" in name else None)
    results = [
        result("ORB", 1.0, 2.0, 3.0),
        result("SIFT", 8.0, 8.0, 8.0),
        result("SuperPoint-full", 40.0, 10.0, 20.0, precision="float32"),
        result("SuperPoint-lite", 4.0, 4.0, 4.0, batch=8),
    ]
    rows = [speed_report.describe(r, results) for r in results]
    assert [r["ms"] for r in rows] == [2, 8, 20, 4]
    assert [r["times_ORB"] for r in rows] == [1, 4, 10, 2]
    assert [r["times_SIFT"] for r in rows] == [0.25, 1, 2.5, 0.5]
    assert [r["ms_frame"] for r in rows] == [3.5, 9.5, 21.5, None]
    assert rows[2]["frame_times_ORB"] == pytest.approx(21.5 / 3.5)
    assert (rows[2]["ms_quartile_1"], rows[2]["ms_quartile_3"]) == (15, 30)
    assert [r["weights"] for r in rows] == [None, None, "random", "shipped"]
    assert [r["ms_network_bound"] for r in rows] == [None, None, 2, 2]

    times, stages = format_tables(speed_report.tabulate(rows)).split("\n\n")
    assert [line.split()[-9:] for line in times.splitlines()[2:]] == [
        ["2.0", "1.5..2.5", "1.00", "0.25", "1.0", "0.5", "3.5", "1.00", "0.37"],
        ["8.0", "8.0..8.0", "4.00", "1.00", "1.0", "0.5", "9.5", "2.71", "1.00"],
        ["20.0", "15.0..30.0", "10.00", "2.50", "1.0", "0.5", "21.5", "6.14", "2.26"],
        ["4.0", "4.0..4.0", "2.00", "0.50", "-", "-", "-", "-", "-"],
    ]
    assert times.startswith("640x480, 1000 points, 1 thread: ms per image")
    assert "SuperPoint-full (random weights) float32 " in times
    assert "SuperPoint-lite x8 " in times
    assert stages.splitlines()[3].endswith("20%")
    assert len(stages.splitlines()) == 5


def test_ratios_need_the_same_size_points_and_threads() -> None:
    orb = result("ORB", 2.0)
    other = timing.Result(Case("SIFT", (480, 640), 500, 1), 1, [4.0], [], [], [], {})
    row = speed_report.describe(other, [orb, other])
    assert "times_ORB" not in row
    assert row["times_SIFT"] == 1


def test_command(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(roofline, "multiplication_rate", lambda *_: 1e12)
    options = parse(
        *("--methods", "ORB", "SuperPoint-lite", "--sizes", "96x64", "--points", "50"),
        *("--threads", "1", "--device", "cpu", "--repeats", "2", "--out", str(tmp_path / "out")),
    )
    options.run(options)
    printed = capsys.readouterr().out
    assert f"OpenCV: {cv2.__version__}" in printed
    assert "RANDOM" not in printed
    assert "96x64, 50 points, 1 thread: ms per image" in printed
    with (tmp_path / "out" / "speed.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["method"] for row in rows] == ["ORB", "SuperPoint-lite"]
    assert all(float(row["ms_frame"]) > float(row["ms"]) for row in rows)
    report = json.loads((tmp_path / "out" / "speed.json").read_text(), parse_constant=pytest.fail)
    assert [len(r["times"]) for r in report["rounds"]] == [2, 2]
    ratio = report["rows"][1]["ms"] / report["rows"][0]["ms"]
    assert math.isclose(report["rows"][1]["times_ORB"], ratio)
    page = (tmp_path / "out" / "speed.html").read_text(encoding="utf-8")
    assert f"{report['rows'][1]['ms_frame']:.1f}</td>" in page


@pytest.mark.parametrize("arguments", [["--methods", "orbb"], ["--data", "no/such/folder"]])
def test_command_explains_what_is_wrong(
    arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    options = parse("--sizes", "96x64", *arguments)
    with pytest.raises(SystemExit) as stopped:
        options.run(options)
    assert stopped.value.code == 2
    assert arguments[1] in capsys.readouterr().err


def test_pytest_benchmark_command() -> None:
    command = [sys.executable, "-m", "pytest", "benchmarks", "--benchmark-only", "-k", "ORB"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "test_classical[ORB 320x240" in done.stdout
    assert "2 passed" in done.stdout


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

"""The runner and the command line on a tiny set, and detectors by name."""

import json
import math
import sys
from pathlib import Path
from types import SimpleNamespace

import cv2
import numpy as np
import pytest

from benchmarks import accuracy, datasets
from benchmarks.__main__ import main
from benchmarks.detectors import UnknownMethodError, find_factory

PROTOCOL = accuracy.Protocol()


class BlindDetector:
    """Finds nothing, as OpenCV's detectors do on a blank image."""

    calls = 0

    def __init__(self, n: int) -> None:
        pass

    def detectAndCompute(self, image, mask):
        BlindDetector.calls += 1
        return (), None

    def defaultNorm(self) -> int:
        return cv2.NORM_L2


class EagerDetector(BlindDetector):
    """Returns five points whatever it was asked for, the weakest first."""

    def detectAndCompute(self, image, mask):
        keypoints = [cv2.KeyPoint(float(i), 0.0, 1.0, -1.0, float(i)) for i in range(5)]
        return keypoints, np.arange(5, dtype=np.float32)[:, None]


def test_orb_on_exact_shifts(hpatches_folder: Path) -> None:
    sequences = datasets.read_sequences(hpatches_folder)
    images, pairs = accuracy.run({"ORB": find_factory("ORB")}, sequences, PROTOCOL)

    assert [(i.sequence, i.image) for i in images] == [
        ("i_dim", "1.ppm"),
        ("i_dim", "2.ppm"),
        ("v_shift", "1.ppm"),
        ("v_shift", "2.ppm"),
        ("v_shift", "3.ppm"),
    ]
    assert all(0 < i.keypoints <= 1000 and i.milliseconds > 0 for i in images)
    assert [(p.sequence, p.image) for p in pairs] == [
        ("i_dim", "2.ppm"),
        ("v_shift", "2.ppm"),
        ("v_shift", "3.ppm"),
    ]
    for pair in pairs:
        assert max(pair.corner_errors) < 2
        assert pair.matching_accuracy[3] > 0.8
        assert pair.repeatability > 0.7
        assert pair.localisation_error < 1.5


def test_features_are_computed_once_per_image(hpatches_folder: Path) -> None:
    BlindDetector.calls = 0
    sequences = datasets.read_sequences(hpatches_folder)
    accuracy.run({"blind": BlindDetector}, sequences, PROTOCOL)
    assert BlindDetector.calls == 2 * (2 + 3)  # two sizes of five images


def test_method_that_finds_nothing_fails_everywhere(hpatches_folder: Path) -> None:
    sequences = datasets.read_sequences(hpatches_folder)
    images, pairs = accuracy.run({"blind": BlindDetector}, sequences, PROTOCOL)
    summary = accuracy.summarise(images, pairs, PROTOCOL)
    assert {summary[key] for key in ("H@1", "H@5", "AUC@3", "MMA@5", "repeatability")} == {0}
    assert math.isnan(summary["loc. error"])
    assert summary["pairs"] == 3


def test_extract_keeps_the_strongest_in_the_detectors_order() -> None:
    features = accuracy.extract(EagerDetector(3), np.zeros((9, 9), np.uint8), 3)
    assert features.points[:, 0].tolist() == [2, 3, 4]
    assert features.descriptors[:, 0].tolist() == [2, 3, 4]


def test_summary_by_hand() -> None:
    images = [accuracy.ImageRecord("m", "i_a", "1.png", 9, ms) for ms in (100.0, 2.0, 4.0)]
    pairs = [
        accuracy.PairRecord("m", "i_a", "2.png", 9, [0.5], {1: 0.5, 3: 0.75, 5: 1.0}, 0.75, 1.5),
        accuracy.PairRecord("m", "i_a", "3.png", 0, [math.inf], {1: 0, 3: 0, 5: 0}, 0.0, math.nan),
    ]
    assert accuracy.summarise(images, pairs, PROTOCOL) == {
        "H@1": 0.5,
        "H@3": 0.5,
        "H@5": 0.5,
        # (0, 0) to (.5, .5), then level to 3: (.125 + 1.25) / 3.
        "AUC@3": pytest.approx(1.375 / 3),
        "MMA@1": 0.25,
        "MMA@3": 0.375,
        "MMA@5": 0.5,
        "repeatability": 0.375,
        "loc. error": 1.5,
        "ms/image": 4.0,
        "pairs": 2,
    }
    header, row = accuracy.format_table(images, pairs, PROTOCOL).splitlines()
    assert header.split() == [
        *("method", "H@1", "H@3", "H@5", "AUC@3", "MMA@1", "MMA@3", "MMA@5"),
        *("repeatability", "loc.", "error", "ms/image", "pairs"),
    ]
    assert row.split()[:5] == ["m", "0.500", "0.500", "0.500", "0.458"]
    assert row.split()[-2:] == ["4.000", "2"]
    assert len(header) == len(row)


@pytest.mark.parametrize("name", ["ORB", "SIFT", "AKAZE", "cv2:SIFT_create"])
def test_detectors_by_name(name: str) -> None:
    if name == "AKAZE" and not hasattr(cv2, "AKAZE") and not hasattr(cv2, "xfeatures2d"):
        pytest.skip("this OpenCV 5 was built without opencv_contrib")
    image = np.random.default_rng(0).integers(0, 256, (200, 200), np.uint8)
    detector = find_factory(name)(50)
    keypoints, descriptors = detector.detectAndCompute(image, None)
    assert descriptors is not None
    assert len(keypoints) == len(descriptors)
    assert keypoints
    if name != "AKAZE" or hasattr(detector, "setMaxPoints"):  # not before OpenCV 4.9
        assert len(keypoints) <= 55
    assert detector.defaultNorm() in (cv2.NORM_L2, cv2.NORM_HAMMING)


def test_superpoint_is_imported_when_it_is_made(monkeypatch: pytest.MonkeyPatch) -> None:
    stand_in = SimpleNamespace(SuperPoint_create=lambda n, **settings: (n, settings))
    plain, lite = find_factory("SuperPoint"), find_factory("SuperPoint-lite")
    monkeypatch.setitem(sys.modules, "cv2_superpoint", stand_in)
    assert plain(300) == (300, {})
    assert lite(300) == (300, {"model": "superpoint-lite"})


@pytest.mark.parametrize("name", ["orbb", "no_such_module:make", "cv2:no_such_detector"])
def test_unknown_detector(name: str) -> None:
    with pytest.raises(UnknownMethodError, match=name):
        find_factory(name)


def test_command(hpatches_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    report = tmp_path / "report.json"
    blind = f"{__name__}:BlindDetector"
    files = ["--data", str(hpatches_folder), "--json", str(report)]
    main(["hpatches", *files, "--per-sequence", "--methods", "ORB", blind])
    printed = capsys.readouterr().out
    assert "size (480, 640); points 1000; ransac_threshold 3" in printed
    assert f"cv2 {cv2.__version__}" in printed
    _, per_sequence, total = printed.split("\n\n")
    first_words = [[row.split()[0] for row in t.splitlines()] for t in (per_sequence, total)]
    assert first_words == [
        ["method", "i_dim", "i_dim", "v_shift", "v_shift"],
        ["method", "ORB", blind],
    ]

    # Failures are null: JSON has no infinity and no nan.
    records = json.loads(report.read_text(), parse_constant=pytest.fail)
    assert len(records["images"]) == 2 * 5
    assert len(records["pairs"]) == 2 * 3
    assert [p["corner_errors"] for p in records["pairs"] if p["method"] == blind] == [[None]] * 3


def test_command_explains_a_missing_folder(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as stopped:
        main(["hpatches", "--data", str(tmp_path / "nowhere")])
    assert stopped.value.code == 2
    assert "hpatches-sequences-release" in capsys.readouterr().err


def test_repeats_run_ransac_on_other_orders(hpatches_folder: Path) -> None:
    sequences = datasets.read_sequences(hpatches_folder)[:1]
    protocol = accuracy.Protocol(ransac_repeats=3)
    (pair,) = accuracy.run({"ORB": find_factory("ORB")}, sequences, protocol)[1]
    (once,) = accuracy.run({"ORB": find_factory("ORB")}, sequences, PROTOCOL)[1]
    assert len(pair.corner_errors) == 3
    assert pair.corner_errors[0] == once.corner_errors[0]
    assert max(pair.corner_errors) < 2

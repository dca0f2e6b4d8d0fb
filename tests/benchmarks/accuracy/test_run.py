"""The runner on tiny sets: exact numbers, failures, worker processes, the cache."""

import math
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import cv2
import dots
import numpy as np
import pytest

from benchmarks.accuracy import run as accuracy
from benchmarks.accuracy import summary
from benchmarks.accuracy.protocol import PRESETS, Protocol
from benchmarks.common import datasets, detectors, features

PROTOCOL = Protocol()
DOTS_PROTOCOL = Protocol(
    size=dots.SIZE, repeatability_size=dots.SIZE, ransac_threshold=1, mma_thresholds=(1, 2, 3)
)


def run(
    methods: Sequence[str], folder: Path, protocol: Protocol, cache: Path, workers: int = 1
) -> accuracy.Records:
    sequences = datasets.read_sequences(folder)
    return accuracy.run(accuracy.plan(methods, sequences, protocol, cache, workers))


@pytest.fixture
def dots_folder(tmp_path: Path) -> Path:
    dots.write_dots(tmp_path / "dots")
    return tmp_path / "dots"


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    return tmp_path / "cache"


def test_every_number_of_a_known_pair(dots_folder: Path, cache: Path) -> None:
    images, (pair,) = run([dots.DOTS], dots_folder, DOTS_PROTOCOL, cache)
    assert [(i.image, i.keypoints) for i in images] == [("1.png", 24), ("2.png", 20)]
    # 20 of the 24 dots stay in view; 7 of them moved by 2 pixels.
    assert pair.matches == 20
    assert pair.repeatability == 1
    assert pair.localisation_error == pytest.approx(7 * 2 / 20)
    assert pair.matching_accuracy == {1: 13 / 20, 2: 1.0, 3: 1.0}
    assert pair.matching_score == 1
    assert pair.average_precision == 1
    assert pair.corner_errors == [pytest.approx(0, abs=1e-3)]


def test_stricter_thresholds_of_a_known_pair(dots_folder: Path, cache: Path) -> None:
    strict = replace(DOTS_PROTOCOL, descriptor_threshold=1, repeatability_threshold=1)
    _, (pair,) = run([dots.DOTS], dots_folder, strict, cache)
    assert pair.repeatability == pytest.approx(13 / 20)
    assert pair.localisation_error == 0
    assert pair.matching_score == pytest.approx(13 / 20)
    # All proposals have distance 0 and are accepted together: precision 13 / 20 at recall 1.
    assert pair.average_precision == pytest.approx(13 / 20)


def test_orb_on_exact_shifts(hpatches_folder: Path, cache: Path) -> None:
    images, pairs = run(["ORB"], hpatches_folder, PROTOCOL, cache)
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
        assert pair.matching_score is not None
        assert pair.average_precision is not None
        assert 0.4 < pair.matching_score < pair.average_precision <= 1


def test_worker_processes_give_the_same_in_the_same_order(
    hpatches_folder: Path, tmp_path: Path
) -> None:
    methods = ["ORB", dots.BLIND]
    images, pairs = run(methods, hpatches_folder, PROTOCOL, tmp_path / "one", workers=1)
    others, same = run(methods, hpatches_folder, PROTOCOL, tmp_path / "two", workers=2)
    assert repr(pairs) == repr(same)  # nan is not equal to itself, but is written alike
    assert [replace(i, milliseconds=0, workers=2) for i in images] == [
        replace(i, milliseconds=0) for i in others
    ]


def test_what_runs_on_a_gpu_runs_here_and_in_batches(
    dots_folder: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # A GPU is only pretended: what is checked is who computes, and that a batch changes nothing.
    protocol = replace(DOTS_PROTOCOL, points=30)
    single = run(["SuperPoint"], dots_folder, protocol, cache / "single")
    monkeypatch.setattr(detectors, "runs_on_gpu", lambda name: name == "SuperPoint")
    batches = []
    compute = features.extract_batch
    monkeypatch.setattr(
        features, "extract_batch", lambda *args: batches.append(len(args[1])) or compute(*args)
    )
    images, pairs = run(["SuperPoint"], dots_folder, protocol, cache / "batch", workers=2)
    assert batches == [2, 2]  # both images, at each of the two sizes
    assert {image.workers for image in images} == {1}
    (pair,), (alone,) = pairs, single[1]
    assert (pair.matches, pair.matching_accuracy) == (alone.matches, alone.matching_accuracy)
    # Not to the last bit: PyTorch may convolve a batch in another order.
    assert pair.localisation_error == pytest.approx(alone.localisation_error, abs=1e-4)


def test_method_that_finds_nothing_fails_everywhere(hpatches_folder: Path, cache: Path) -> None:
    images, pairs = run([dots.BLIND], hpatches_folder, PROTOCOL, cache)
    row = summary.summarise(images, pairs, PROTOCOL)
    failed = ("H@1", "H@5", "AUC@3", "MMA@5", "repeatability", "M. score", "NN mAP", "matches")
    assert {row[key] for key in failed} == {0}
    assert math.isnan(row["loc. error"])
    assert row["pairs"] == 3


def test_method_that_only_detects(hpatches_folder: Path, cache: Path) -> None:
    images, pairs = run(["FAST"], hpatches_folder, PROTOCOL, cache)
    row = summary.summarise(images, pairs, PROTOCOL)
    assert row["repeatability"] > 0.5
    assert row["keypoints"] > 100
    without = ("H@1", "AUC@3", "MMA@5", "M. score", "NN mAP", "matches")
    assert all(math.isnan(row[key]) for key in without)


def test_images_as_they_are(hpatches_folder: Path, cache: Path) -> None:
    sequences = datasets.read_sequences(hpatches_folder)[1:]
    (job,) = accuracy.plan(["ORB"], sequences, PRESETS["mma"], cache)
    large, _ = accuracy.find_features(job)
    assert [image.shape for image in large.images] == [(400, 560)] * 3
    np.testing.assert_allclose(large.homographies[2][:, 2], [-48, -32, 1])
    _, pairs = accuracy.evaluate(job)
    assert all(pair.corner_errors[0] < 2 for pair in pairs)
    assert sorted(pairs[0].matching_accuracy) == list(range(1, 11))


def test_estimator_is_the_protocols(hpatches_folder: Path, cache: Path) -> None:
    magsac = replace(PROTOCOL, estimator="USAC_MAGSAC")
    (first, *_), (second, *_) = (
        run(["ORB"], hpatches_folder, protocol, cache)[1] for protocol in (PROTOCOL, magsac)
    )
    assert first.corner_errors != second.corner_errors
    assert second.corner_errors[0] < 2


def test_repeats_run_ransac_on_other_orders(hpatches_folder: Path, cache: Path) -> None:
    thrice = replace(PROTOCOL, ransac_repeats=3)
    pair = run(["ORB"], hpatches_folder, thrice, cache)[1][0]
    once = run(["ORB"], hpatches_folder, PROTOCOL, cache)[1][0]
    assert len(pair.corner_errors) == 3
    assert pair.corner_errors[0] == once.corner_errors[0]
    assert max(pair.corner_errors) < 2


def test_features_are_computed_once_per_image(dots_folder: Path, cache: Path) -> None:
    dots.DotDetector.calls = 0
    first = run([dots.DOTS], dots_folder, DOTS_PROTOCOL, cache)
    assert dots.DotDetector.calls == 2 + 2  # two images at two sizes, with other numbers of points
    assert run([dots.DOTS], dots_folder, DOTS_PROTOCOL, cache) == first
    assert dots.DotDetector.calls == 4

    other_thresholds = replace(DOTS_PROTOCOL, mma_thresholds=(7,), ransac_iterations=10)
    run([dots.DOTS], dots_folder, other_thresholds, cache)
    assert dots.DotDetector.calls == 4
    run([dots.DOTS], dots_folder, replace(DOTS_PROTOCOL, points=500), cache)
    assert dots.DotDetector.calls == 6


def test_a_changed_image_is_computed_anew(dots_folder: Path, cache: Path) -> None:
    run([dots.DOTS], dots_folder, DOTS_PROTOCOL, cache)
    path = dots_folder / "v_dots" / "2.png"
    image = cv2.imread(str(path), cv2.IMREAD_GRAYSCALE)
    image[60, 80] = 255
    cv2.imwrite(str(path), image)
    images, _ = run([dots.DOTS], dots_folder, DOTS_PROTOCOL, cache)
    assert [i.keypoints for i in images] == [24, 21]


def test_resume_after_an_interruption(
    dots_folder: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    detect = dots.DotDetector.detectAndCompute
    whole = run([dots.DOTS], dots_folder, DOTS_PROTOCOL, cache.with_name("other"))

    def stop_at_the_third(self, image, mask):
        if dots.DotDetector.calls == 2:
            raise KeyboardInterrupt
        return detect(self, image, mask)

    dots.DotDetector.calls = 0
    monkeypatch.setattr(dots.DotDetector, "detectAndCompute", stop_at_the_third)
    with pytest.raises(KeyboardInterrupt):
        run([dots.DOTS], dots_folder, DOTS_PROTOCOL, cache)
    monkeypatch.undo()

    assert len(list(cache.iterdir())) == 2  # the first size was done
    resumed = run([dots.DOTS], dots_folder, DOTS_PROTOCOL, cache)
    assert dots.DotDetector.calls == 2 + 2
    assert resumed[1] == whole[1]


def test_error_in_a_worker_process_is_raised_here(hpatches_folder: Path, cache: Path) -> None:
    (hpatches_folder / "i_dim" / "2.ppm").write_bytes(b"not an image")
    with pytest.raises(datasets.DatasetError, match="Cannot read the image"):
        run(["ORB"], hpatches_folder, PROTOCOL, cache, workers=2)

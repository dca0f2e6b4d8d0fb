"""The Synthetic Shapes evaluation: average precision against hand-made and slow references."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
import torch

from train.data.noise import add_noise
from train.data.shapes import draw
from train.report.corner_detectors import CLASSICAL, network_detector
from train.report.evaluation import (
    Outcome,
    average_precision,
    evaluate,
    format_table,
    judge,
    pool,
    run,
    summarise,
)

SIZE = (64, 96)


def _points(*xy):
    return np.array(xy, np.float32).reshape(-1, 2)


def _outcome(scores, correct, corners):
    correct = np.array(correct, bool)
    distance = np.where(correct, 1.0, np.inf)
    return Outcome(np.array(scores, np.float32), correct, distance, corners)


def test_a_corner_is_found_once_by_the_strongest_point():
    corners = _points((10, 10), (30, 30))
    points = _points((11, 10), (10, 10), (30, 33), (60, 60))
    found = judge(points, np.array([0.9, 0.5, 0.7, 0.8], np.float32), corners)
    assert found.score.tolist() == pytest.approx([0.9, 0.8, 0.7, 0.5])
    assert found.correct.tolist() == [True, False, True, False]
    assert found.distance[found.correct].tolist() == [1, 3]
    assert found.corners == 2


def test_epsilon_itself_is_correct_and_a_hair_more_is_not():
    for x, correct in ((4.0, True), (4.001, False)):
        assert judge(_points((x, 0)), np.ones(1, np.float32), _points((0, 0))).correct == [correct]


def test_a_point_takes_the_next_corner_where_the_nearest_is_taken():
    found = judge(_points((0, 0), (1, 0)), np.float32([2, 1]), _points((0, 0), (3, 0)))
    assert found.distance.tolist() == [0, 2]


def test_no_points_and_no_corners():
    nothing, scores = _points(), np.zeros(0, np.float32)
    assert average_precision(judge(nothing, scores, _points((1, 1)))) == 0
    assert judge(_points((1, 1)), np.ones(1, np.float32), nothing).correct.tolist() == [False]


@pytest.mark.parametrize(
    ("scores", "correct", "corners", "expected"),
    [
        ([3, 2], [1, 1], 2, 1.0),
        ([3, 2], [1, 1], 4, 0.5),  # half of the corners are never found
        ([3, 2], [0, 1], 1, 0.5),
        ([4, 3, 2, 1], [1, 0, 1, 0], 2, (1 + 2 / 3) / 2),
        ([1, 2, 3, 4], [0, 1, 0, 1], 2, (1 + 2 / 3) / 2),  # pooled pictures come unsorted
        ([2, 2], [1, 0], 1, 0.5),  # equal scores: one step
        ([2, 2], [0, 1], 1, 0.5),
    ],
)
def test_average_precision_by_hand(scores, correct, corners, expected):
    assert average_precision(_outcome(scores, correct, corners)) == pytest.approx(expected)


def test_average_precision_by_brute_force():
    rng = np.random.default_rng(0)
    for _ in range(50):
        n = int(rng.integers(1, 40))
        scores, correct = rng.integers(0, 12, n), rng.random(n) < 0.4
        corners = int(correct.sum() + rng.integers(1, 5))
        area, before = 0.0, 0.0
        for threshold in sorted(set(scores), reverse=True):
            taken = [c for s, c in zip(scores, correct, strict=True) if s >= threshold]
            area += (sum(taken) / corners - before) * sum(taken) / len(taken)
            before = sum(taken) / corners
        assert average_precision(_outcome(scores, correct, corners)) == pytest.approx(area)


def test_the_summary_is_taken_where_f1_is_best():
    corners = _outcome([9, 8, 7, 1], [1, 0, 1, 1], 3)
    corners.distance[:] = [1, np.inf, 3, 4]
    # F1 is 2/4, 2/5, 4/6, 6/7 down the list: all four points count.
    other = pool([_outcome([5, 0.5], [0, 0], 0), _outcome([], [], 0)])
    row = summarise("mine", False, {"star": corners, "noise": other})
    assert row.recall == 1
    assert row.precision == 0.75
    assert row.localisation_error == pytest.approx(8 / 3)
    assert row.false_alarms == 0.5
    assert row.mean_average_precision == pytest.approx((1 + 2 / 3 + 3 / 4) / 3)


def test_a_perfect_detector_is_perfect_and_a_silent_one_finds_nothing():
    """The labels themselves as points: found by drawing again what `evaluate` draws."""
    labels = {}
    for figure in ("star", "checkerboard"):
        for i in range(3):
            rng = np.random.default_rng([1712_07629, *figure.encode(), i])
            image, corners = draw(rng, SIZE, figure)
            labels[image.tobytes()] = corners

    def perfect(image):
        corners = labels.get(image.tobytes(), _points())
        return corners, np.ones(len(corners), np.float32)

    def silent(image):
        return _points(), np.zeros(0, np.float32)

    rows = evaluate({"perfect": perfect, "silent": silent}, 3, SIZE, ["star", "checkerboard"])
    assert [(row.detector, row.noise) for row in rows] == [
        ("perfect", False),
        ("perfect", True),
        ("silent", False),
        ("silent", True),
    ]
    assert rows[0].mean_average_precision == rows[0].precision == rows[0].recall == 1
    assert rows[0].localisation_error == 0
    assert rows[2].mean_average_precision == 0
    assert math.isnan(rows[2].localisation_error)


def test_classical_detectors_find_clean_corners_and_suffer_from_noise():
    rows = evaluate(CLASSICAL, 4, (120, 160), ["polygons", "star", "ellipses"])
    by_name = {(row.detector, row.noise): row for row in rows}
    for name in CLASSICAL:
        clean, noisy = by_name[name, False], by_name[name, True]
        assert clean.mean_average_precision > 0.4
        assert noisy.mean_average_precision < clean.mean_average_precision
        assert 0 < clean.localisation_error < 4


def test_points_of_the_network_are_where_its_logits_say():
    logits = torch.zeros(1, 65, *(s // 8 for s in SIZE))
    logits[:, 64] = 20
    logits[0, 3 * 8 + 5, 2, 4] = 40  # row 2 * 8 + 3, column 4 * 8 + 5
    xy, score = network_detector(lambda images: logits, torch.device("cpu"))(
        np.zeros(SIZE, np.uint8)
    )
    assert xy.tolist() == [[pytest.approx(37, abs=0.01), pytest.approx(19, abs=0.01)]]
    assert score.tolist() == pytest.approx([1.0])


def test_noise_repeats_keeps_format_and_corners():
    image, _ = draw(np.random.default_rng(0), (120, 160), "checkerboard")
    moved = []
    for seed in range(20):
        noisy = add_noise(np.random.default_rng(seed), image)
        assert noisy.dtype == np.uint8
        assert noisy.shape == image.shape
        assert np.array_equal(noisy, add_noise(np.random.default_rng(seed), image))
        a, b = (np.float32(i) - np.float32(i).mean() for i in (image, noisy))
        spectrum = np.conj(np.fft.fft2(a)) * np.fft.fft2(b)
        peak = np.unravel_index(np.fft.ifft2(spectrum).real.argmax(), a.shape)
        moved.append(
            max(abs((p + s // 2) % s - s // 2) for p, s in zip(peak, a.shape, strict=True))
        )
    assert max(moved) <= 1


def test_run_writes_what_it_prints(tmp_path, capsys):
    weight = torch.randn(65, 1, 8, 8, generator=torch.Generator().manual_seed(0))

    def logits(images):
        return torch.nn.functional.conv2d(images, weight, stride=8)

    rows = run({"mine": logits}, torch.device("cpu"), tmp_path / "evaluation.json", 1, SIZE)
    written = json.loads((tmp_path / "evaluation.json").read_text())
    assert [row["detector"] for row in written["rows"][::2]] == ["mine", *CLASSICAL]
    assert written["rows"][0]["mean_average_precision"] == rows[0].mean_average_precision
    assert format_table(rows) in capsys.readouterr().out

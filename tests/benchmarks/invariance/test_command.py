"""Photographs turned and shrunk: the views' homographies, the counting, the commands."""

import csv
import math
from pathlib import Path

import cv2
import numpy as np
import pytest

from benchmarks.__main__ import main, parse
from benchmarks.common import detectors, photographs
from benchmarks.common.tables import format_tables
from benchmarks.invariance import command as invariance
from benchmarks.invariance.command import PROTOCOL
from benchmarks.invariance.steps import Protocol, Record, run_steps, summarise
from benchmarks.invariance.views import shrink, tilt, turn


@pytest.fixture
def photograph() -> np.ndarray:
    """Smooth, so that interpolation hardly changes it."""
    noise = np.random.default_rng(0).integers(0, 256, (30, 40), np.uint8)
    return cv2.resize(noise, (600, 450), interpolation=cv2.INTER_CUBIC)


def difference_where_both_see(first: np.ndarray, second: np.ndarray, matrix: np.ndarray) -> float:
    """Warp the first view onto the second and compare, where the first covers the second."""
    size = second.shape[::-1]
    warped = cv2.warpPerspective(first, matrix, size, flags=cv2.INTER_CUBIC)
    seen = cv2.warpPerspective(np.full_like(first, 255), matrix, size) == 255
    assert seen.mean() > 0.7
    return float(np.abs(warped[seen].astype(float) - second[seen]).mean())


@pytest.mark.parametrize("degrees", [0, 15, 45, 90, 137, 180, 359])
def test_turned_view_and_its_homography_agree(photograph: np.ndarray, degrees: float) -> None:
    reference, view = turn(photograph, 0, (120, 120)), turn(photograph, degrees, (120, 120))
    assert view.image.shape == (120, 120)
    difference = difference_where_both_see(reference.image, view.image, view.homography)
    assert difference < 1
    # A homography that is one pixel off would show.
    shifted = np.array([[1, 0, 1], [0, 1, 0], [0, 0, 1]]) @ view.homography
    assert difference_where_both_see(reference.image, view.image, shifted) > 5


def test_right_angles_are_exact(photograph: np.ndarray) -> None:
    reference = turn(photograph, 0, (121, 121)).image
    for quarter in range(4):
        view = turn(photograph, 90 * quarter, (121, 121))
        np.testing.assert_array_equal(view.image, np.rot90(reference, quarter))


def test_turned_views_show_no_border() -> None:
    white = np.full((90, 120), 255, np.uint8)
    for degrees in range(0, 360, 15):
        assert turn(white, degrees, (100, 100)).image.min() == 255


@pytest.mark.parametrize("factor", [1, 1.5, 1.75, 2, 4])
def test_smaller_view_and_its_homography_agree(photograph: np.ndarray, factor: float) -> None:
    size = (240, 320)
    whole, view = shrink(photograph, 1, size), shrink(photograph, factor, size)
    assert view.image.shape == (round(240 / factor), round(320 / factor))
    # Corners of pixels, not centres, stay corners: (-0.5, -0.5) is fixed, up to rounded sizes.
    corner = view.homography @ [-0.5, -0.5, 1]
    assert np.abs(corner[:2] / corner[2] + 0.5).max() < 0.6
    difference = difference_where_both_see(whole.image, view.image, view.homography)
    assert difference < 3 * factor


@pytest.mark.parametrize("degrees", [0, 20, 40])
def test_tilted_view_and_its_homography_agree(photograph: np.ndarray, degrees: float) -> None:
    size = (240, 320)
    whole, view = tilt(photograph, 0, size), tilt(photograph, degrees, size)
    # The picture's middle stays, and around it widths shrink by the cosine.
    middle = view.homography @ [159.5, 119.5, 1]
    np.testing.assert_allclose(middle[:2] / middle[2], [159.5, 119.5])
    beside = view.homography @ [160.5, 119.5, 1]
    width = np.cos(np.radians(degrees))
    assert beside[0] / beside[2] - 159.5 == pytest.approx(width, abs=0.01)
    assert difference_where_both_see(whole.image, view.image, view.homography) < 6
    shifted = np.array([[1, 0, 1], [0, 1, 0], [0, 0, 1]]) @ view.homography
    assert difference_where_both_see(
        whole.image, view.image, shifted
    ) > 1.5 * difference_where_both_see(whole.image, view.image, view.homography)


class Corners:
    """Four points on the picture's diagonals and one outside the circle; descriptors by place."""

    def __init__(self, n: int) -> None:
        self.n = n

    def detectAndCompute(self, image, mask):
        size = image.shape[0]
        at = [(0.2, 0.3), (0.8, 0.3), (0.7, 0.7), (0.3, 0.6), (0.01, 0.01), (0.5, 0.5)]
        keypoints = [
            cv2.KeyPoint(size * x, size * y, 1, -1, 1.0 if i < 5 else 0.1)
            for i, (x, y) in enumerate(at)
        ]
        return keypoints, 10 * np.eye(6, dtype=np.float32)

    def defaultNorm(self) -> int:
        return cv2.NORM_L2


class Blind(Corners):
    def detectAndCompute(self, image, mask):
        return (), None


def run(method, steps: list[float], photograph: np.ndarray) -> list[Record]:
    protocol = Protocol(points=5)
    return run_steps(
        {"m": method}, {"p": photograph}, steps, lambda p, d: turn(p, d, (100, 100)), protocol
    )


def test_points_in_the_circle_are_compared(photograph: np.ndarray) -> None:
    # The weakest of the six is one too many, the fifth lies outside the circle. The detector sees
    # the same places in every view, which is right at 0 degrees and wrong at 90.
    same, turned = run(Corners(5), [0, 90], photograph)
    assert (same.matches, same.correct) == (4, 4)
    assert same.corner_error == pytest.approx(0, abs=1e-3)
    assert (turned.matches, turned.correct) == (4, 0)
    assert turned.corner_error > 50


def test_method_that_finds_nothing(photograph: np.ndarray) -> None:
    records = run(Blind(5), [0, 90], photograph)
    assert [(r.matches, r.correct, r.corner_error) for r in records] == [(0, 0, math.inf)] * 2
    assert [s.homographies for s in summarise(records, PROTOCOL)] == [0, 0]


def test_sift_stands_turning_tilting_and_shrinking() -> None:
    camera = photographs.read_photographs(limit=3)["camera"]
    sift = {"SIFT": detectors.make("SIFT", 500)}
    for steps, view in (
        ([0.0, 30.0, 180.0], lambda p, d: turn(p, d, (240, 240))),
        ([1.0, 2.0], lambda p, f: shrink(p, f, (360, 480))),
        ([0.0, 30.0], lambda p, d: tilt(p, d, (360, 480))),
    ):
        records = run_steps(sift, {"camera": camera}, steps, view, PROTOCOL)
        assert [r.step for r in records] == steps
        for record in records:
            assert record.corner_error <= 3
            assert record.correct > 0.6 * record.matches > 20


def test_summary_by_hand() -> None:
    records = [
        Record("m", "a", 0, matches=10, correct=5, corner_error=3.0),
        Record("m", "b", 0, matches=30, correct=30, corner_error=3.1),
        Record("m", "c", 0, matches=0, correct=0, corner_error=math.inf),
        Record("m", "a", 15, matches=8, correct=2, corner_error=1.0),
    ]
    first, second = summarise(records, PROTOCOL)
    assert (first.step, first.photographs, second.step) == (0, 3, 15)
    assert (first.homographies, second.homographies) == (1, 1)
    assert first.correct_share == pytest.approx((0.5 + 1 + 0) / 3)
    assert (first.correct_matches, second.correct_matches) == (5, 2)
    table = format_tables(invariance.tabulate([first, second], "degrees")).splitlines()
    assert [line.split() for line in table] == [
        ["Correct", "homographies,", "of", "3"],
        ["degrees", "0", "15", "mean"],
        ["m", "1", "1", "1.0"],
        [],
        ["Share", "of", "matches", "that", "are", "correct"],
        ["degrees", "0", "15", "mean"],
        ["m", "0.50", "0.25", "0.38"],
        [],
        ["Correct", "matches", "(median)"],
        ["degrees", "0", "15", "mean"],
        ["m", "5", "2", "4"],
    ]


@pytest.mark.parametrize(
    ("command", "arguments", "steps"),
    [
        ("rotation", ["--step", "60", "--to", "180"], [0, 60, 120, 180]),
        ("tilt", ["--step", "20", "--to", "40"], [0, 20, 40]),
        ("scale", ["--step", "0.1", "--to", "1.3"], [1, 1.1, 1.2, 1.3]),
    ],
)
def test_commands(
    command: str,
    arguments: list[str],
    steps: list[float],
    tmp_path: Path,
    photograph: np.ndarray,
    capsys: pytest.CaptureFixture[str],
) -> None:
    for name in "cab":
        cv2.imwrite(str(tmp_path / f"{name}.png"), photograph)
    out = tmp_path / "out"
    data = ["--data", str(tmp_path), "--limit", "2", "--out", str(out), "--methods", "ORB"]
    main([command, *arguments, *data])
    printed = capsys.readouterr().out
    assert printed.startswith(f"2 pictures of {tmp_path}\n")
    assert f"OpenCV {cv2.__version__}" in printed
    homographies = printed.split("\n\n")[1].splitlines()
    assert homographies[0] == "Correct homographies, of 2"
    assert homographies[1].split()[-len(steps) - 1 :] == [*(f"{s:g}" for s in steps), "mean"]
    assert [line.split()[:2] for line in homographies[2:]] == [["ORB", "2"]]
    with (out / f"{command}.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [float(row["step"]) for row in rows] == pytest.approx(steps)
    assert rows[0]["homographies"] == rows[0]["photographs"] == "2"
    with (out / f"{command}_pairs.csv").open(newline="") as file:
        assert {row["photograph"] for row in csv.DictReader(file)} == {"a.png", "b.png"}
    assert cv2.imread(str(out / f"{command}.png")).std() > 10
    page = (out / f"{command}.html").read_text(encoding="utf-8")
    assert f"python -m benchmarks {command} {arguments[0]}" in page
    assert (page.count("<svg"), page.count("<img")) == (3, 3)


def test_default_steps() -> None:
    defaults = {"rotation": (15, 360), "tilt": (15, 75), "scale": (0.5, 4)}
    for command, expected in defaults.items():
        options = parse([command])
        assert (options.step, options.to) == expected


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--methods", "orbb"], "unknown method 'orbb'"),
        (["--methods", "FAST"], "FAST only detects"),
        (["--data", "no/such/folder"], "no such folder"),
        (["--step", "0"], "--step must be above 0"),
        (["--limit", "0"], "a positive whole number"),
    ],
)
def test_command_explains_what_is_wrong(
    arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as stopped:
        main(["rotation", *arguments])
    assert stopped.value.code == 2
    assert message in capsys.readouterr().err

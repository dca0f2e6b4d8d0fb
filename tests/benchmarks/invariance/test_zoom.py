"""Close-ups: their homographies and detail, the shares, the command."""

import csv
import json
import math
from pathlib import Path

import cv2
import numpy as np
import pytest

from benchmarks.__main__ import main
from benchmarks.common.tables import format_tables
from benchmarks.invariance import zoom, zoom_command
from benchmarks.invariance.steps import Protocol
from benchmarks.invariance.views import zoom_in
from benchmarks.invariance.zoom import (
    ROTATIONS,
    ZOOMS,
    ZoomRecord,
    ZoomSummary,
    mean_share,
    run_zooms,
    summarise_zooms,
)

SIZE = (120, 160)


@pytest.fixture(scope="module")
def photograph() -> np.ndarray:
    """Three times the size of a view, smooth enough to survive being made smaller."""
    noise = np.random.default_rng(0).integers(0, 256, (30, 40), np.uint8)
    return cv2.resize(noise, (480, 360), interpolation=cv2.INTER_CUBIC)


@pytest.mark.parametrize("degrees", ROTATIONS)
@pytest.mark.parametrize("factor", ZOOMS)
def test_close_up_and_its_homography_agree(
    photograph: np.ndarray, factor: float, degrees: float
) -> None:
    whole, view = (zoom_in(photograph, z, d, SIZE) for z, d in ((1, 0), (factor, degrees)))
    assert view.image.shape == SIZE

    def difference(matrix: np.ndarray) -> float:
        warped = cv2.warpPerspective(whole.image, matrix, SIZE[::-1], flags=cv2.INTER_CUBIC)
        seen = cv2.warpPerspective(np.full(SIZE, 255, np.uint8), matrix, SIZE[::-1]) == 255
        assert seen.mean() > 0.6
        return float(np.abs(warped[seen].astype(float) - view.image[seen]).mean())

    right = difference(view.homography)
    assert right < 4
    for shift in ((1, 0), (0, 1)):  # by a pixel of the whole
        assert difference(view.homography @ [[1, 0, shift[0]], [0, 1, shift[1]], [0, 0, 1]]) > (
            3 * right
        )


def test_zoom_shows_detail_that_the_whole_lacks() -> None:
    stripes = np.tile(np.array([0, 255], np.uint8), (360, 240))  # a pixel wide
    whole, close = (zoom_in(stripes, z, 0, SIZE).image for z in (1, 3))
    assert np.ptp(whole[:, 5:-5]) < 90  # a third of a pixel: grey, and no moire
    assert np.ptp(close) == 255


def test_close_ups_are_photographed_again_always_the_same_way(photograph: np.ndarray) -> None:
    first, again, other = (zoom._photograph_again(photograph, seed) for seed in "aab")
    np.testing.assert_array_equal(first, again)
    assert np.abs(first.astype(int) - other).mean() > 2
    assert np.abs(first.astype(int) - photograph).mean() > 2


@pytest.fixture
def large() -> np.ndarray:
    """As a photograph: edges at all scales."""
    random, picture = np.random.default_rng(1), np.zeros((1280, 1700))
    for side in (20, 80, 320):
        noise = random.uniform(0, 85, (1280 // side, 1700 // side)).astype(np.float32)
        picture += cv2.resize(noise, (1700, 1280), interpolation=cv2.INTER_NEAREST)
    return picture.astype(np.uint8)


def test_sift_finds_close_ups(large: np.ndarray) -> None:
    protocol = Protocol(points=500, ransac_repeats=2)
    records = run_zooms(["SIFT"], {"p": large, "portrait": large.T.copy()}, protocol)
    assert len(records) == 2 * len(ZOOMS) * len(ROTATIONS)
    near = [r for r in records if r.zoom == 1]
    assert max(max(r.corner_errors) for r in near) < 1
    assert {len(r.corner_errors) for r in records} == {2}
    assert all(r.correct <= r.matches for r in records)


def test_workers_change_nothing(large: np.ndarray, monkeypatch: pytest.MonkeyPatch) -> None:
    protocol = Protocol(points=100)
    photographs = {"a": large, "b": large[::-1].copy()}
    alone, together = (run_zooms(["ORB"], photographs, protocol, n) for n in (1, 2))
    assert alone == together


def test_photograph_that_is_too_small(large: np.ndarray) -> None:
    with pytest.raises(zoom.PhotographError, match=r"p is too small to zoom in on: .* 1279"):
        run_zooms(["ORB"], {"p": large[1:]}, Protocol())


def record(method: str, factor: float, degrees: float, *errors: float) -> ZoomRecord:
    return ZoomRecord(method, "p", factor, degrees, 10, 5, list(errors))


def test_summary_by_hand() -> None:
    records = [
        record("m", 1, 0, 3.0, 3.1),
        record("m", 1, 0, 0.1, 0.2),
        record("m", 1, 15, math.inf, math.inf),
        record("m", 2, 0, 1.0, 1.0),
        record("n", 1, 0, 9.0, 9.0),
    ]
    summaries = summarise_zooms(records, Protocol())
    assert summaries == [
        ZoomSummary("m", 1, 0, 0.75),
        ZoomSummary("m", 1, 15, 0),
        ZoomSummary("m", 2, 0, 1),
        ZoomSummary("n", 1, 0, 0),
    ]
    assert mean_share(summaries, method="m") == pytest.approx(1.75 / 3)
    assert mean_share(summaries, method="m", zoom=1) == 0.375
    assert mean_share(summaries, method="m", rotation=0) == 0.875


def test_tables() -> None:
    summaries = [ZoomSummary("m", z, d, z / 4) for z in ZOOMS for d in ROTATIONS]
    means, full = format_tables(zoom_command.tabulate(summaries)).split("\n\n")
    assert means.splitlines()[2].split() == (
        ["m", "0.560", "0.25", "0.35", "0.50", "0.70", "1.00", *["0.56"] * 6]
    )
    assert [line.split()[1:3] for line in full.splitlines()[2:]] == [
        ["1x", "0.25"],
        ["1.4x", "0.35"],
        ["2x", "0.50"],
        ["2.8x", "0.70"],
        ["4x", "1.00"],
    ]


def test_command(large: np.ndarray, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    cv2.imwrite(str(tmp_path / "a.png"), large)
    out = tmp_path / "out"
    main(
        [
            *("zoom-rotation", "--data", str(tmp_path), "--methods", "ORB", "--points", "100"),
            *("--workers", "1", "--out", str(out)),
        ]
    )
    assert capsys.readouterr().out.startswith(f"1 pictures of {tmp_path}\npoints 100; ")
    with (out / "zoom-rotation.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == len(ZOOMS) * len(ROTATIONS)
    report = json.loads((out / "zoom-rotation.json").read_text())
    assert report["summary"]["ORB"] == pytest.approx(np.mean([float(r["share"]) for r in rows]))
    assert cv2.imread(str(out / "zoom-rotation.png")).std() > 10
    page = (out / "zoom-rotation.html").read_text(encoding="utf-8")
    assert page.count('class="shaded"') == len(rows)
    assert (page.count("<svg"), page.count("<img")) == (2, 3)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "--data"),
        (["--data", "no/such/folder"], "no such folder"),
        (["--data", ".", "--methods", "FAST"], "FAST only detects"),
    ],
)
def test_command_explains_what_is_wrong(
    arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as stopped:
        main(["zoom-rotation", *arguments])
    assert stopped.value.code == 2
    assert message in capsys.readouterr().err

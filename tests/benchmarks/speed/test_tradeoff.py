"""Accuracy over time: reports in, points and a picture out."""

import json
from pathlib import Path

import cv2
import pytest

from benchmarks.__main__ import main
from benchmarks.speed.tradeoff import Point, ReportError, frame_times, points, read_reports


def row(method: str, threads: int, milliseconds: float | None, **other: object) -> dict:
    same = {"method": method, "size": "640x480", "points": 1000, "threads": threads}
    return same | {"ms_frame": milliseconds} | other


REPORTS = {
    "speed": {
        "machine": {"CPU": "one"},
        "rows": [
            *(row("ORB", 1, 9.0), row("SIFT", 1, 90.0), row("SuperPoint", 1, 50.0)),
            *(row("SuperPoint", 1, 70.0, precision="float32"), row("FAST", 1, None)),
            *(row("ORB", 2, 8.0), row("SuperPoint", 2, 30.0)),
            row("ORB", 1, 99.0, size="1280x960"),
        ],
    },
    "hpatches": {
        "summary": {
            "all": {
                **{"ORB": {"AUC@3": 0.3}, "SuperPoint": {"AUC@3": 0.7}, "SIFT": {"AUC@3": 0.6}},
                **{"FAST": {"AUC@3": None}, "AKAZE": {"AUC@3": 0.5}},
            }
        }
    },
    "zoom-rotation": {"summary": {"ORB": 0.5, "SuperPoint": 0.8}},
}


@pytest.fixture
def files(tmp_path: Path) -> dict[str, Path]:
    paths = {name: tmp_path / f"{name}.json" for name in REPORTS}
    for name, path in paths.items():
        path.write_text(json.dumps({"benchmark": name} | REPORTS[name]))
    return paths


def test_times_are_of_one_setting() -> None:
    times, conditions = frame_times(REPORTS["speed"], None)
    assert times == {"ORB": 9, "SIFT": 90, "SuperPoint": 50}
    assert conditions == "640x480, 1000 points, 1 thread"
    assert frame_times(REPORTS["speed"], 2)[0] == {"ORB": 8, "SuperPoint": 30}
    with pytest.raises(ReportError, match="no frames with 3 threads"):
        frame_times(REPORTS["speed"], 3)


def test_points_are_methods_with_both() -> None:
    found = points({"a": 0.5, "b": 0.25, "c": 0.1}, {"b": 3, "a": 7, "d": 1})
    assert found == [Point("b", 3, 0.25), Point("a", 7, 0.5)]
    with pytest.raises(ReportError, match="no method in common"):
        points({"a": 0.5}, {"b": 3})


def test_command(
    files: dict[str, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "picture.png"
    main(["accuracy-over-time", *map(str, files.values()), "--out", str(out)])
    assert capsys.readouterr().out.splitlines() == [
        "AUC@3 of homographies: ORB 0.300, 9.0 ms",
        "AUC@3 of homographies: SuperPoint 0.700, 50.0 ms",
        "AUC@3 of homographies: SIFT 0.600, 90.0 ms",
        "close-ups found, zoomed and turned: ORB 0.500, 9.0 ms",
        "close-ups found, zoomed and turned: SuperPoint 0.800, 50.0 ms",
    ]
    both = cv2.imread(str(out))
    assert both.std() > 10
    main(["accuracy-over-time", str(files["speed"]), str(files["hpatches"]), "--out", str(out)])
    assert cv2.imread(str(out)).shape[1] == both.shape[1] / 2  # a panel instead of two
    page = tmp_path / "page.html"
    main(["accuracy-over-time", *map(str, files.values()), "--out", str(page)])
    assert "0.700</td>" in page.read_text(encoding="utf-8")


def test_reports_of_other_commands(files: dict[str, Path], tmp_path: Path) -> None:
    assert list(read_reports([files["zoom-rotation"], files["speed"]])) == [
        *("speed", "zoom-rotation")
    ]
    for paths, message in (
        ([files["speed"]], "one of hpatches or zoom-rotation"),
        ([files["hpatches"]], "a report of speed is needed"),
        ([files["speed"], files["speed"]], "a second report of speed"),
        ([tmp_path / "none.json"], "cannot read"),
    ):
        with pytest.raises(ReportError, match=message):
            read_reports(paths)
    foreign = tmp_path / "foreign.json"
    for contents in ("[]", "{", "{}"):
        foreign.write_text(contents)
        with pytest.raises(ReportError, match="as a report"):
            read_reports([foreign])


def test_command_explains_what_is_wrong(
    files: dict[str, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as stopped:
        main(["accuracy-over-time", str(files["speed"]), "--out", "x.png"])
    assert stopped.value.code == 2
    assert "one of hpatches or zoom-rotation" in capsys.readouterr().err

"""Rows and tables of the times, worked out by hand."""

import pytest

from benchmarks.common.tables import format_tables
from benchmarks.speed import report as speed_report
from benchmarks.speed import roofline, timing
from benchmarks.speed.cases import Case


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

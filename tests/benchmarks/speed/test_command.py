"""The command: its grid of cases, what it prints and writes, and how it refuses."""

import argparse
import csv
import json
import math
from pathlib import Path

import cv2
import pytest
import torch

from benchmarks import __main__ as cli
from benchmarks.speed import cases, roofline
from benchmarks.speed import command as speed
from benchmarks.speed.cases import Case


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


@pytest.mark.parametrize(
    "arguments", [["--sizes", "640"], ["--sizes", "0x9"], ["--points", "-1"], ["--batches", "x"]]
)
def test_bad_arguments(arguments: list[str]) -> None:
    with pytest.raises(SystemExit) as stopped:
        parse(*arguments)
    assert stopped.value.code == 2


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

"""Peak memory in processes of their own, and the command."""

import argparse
import csv
import signal
import subprocess
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from benchmarks import __main__ as cli
from benchmarks.speed import memory, memory_command
from benchmarks.speed.cases import Case
from benchmarks.speed.memory import Footprint, measure_memory

SMALL = (64, 96)
IMAGE = np.random.default_rng(0).integers(0, 256, SMALL, np.uint8)


def test_memory_is_that_of_the_process_alone() -> None:
    ours = np.ones(2**28, np.uint8)  # 256 MiB here must not count there
    orb = measure_memory(Case("ORB", SMALL, 50, 1), IMAGE)
    assert orb is not None
    assert 10 < orb.mib < 256
    assert 0 < orb.milliseconds < 10_000
    superpoint = measure_memory(Case("SuperPoint-lite", SMALL, 50, 1), IMAGE)
    assert superpoint is not None
    assert superpoint.mib > orb.mib + 50  # PyTorch
    assert len(ours)


def test_process_that_is_killed(monkeypatch: pytest.MonkeyPatch) -> None:
    killed = SimpleNamespace(returncode=-signal.SIGKILL)
    monkeypatch.setattr(memory.subprocess, "run", lambda *_, **__: killed)
    assert measure_memory(Case("ORB", SMALL, 50, 1), IMAGE) is None


def test_process_that_fails() -> None:
    with pytest.raises(subprocess.CalledProcessError):
        measure_memory(Case("no_such_module:make", SMALL, 50, 1), IMAGE)


def parse(*arguments: str) -> argparse.Namespace:
    return cli.parse(["memory", *arguments])


def test_command(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def measure(case: Case, image: np.ndarray) -> Footprint | None:
        assert image.shape == case.size
        return None if case.size[0] > 1000 else Footprint(case.size[0] / 10, 7.4)

    monkeypatch.setattr(memory_command, "measure_memory", measure)
    options = parse(
        *("--sizes", "1000x500", "2000x1500", "--methods", "ORB", "SIFT", "--out", str(tmp_path))
    )
    options.run(options)
    _, peak, times = capsys.readouterr().out.split("\n\n")
    assert [line.split() for line in peak.splitlines()[1:]] == [
        ["megapixels", "0.5", "3.0"],
        ["ORB", "50", "-"],
        ["SIFT", "50", "-"],
    ]
    assert [line.split() for line in times.splitlines()[2:]] == [
        ["ORB", "7", "-"],
        ["SIFT", "7", "-"],
    ]
    with (tmp_path / "memory.csv").open(newline="") as file:
        assert [row["mib"] for row in csv.DictReader(file)] == ["50.0", "50.0", "", ""]
    page = (tmp_path / "memory.html").read_text(encoding="utf-8")
    assert page.count(">50</td>") == 2
    assert page.count("<svg") == 2


def test_sizes_go_from_a_third_of_a_megapixel_to_fifty() -> None:
    megapixels = [height * width / 1e6 for height, width in parse().sizes]
    assert (round(megapixels[0], 1), round(megapixels[-1])) == (0.3, 50)


@pytest.mark.parametrize("arguments", [["--methods", "orbb"], ["--data", "no/such/folder"]])
def test_command_explains_what_is_wrong(
    arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    options = parse(*arguments)
    with pytest.raises(SystemExit) as stopped:
        options.run(options)
    assert stopped.value.code == 2
    assert arguments[1] in capsys.readouterr().err

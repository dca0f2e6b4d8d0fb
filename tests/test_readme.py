"""What the README shows is what happens."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import cv2
import numpy as np
import pytest

from benchmarks.__main__ import main as benchmark
from cv2_superpoint.apps.cli import _parser

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")


def _blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", README, re.DOTALL)


@pytest.fixture(scope="module")
def namespace():
    """Names left by the README's Python, run from top to bottom."""
    names: dict = {}
    for block in _blocks("python"):
        exec(block, names)
    return names


def test_the_script_finds_the_homography(namespace):
    x, y = np.meshgrid(np.arange(0, 600, 40.0), np.arange(0, 400, 40.0))
    grid = np.stack([x, y], axis=-1).reshape(-1, 1, 2)
    found, true = (
        cv2.perspectiveTransform(grid, namespace[name])[:, 0] for name in ("homography", "true")
    )
    seen = ((true >= 0) & (true < (600, 400))).all(axis=1)  # elsewhere there is nothing to match
    assert seen.sum() > 100
    assert np.linalg.norm(found - true, axis=1)[seen].mean() < 2


def test_only_the_line_of_the_detector_changes_from_orb(namespace):
    old, new = re.search(r"-(detector = .*)\n\+(detector = .*)\n", _blocks("diff")[0]).groups()
    (script,) = (block for block in _blocks("python") if "findHomography" in block)
    assert new in script
    names: dict = {}
    exec(re.sub(re.escape(new) + ".*", old, script), names)
    assert isinstance(names["detector"], cv2.ORB)
    assert namespace["inliers"].sum() > 30
    assert names["inliers"].sum() > 30


def test_plain_arrays_are_as_described(namespace):
    features = namespace["features"]
    assert features.xy.shape == (len(features), 2)
    assert features.descriptors.shape == (len(features), 64)
    assert len(namespace["batch"]) == 2


def test_every_command_of_the_command_line_parses():
    (block,) = (b for b in _blocks("sh") if b.startswith("cv2-superpoint"))
    for line in block.splitlines():
        assert _parser().parse_args(shlex.split(line)[1:]).run


def test_the_benchmarks_command_runs(tmp_path, capsys):
    (block,) = (b for b in _blocks("sh") if b.startswith("python -m benchmarks"))
    arguments = [str(tmp_path) if word == "DIR" else word for word in shlex.split(block)[3:]]
    with pytest.raises(SystemExit):  # there are no sequences in an empty folder
        benchmark(arguments)
    assert str(tmp_path) in capsys.readouterr().err


@pytest.mark.parametrize("mark", ["main", "test"])
def test_ci_runs_the_readmes_commands(mark):
    (command,) = re.findall(rf"<!-- {mark} command -->\n```sh\n(.*)\n```", README)
    assert command.startswith("python3 -m venv .venv && ")
    assert f"run_from_readme {mark}\n" in (ROOT / ".ci" / "run").read_text()


def test_files_that_it_links_to_exist():
    for target in re.findall(r"\]\(([^)]+)\)", README):
        assert target.startswith("https://") or (ROOT / target).exists(), target

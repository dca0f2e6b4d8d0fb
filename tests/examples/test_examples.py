"""The examples do what they say, on photographs of scikit-image."""

from __future__ import annotations

import runpy
import sys
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from skimage import data

EXAMPLES = Path(__file__).parents[2] / "examples"


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Any:
    """Run an example on images; returns the picture it writes."""

    def call(name: str, *images: np.ndarray) -> np.ndarray:
        paths = [str(tmp_path / f"{i}.png") for i in range(3)]
        for path, image in zip(paths, images, strict=False):
            cv2.imwrite(path, image)
        monkeypatch.setattr(sys, "argv", [name, *paths])
        runpy.run_path(str(EXAMPLES / name), run_name="__main__")
        return cv2.imread(paths[2])

    return call


def test_find_object(run, capsys):
    coffee = cv2.cvtColor(data.coffee(), cv2.COLOR_RGB2BGR)
    thing = coffee[80:320, 150:450]
    turn = cv2.getRotationMatrix2D((300, 200), 12, 0.9)
    scene = cv2.warpAffine(coffee, turn, (600, 400))
    picture = run("find_object.py", thing, scene)
    assert picture.shape == scene.shape
    assert (picture != scene).any()
    printed = capsys.readouterr().out
    found = np.array(eval(printed.partition("at ")[2].partition(":")[0]))
    true = np.array([[150, 80, 1], [450, 80, 1], [450, 320, 1], [150, 320, 1]]) @ turn.T
    assert np.abs(found - true).max() < 4


def test_find_object_that_is_not_there(run):
    with pytest.raises(SystemExit, match="not found"):
        run("find_object.py", data.brick(), cv2.cvtColor(data.chelsea(), cv2.COLOR_RGB2BGR))


def test_stitch_two(run):
    whole = cv2.cvtColor(data.astronaut(), cv2.COLOR_RGB2BGR)
    picture = run("stitch_two.py", whole[:480, 150:], whole[32:, :370])
    assert np.abs(np.array(picture.shape[:2]) - whole.shape[:2]).max() <= 4
    fitted = cv2.resize(picture, (512, 512))
    inside = np.abs(fitted.astype(int) - whole)[40:470, 160:360]
    assert np.median(inside) < 12


def test_stitch_two_that_do_not_overlap(run):
    with pytest.raises(SystemExit, match="do not overlap"):
        run("stitch_two.py", data.brick(), cv2.cvtColor(data.chelsea(), cv2.COLOR_RGB2BGR))


def test_examples_are_short():
    scripts = list(EXAMPLES.glob("*.py"))
    assert len(scripts) >= 2
    for script in scripts:
        assert len(script.read_text().splitlines()) < 50

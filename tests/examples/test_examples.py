"""The examples do what they say, on photographs of scikit-image."""

from __future__ import annotations

import re
import runpy
import sys
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from skimage import data

from cv2_superpoint import replace

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


@pytest.fixture
def show(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: Any) -> Any:
    """Run an example without input; returns the picture it writes and the numbers it prints."""

    def call(name: str, *arguments: str, through: Any = None) -> tuple[np.ndarray, list[float]]:
        output = str(tmp_path / "out.png")
        monkeypatch.setattr(sys, "argv", [name, output, *arguments])
        monkeypatch.syspath_prepend(EXAMPLES)
        if through is None:
            runpy.run_path(str(EXAMPLES / name), run_name="__main__")
        else:
            through([str(EXAMPLES / name), output])
        printed = capsys.readouterr().out
        return cv2.imread(output), [float(n) for n in re.findall(r"\d+(?:\.\d+)?", printed)]

    return call


SCRIPTS = sorted({path.name for path in EXAMPLES.glob("*.py")} - {"room.py"})


@pytest.mark.parametrize("name", SCRIPTS)
def test_without_arguments_an_example_says_how_to_run_it(monkeypatch, name):
    monkeypatch.setattr(sys, "argv", [name])
    monkeypatch.syspath_prepend(EXAMPLES)
    with pytest.raises(SystemExit, match=f"python {name} "):
        runpy.run_path(str(EXAMPLES / name), run_name="__main__")


@pytest.mark.parametrize("scale", [0.9, 0.4])
def test_find_object(run, capsys, scale):
    coffee = cv2.cvtColor(data.coffee(), cv2.COLOR_RGB2BGR)
    thing = coffee[80:320, 150:450]
    turn = cv2.getRotationMatrix2D((300, 200), 12, scale)
    scene = cv2.warpAffine(cv2.GaussianBlur(coffee, (0, 0), 0.5 / scale), turn, (600, 400))
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


def test_panorama(show):
    picture, (width, height, focal) = show("panorama.py")
    assert picture.shape == (height, width, 3)
    assert 500 < width < 570  # 3 views of 320 pixels, 26 degrees apart in all
    assert abs(focal - 500) < 25


def test_panorama_that_does_not_overlap(show, tmp_path):
    paths = [str(tmp_path / f"{name}.png") for name in ("brick", "chelsea")]
    for path, image in zip(paths, (data.brick(), data.chelsea()), strict=True):
        cv2.imwrite(path, image)
    with pytest.raises(SystemExit, match="do not overlap"):
        show("panorama.py", *paths)


def test_augmented_reality(show):
    picture, (mean, worst) = show("augmented_reality.py")
    assert picture.shape == (2 * 360, 3 * 480, 3)
    assert mean < 0.5
    assert worst < 2


def test_stabilise(show):
    picture, (before, after) = show("stabilise.py")
    assert before > 10
    assert after < 0.5
    shaky, steady = (cv2.Laplacian(half, cv2.CV_64F).std() for half in np.hsplit(picture, 2))
    assert steady > 1.5 * shaky


def test_image_search(show):
    picture, (first, of) = show("image_search.py")
    assert picture.shape == (of // 2 * 120, 2 * 4 * 160, 3)
    assert first >= of - 2


def test_steep_view(show):
    picture, (alone, _, affine, _) = show("steep_view.py")
    assert picture.ndim == 3
    assert affine > 50
    assert affine > 4 * alone


def test_visual_odometry(show):
    picture, (off, length, percent) = show("visual_odometry.py")
    assert picture.ndim == 3
    assert length > 15
    assert percent < 1
    assert abs(percent - 100 * off / length) < 0.01


def test_an_orb_script_finds_more_through_replace(show):
    with_orb, (_, correct_of_orb) = show("orb_script.py")
    with_ours, (_, correct_of_ours) = show("orb_script.py", through=replace.main)
    assert with_orb.shape == with_ours.shape
    assert correct_of_ours > correct_of_orb > 50


def test_examples_are_short_and_shown():
    scripts = {path.stem: path for path in EXAMPLES.glob("*.py")}
    page = (EXAMPLES / "README.md").read_text(encoding="utf-8")
    for script in scripts.values():
        assert len(script.read_text(encoding="utf-8").splitlines()) < 60
    whole = scripts.keys() - {"room"}  # a part of another
    assert set(re.findall(r"(?<!docs/)examples/(\w+)\.py", page)) == whole
    for name in whole:
        assert f"(../docs/examples/{name}.jpg)" in page
    pictures = {path.stem: path for path in (EXAMPLES.parent / "docs" / "examples").glob("*.jpg")}
    assert pictures.keys() == whole
    assert all(path.stat().st_size < 80_000 for path in pictures.values())

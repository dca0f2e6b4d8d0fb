"""The C++ example, where CMake and OpenCV's headers are installed."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import cv2
import pytest
from skimage import data

from cv2_superpoint.apps.cli import main

SOURCE = Path(__file__).parents[2] / "examples" / "cpp"

pytest.importorskip("onnx")


@pytest.fixture(scope="module")
def build(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """Return the program, and the first number of the version of OpenCV that it is built with."""
    if not shutil.which("cmake"):
        pytest.skip("needs CMake")
    folder = tmp_path_factory.mktemp("build")
    configure = ["cmake", "-S", SOURCE, "-B", folder, "-DCMAKE_BUILD_TYPE=Release"]
    done = subprocess.run(configure, capture_output=True, text=True)
    if 'provided by "OpenCV"' in done.stderr:
        pytest.skip("needs OpenCV's headers")
    assert done.returncode == 0, done.stderr
    subprocess.run(["cmake", "--build", folder], check=True)
    return folder / "match_images", re.search(r"-- OpenCV (\d)", done.stdout)[1]


def test_match_images(build, tmp_path):
    program, version = build
    photo = cv2.resize(cv2.cvtColor(data.astronaut(), cv2.COLOR_RGB2BGR), (640, 480))
    turn = cv2.getRotationMatrix2D((320, 240), 10, 0.95)
    paths = [str(tmp_path / name) for name in ("sp.onnx", "a.png", "b.png", "out.png")]
    cv2.imwrite(paths[1], photo)
    cv2.imwrite(paths[2], cv2.warpAffine(photo, turn, (640, 480)))
    target = "aliked" if version >= "5" else "maps"
    main(["export", "-o", paths[0], "--for", target, "--size", "640x480"])
    done = subprocess.run([program, *paths], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    first, second, matches = map(int, re.findall(r"\d+", done.stdout))
    assert first == second == 1000
    assert matches > 600
    assert cv2.imread(paths[3]).shape == (480, 1280, 3)


def test_it_is_short():
    assert len((SOURCE / "main.cpp").read_text().splitlines()) < 60

"""Importing is cheap, and says what is missing."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

import cv2_superpoint


def _python(code: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)


def test_import_takes_less_than_a_fifth_of_a_second():
    code = (
        "import time; start = time.perf_counter(); import cv2_superpoint; "
        "print(time.perf_counter() - start)"
    )
    assert min(float(_python(code).stdout) for _ in range(5)) < 0.2


def test_torch_is_loaded_with_the_first_object():
    code = (
        "import sys, cv2_superpoint; dir(cv2_superpoint); before = 'torch' in sys.modules; "
        "cv2_superpoint.SuperPoint; print(before, 'torch' in sys.modules)"
    )
    assert _python(code).stdout.split() == ["False", "True"]


def test_every_public_name_is_there_and_listed():
    for name in cv2_superpoint.__all__:
        assert getattr(cv2_superpoint, name).__name__ == name
        assert name in dir(cv2_superpoint)


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="'cv2_superpoint' has no attribute 'ORB2'"):
        cv2_superpoint.ORB2  # noqa: B018


def test_type_checkers_see_the_public_names(tmp_path):
    script = tmp_path / "script.py"
    script.write_text("import cv2_superpoint as c\nreveal_type(c.SuperPoint(5))\nc.ORB2\n")
    command = [sys.executable, "-m", "mypy", "--no-site-packages", "--ignore-missing-imports"]
    done = subprocess.run(
        [*command, str(script)],
        capture_output=True,
        text=True,
        env={**os.environ, "MYPYPATH": str(Path(cv2_superpoint.__file__).parent.parent)},
        cwd=tmp_path,
    )
    assert 'Revealed type is "cv2_superpoint.opencv.feature2d.SuperPoint"' in done.stdout
    assert 'has no attribute "ORB2"' in done.stdout


def test_without_opencv_the_import_says_what_to_install():
    done = _python("import sys; sys.modules['cv2'] = None; import cv2_superpoint")
    assert done.returncode == 1
    last = done.stderr.splitlines()[-1]
    assert last.startswith("ImportError: cv2_superpoint needs OpenCV: install opencv-contrib-")


def test_without_scikit_image_it_works():
    code = (
        "import sys; sys.modules['skimage'] = None; import numpy, cv2_superpoint; "
        "cv2_superpoint.SuperPoint().detect(numpy.zeros((32, 32), numpy.uint8)); print('fine')"
    )
    assert _python(code).stdout == "fine\n"

"""A script like OpenCV's samples runs with ORB, replaced, and edited."""

from __future__ import annotations

import re
from pathlib import Path

import cv2
import pytest
from skimage import data

from benchmarks.__main__ import main

# In its folder `tracker.py`, which makes the feature, as with OpenCV's own plane_ar.py.
TRACKER = """
import cv2 as cv

class Tracker:
    def __init__(self):
        self.orb = cv.ORB_create(300)
        self.matcher = cv.BFMatcher(cv.NORM_HAMMING, crossCheck=True)

    def inliers(self, first, second):
        (a, rows), (b, others) = (self.orb.detectAndCompute(i, None) for i in (first, second))
        pairs = self.matcher.match(rows, others)
        source = cv.KeyPoint.convert([a[m.queryIdx] for m in pairs])
        target = cv.KeyPoint.convert([b[m.trainIdx] for m in pairs])
        return cv.findHomography(source, target, cv.RANSAC, 3)[1].sum()
"""
SCRIPT = """
import cv2 as cv
import tracker

image = cv.imread(cv.samples.findFile("photo.png"), 0)
chosen = []
cv.namedWindow("plane")
cv.setMouseCallback("plane", lambda event, x, y, flags, _: chosen.append((event, x, y)))
while True:
    cv.imshow("plane", image)
    if cv.waitKey(1) == 27:
        break
finder = tracker.Tracker()
print(finder.inliers(image, image), type(finder.orb).__module__)
print(len(chosen), "events of the mouse, the last at", chosen[-1][1:])
"""


@pytest.fixture
def source(tmp_path: Path) -> Path:
    folder = tmp_path / "opencv"
    for part in ("samples/python", "samples/data", "modules", "doc/py_tutorials"):
        (folder / part).mkdir(parents=True)
    (folder / "samples/python/tracker.py").write_text(TRACKER)
    (folder / "samples/python/plane_ar.py").write_text(SCRIPT)
    (folder / "samples/python/plane_tracker.py").write_text("import no_such_module")
    cv2.imwrite(str(folder / "samples/data/photo.png"), data.camera()[100:300, 100:400])
    return folder


def test_a_script_runs_in_three_ways(source, tmp_path, capsys):
    out = tmp_path / "out"
    main(["scripts", "--opencv", str(source), "--only", "plane", "--out", str(out)])
    printed = capsys.readouterr().out
    failed, ran = (line for line in printed.splitlines() if "`plane" in line)
    _, name, plain, replaced, edited, _ = ran.split("|")
    assert name.strip() == "`plane_ar.py`"
    for cell in (plain, replaced):
        assert "3 events of the mouse, the last at (210, 140)" in cell
        assert re.search(r"findHomography: \d+ matches, \d+ inliers", cell)
    assert edited.strip() == "the same (1)"
    assert "no_such_module" in failed
    assert "**failed**" in failed
    assert "cv2_superpoint" in (out / "plane_ar-py-replaced.txt").read_text()
    assert "cv2_superpoint" not in (out / "plane_ar-py-opencv.txt").read_text()
    assert ran in (out / "scripts.md").read_text()


def test_what_is_not_the_source_is_refused(tmp_path):
    with pytest.raises(SystemExit, match="not OpenCV's source"):
        main(["scripts", "--opencv", str(tmp_path)])

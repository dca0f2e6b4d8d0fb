"""Run a script without windows, and note what it did: ``python -m benchmarks.scripts.probe``.

Its arguments are a file to write, the features to replace (comma-separated; ``-``: none), the
script and the script's own arguments. Nobody sits there: windows are not shown, a rectangle is
drawn with the mouse once where a script waits for that, and after a while Esc and q are pressed.
"""

import functools
import itertools
import json
import runpy
import sys
from collections import Counter, defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np

_WAITS = 40  # calls of waitKey without a key
_RECTANGLE = (0.3, 0.3, 0.7, 0.7)  # of the window: left, top, right, bottom
_ESTIMATORS = (
    "findHomography", "findFundamentalMat", "findEssentialMat", "estimateAffine2D",
    "estimateAffinePartial2D",
)  # fmt: skip


class Notes:
    """What a script called, summed over its calls."""

    def __init__(self) -> None:
        self.calls: Counter[str] = Counter()
        self.counts: defaultdict[str, Counter[str]] = defaultdict(Counter)
        self.pictures: dict[str, tuple[int, ...]] = {}

    def add(self, name: str, **counts: int) -> None:
        """Note a call."""
        self.calls[name] += 1
        self.counts[name].update(counts)

    def lines(self) -> list[str]:
        """Return a line for each function: what it counted, on average."""
        lines = []
        for name, calls in self.calls.items():
            means = [f"{total / calls:.4g} {key}" for key, total in self.counts[name].items()]
            times = f" ({calls} times)" if calls > 1 else ""
            lines.append(f"{name}{times}: {', '.join(means)}")
        sizes = (f"{Path(n).name}: {w}x{h} pixels" for n, (h, w) in self.pictures.items())
        return [*lines, *sizes]


def watch(notes: Notes) -> None:
    """Note the calls of OpenCV's functions that tell how well matching went."""
    for name in _ESTIMATORS:
        _wrap(name, functools.partial(_note_estimate, notes, name))
    _wrap("drawMatches", lambda _, *a, **k: notes.add("drawMatches", matches=len(a[4])))
    _wrap("drawMatchesKnn", lambda _, *a, **k: notes.add("drawMatchesKnn", matches=len(a[4])))
    _wrap("drawKeypoints", lambda _, *a, **k: notes.add("drawKeypoints", keypoints=len(a[1])))
    _wrap("imwrite", lambda _, *a, **k: notes.pictures.update({str(a[0]): _size(a[1])}))


def _wrap(name: str, note: Callable[..., Any]) -> None:
    function = getattr(cv2, name)

    @functools.wraps(function)
    def call(*args: Any, **kwargs: Any) -> Any:
        result = function(*args, **kwargs)
        note(result, *args, **kwargs)
        return result

    setattr(cv2, name, call)


def _note_estimate(notes: Notes, name: str, result: Any, points: Any, *_: Any, **__: Any) -> None:
    model, mask = result
    inliers = 0 if model is None or mask is None else int(np.count_nonzero(mask))
    notes.add(name, matches=len(points), inliers=inliers)


def _size(image: Any) -> tuple[int, ...]:
    """Return (height, width)."""
    return np.shape(image.get() if isinstance(image, cv2.UMat) else image)[:2]


def hide_windows() -> None:
    """Show none, and act in the place of who would sit before them."""
    shown: dict[str, Any] = {}
    mouse: dict[str, Callable[..., Any]] = {}
    waits = itertools.count(1)

    def show(window: str, image: Any) -> None:
        shown[window] = _size(image)

    def wait(*_: Any) -> int:
        wait_number = next(waits)
        if wait_number == 3:
            for window in mouse.keys() & shown.keys():
                _drag(mouse[window], *shown[window])
        return -1 if wait_number <= _WAITS else (27, ord("q"))[wait_number % 2]

    def nothing(*_: Any, **__: Any) -> None:
        pass

    def listen(window: str, callback: Callable[..., Any], *_: Any) -> None:
        mouse[window] = callback

    for name, function in {
        "imshow": show, "waitKey": wait, "waitKeyEx": wait, "pollKey": wait,
        "setMouseCallback": listen, "namedWindow": nothing, "destroyWindow": nothing,
        "destroyAllWindows": nothing, "createTrackbar": nothing, "moveWindow": nothing,
        "resizeWindow": nothing, "setWindowTitle": nothing,
        "getTrackbarPos": lambda *_: 0, "getWindowProperty": lambda *_: 1.0,
    }.items():  # fmt: skip
        setattr(cv2, name, function)


def _drag(callback: Callable[..., Any], height: int, width: int) -> None:
    left, top, right, bottom = _RECTANGLE
    first, last = (int(left * width), int(top * height)), (int(right * width), int(bottom * height))
    pressed = cv2.EVENT_FLAG_LBUTTON
    callback(cv2.EVENT_LBUTTONDOWN, *first, pressed, None)
    callback(cv2.EVENT_MOUSEMOVE, *last, pressed, None)
    callback(cv2.EVENT_LBUTTONUP, *last, 0, None)


def main(output: str, features: str, script: str, *arguments: str) -> None:
    """Run the script as ``python SCRIPT`` would, or through ``cv2_superpoint.replace``."""
    notes = Notes()
    watch(notes)
    hide_windows()
    cv2.setRNGSeed(0)
    sys.argv = [script, *arguments]
    sys.path[0] = str(Path(script).resolve().parent)
    try:
        if features == "-":
            runpy.run_path(script, run_name="__main__")
        else:
            sys.argv[:0] = ["replace", "--features", features]
            runpy.run_module("cv2_superpoint.replace", run_name="__main__", alter_sys=True)
    finally:
        Path(output).write_text(json.dumps(notes.lines()), encoding="utf-8")


if __name__ == "__main__":
    main(*sys.argv[1:])

"""Every public name has an example in its docstring, and all examples print what they show."""

from __future__ import annotations

import doctest
from typing import Any

import cv2
import pytest

import cv2_superpoint

NAMES = cv2_superpoint.__all__


@pytest.fixture(autouse=True)
def opencv_as_it_was(monkeypatch: pytest.MonkeyPatch) -> None:
    """Undo ``register()``."""
    for name in ("SuperPoint", "SuperPoint_create"):
        monkeypatch.setattr(cv2, name, None, raising=False)


@pytest.mark.parametrize("name", ["", *NAMES])
def test_examples_run(name: str) -> None:
    documented: Any = getattr(cv2_superpoint, name) if name else cv2_superpoint
    # Names are looked up afresh, so that an example shows every import it needs.
    (example,) = doctest.DocTestFinder(recurse=False).find(documented, name or "module", globs={})
    assert example.examples, f"{name} has no example"
    report: list[str] = []
    doctest.DocTestRunner(verbose=False).run(example, out=report.append)
    assert not report, "".join(report)

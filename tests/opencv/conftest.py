"""Fixtures of this folder."""

from __future__ import annotations

from typing import Any

import pytest

from cv2_superpoint.opencv import nearest


@pytest.fixture
def product(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Names of the functions of the product that were called."""
    called: list[str] = []
    for name in ("nearest", "mutual", "within"):
        function = getattr(nearest, name)

        def spy(*args: Any, _name: str = name, _function: Any = function) -> Any:
            called.append(_name)
            return _function(*args)

        monkeypatch.setattr(nearest, name, spy)
    return called

"""A folder of small pictures, and the command."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import pytest
from skimage import data

from cv2_superpoint.apps.cli import main


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    """Eight, of two sizes, in two folders."""
    folder = tmp_path / "pictures"
    (folder / "more").mkdir(parents=True)
    photograph = data.camera()[120:, 150:]
    for i in range(8):
        height, width = ((96, 128), (120, 90))[i % 2]
        picture = photograph[10 * i : 10 * i + height, 15 * i : 15 * i + width]
        assert cv2.imwrite(str(folder / ("", "more")[i // 4] / f"{i}.png"), picture)
    return folder


@pytest.fixture
def extract(tmp_path: Path) -> Any:
    """Call the command."""

    def call(*sources: Any, to: str, options: str = "-n 50 --nlevels 1 --device cpu") -> Path:
        main(["extract", *map(str, sources), "-o", str(tmp_path / to), *options.split()])
        return tmp_path / to

    return call

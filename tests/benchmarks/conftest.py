"""A tiny HPatches-format folder whose homographies are exact by construction."""

from pathlib import Path

import cv2
import numpy as np
import pytest

SHIFT = (24, 16)


@pytest.fixture
def hpatches_folder(tmp_path: Path) -> Path:
    """Two sequences: ``i_dim`` (2 images, identity) and ``v_shift`` (3 images, shifted crops)."""
    scene = _draw_scene(height=480, width=640)
    folder = tmp_path / "hpatches"
    window = scene[:400, :560]
    _write(folder / "i_dim", [window, window // 2], [np.eye(3)])
    dx, dy = SHIFT
    shifted = [scene[k * dy : 400 + k * dy, k * dx : 560 + k * dx] for k in (0, 1, 2)]
    # A crop that begins dx pixels further right shows every point dx pixels further left.
    shifts = [np.array([[1, 0, -k * dx], [0, 1, -k * dy], [0, 0, 1]]) for k in (1, 2)]
    _write(folder / "v_shift", shifted, shifts)
    return folder


def _draw_scene(height: int, width: int) -> np.ndarray:
    rng = np.random.default_rng(0)
    scene = np.full((height, width), 128, np.uint8)
    for _ in range(400):
        x, y = int(rng.integers(width)), int(rng.integers(height))
        w, h = (int(side) for side in rng.integers(10, 50, 2))
        cv2.rectangle(scene, (x, y), (x + w, y + h), int(rng.integers(256)), -1)
    return scene


def _write(folder: Path, images: list[np.ndarray], homographies: list[np.ndarray]) -> None:
    folder.mkdir(parents=True)
    for number, image in enumerate(images, start=1):
        assert cv2.imwrite(str(folder / f"{number}.ppm"), cv2.merge([image] * 3))
    for number, homography in enumerate(homographies, start=2):
        np.savetxt(folder / f"H_1_{number}", homography)

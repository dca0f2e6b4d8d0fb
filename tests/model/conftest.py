"""Fixtures of this folder."""

from pathlib import Path

import pytest
from weight_files import small

from cv2_superpoint.model import weights as checkpoint


@pytest.fixture
def ours(tmp_path: Path) -> Path:
    path = tmp_path / "ours.safetensors"
    path.write_bytes(checkpoint.serialise(small()))
    return path

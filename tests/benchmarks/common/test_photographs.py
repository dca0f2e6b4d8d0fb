"""Photographs of a folder and of scikit-image's wheel."""

from pathlib import Path

import cv2
import numpy as np
import pytest

from benchmarks.common import photographs


def test_photographs_of_a_folder(tmp_path: Path) -> None:
    photograph = np.random.default_rng(0).integers(0, 256, (30, 40), np.uint8)
    with pytest.raises(photographs.PhotographError, match="no picture"):
        photographs.read_photographs(tmp_path)
    cv2.imwrite(str(tmp_path / "b.PNG"), photograph)
    cv2.imwrite(str(tmp_path / "a.ppm"), cv2.merge([photograph] * 3))
    (tmp_path / "notes.txt").write_text("no picture")
    read = photographs.read_photographs(tmp_path)
    assert list(read) == ["a.ppm", "b.PNG"]
    np.testing.assert_array_equal(read["b.PNG"], photograph)
    (tmp_path / "c.png").write_text("no picture")
    with pytest.raises(photographs.PhotographError, match=r"c\.png"):
        photographs.read_photographs(tmp_path)


def test_bundled_photographs(monkeypatch: pytest.MonkeyPatch) -> None:
    # Whatever is not in the wheel would be fetched by pooch.
    monkeypatch.setattr("skimage.data._fetchers._image_fetcher", None)
    read = photographs.read_photographs()
    assert list(read) == list(photographs.BUNDLED)
    assert len(read) == 15
    for image in read.values():
        assert (image.dtype, image.ndim) == (np.uint8, 2)
        assert image.std() > 10
    assert photographs.describe_photographs(None, 2).endswith(": astronaut, brick")

"""Image files, whole and cut."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from skimage import data

from cv2_superpoint.apps.images import read_image, write_image

PHOTOGRAPH = np.ascontiguousarray(data.coffee()[:200, :300, ::-1])


def _jpeg(**flags: int) -> bytes:
    settings = [value for name, flag in flags.items() for value in (getattr(cv2, name), flag)]
    return cv2.imencode(".jpg", PHOTOGRAPH, settings)[1].tobytes()


def _with_thumbnail(content: bytes) -> bytes:
    thumbnail = cv2.imencode(".jpg", PHOTOGRAPH[:16, :16])[1].tobytes()
    return (
        content[:2]
        + b"\xff\xe1"
        + (len(thumbnail) + 2).to_bytes(2, "big")
        + thumbnail
        + content[2:]
    )


VARIANTS = {
    "baseline": _jpeg(),
    "progressive": _jpeg(IMWRITE_JPEG_PROGRESSIVE=1),
    "restarts": _jpeg(IMWRITE_JPEG_RST_INTERVAL=4),
    "thumbnail": _with_thumbnail(_jpeg()),
}


@pytest.mark.parametrize("variant", VARIANTS)
def test_a_whole_jpeg_is_whole_whatever_follows_it(tmp_path, variant):
    path = tmp_path / "photograph.jpg"
    for tail in (b"", b"\0" * 100, b"\xff\xda and a video"):
        path.write_bytes(VARIANTS[variant] + tail)
        image, whole = read_image(path)
        assert whole
        assert np.abs(image.astype(int) - PHOTOGRAPH).mean() < 5


@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize("share", [0.6, 0.95])
def test_a_cut_jpeg_is_read_and_told(tmp_path, variant, share):
    path = tmp_path / "photograph.jpg"
    content = VARIANTS[variant]
    path.write_bytes(content[: int(share * len(content))])
    image, whole = read_image(path)
    assert not whole
    assert image.shape == PHOTOGRAPH.shape
    assert np.abs(image[:40].astype(int) - PHOTOGRAPH[:40]).mean() < 20


def test_a_jpeg_that_lacks_its_end_alone_is_read_in_full(tmp_path):
    path = tmp_path / "photograph.jpg"
    path.write_bytes(VARIANTS["baseline"][:-2])
    image, whole = read_image(path)
    assert not whole
    assert np.abs(image.astype(int) - PHOTOGRAPH).mean() < 5


@pytest.mark.parametrize("suffix", [".png", ".bmp", ".jpg"])
def test_what_is_written_is_read(tmp_path, suffix):
    path = tmp_path / f"picture{suffix}"
    write_image(path, PHOTOGRAPH)
    image, whole = read_image(path)
    assert whole
    assert np.abs(image.astype(int) - PHOTOGRAPH).mean() < 5


@pytest.mark.parametrize("content", [b"", b"no image", b"\xff\xd8", b"\xff\xd8\xff\xd9"])
def test_what_is_no_image_is_an_error(tmp_path, content):
    path = tmp_path / "photograph.jpg"
    path.write_bytes(content)
    with pytest.raises(OSError, match="not an image"):
        read_image(path)


@pytest.mark.parametrize("name", ["picture", "picture.foo", "picture.\udce9"])
def test_an_unknown_suffix_is_an_error(tmp_path, name):
    with pytest.raises(OSError, match="suffix"):
        write_image(tmp_path / name, PHOTOGRAPH)
    assert not list(tmp_path.iterdir())

"""What sources stand for, and how their images are named."""

from __future__ import annotations

import io
import os
import sys
import tarfile

import cv2
import numpy as np
import pytest

from cv2_superpoint.bulk.errors import BulkError
from cv2_superpoint.bulk.sources import count_items, find_roots, list_items

PNG = cv2.imencode(".png", np.zeros((4, 4), np.uint8))[1].tobytes()


FOLDERS = ("a", "c", "day.1", "day.2")


@pytest.fixture
def there(tmp_path, monkeypatch):
    """Two folders of images, an archive and a video, in the current folder."""
    tmp_path = tmp_path / "there"
    tmp_path.mkdir()
    monkeypatch.chdir(tmp_path)
    for name in ("a/b/2.JPG", "a/notes.txt", *(f"{x}/1.png" for x in FOLDERS)):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(PNG)
    with tarfile.open("day.tar.gz", "w:gz") as archive:
        for name in ("./x/1.png", "../../up.png", "/top.png", "x/readme.md"):
            member = tarfile.TarInfo(name)
            member.size = len(PNG)
            archive.addfile(member, io.BytesIO(PNG))
    writer = cv2.VideoWriter("walk.avi", cv2.VideoWriter.fourcc(*"MJPG"), 25.0, (64, 48))
    for _ in range(5):
        writer.write(np.zeros((48, 64, 3), np.uint8))
    writer.release()
    return tmp_path


@pytest.mark.parametrize(
    ("sources", "names"),
    [
        (["a"], ["1.png", "b/2.JPG"]),
        (["a", "c"], ["a/1.png", "a/b/2.JPG", "c/1.png"]),
        (["c/1.png"], ["1.png"]),
        (["*/*.png", "c"], [*(f"there/{x}/1.png" for x in FOLDERS), "c/1.png"]),
        (["*/*.png"], [f"{x}/1.png" for x in FOLDERS]),
        (["a/**"], ["1.png", "b/2.JPG"]),
        (["day.tar.gz"], ["x/1.png", "up.png", "top.png"]),
        (["day.tar.gz", "c"], ["day/x/1.png", "day/up.png", "day/top.png", "c/1.png"]),
        (["walk.avi"], [f"{i:06d}.jpg" for i in range(1, 6)]),
        (["day.1", "day.2"], ["day.1/1.png", "day.2/1.png"]),
        (["day.1", "c/1.png"], ["day.1/1.png", "1.png"]),
        (["a/../c", "a/b/.."], ["c/1.png", "a/1.png", "a/b/2.JPG"]),
        (["walk.*", "c/1.png"], [*(f"there/walk/{i:06d}.jpg" for i in range(1, 6)), "1.png"]),
    ],
)
def test_names(there, sources, names):
    roots = find_roots(sources)
    found = [item.name for item in list_items(roots)]
    assert sorted(found) == sorted(names)
    assert count_items(roots) == len(names)


def test_every_third_frame(there):
    roots = find_roots(["walk.avi"])
    items = list(list_items(roots, every=3))
    assert [item.name for item in items] == ["000001.jpg", "000004.jpg"]
    assert items[0].data.shape == (48, 64, 3)
    assert count_items(roots, every=3) == 2


@pytest.mark.parametrize(
    ("sources", "message"),
    [
        (["missing"], "no missing"),
        (["*.jpg"], "no image, archive or video matches"),
        (["a", "./a"], "2 sources are called a"),
        (["a/1.png", "c/1.png"], "called 1.png"),
    ],
)
def test_sources_that_are_none(there, sources, message):
    with pytest.raises(BulkError, match=message):
        find_roots(sources)


def test_what_is_damaged_is_an_item(there):
    whole = (there / "day.tar.gz").read_bytes()
    (there / "cut.tar.gz").write_bytes(whole[: len(whole) // 2])
    (there / "text.mp4").write_bytes(b"no video")
    items = list(list_items(find_roots(["cut.tar.gz", "text.mp4"])))
    assert [item.name for item in items if isinstance(item.data, Exception)] == ["cut", "text"]


def _archive(path, mode):
    """Write six images that do not compress."""
    draw = np.random.default_rng(0)
    with tarfile.open(path, mode) as archive:
        for i in range(6):
            member = tarfile.TarInfo(f"{i}.png")
            member.size = 50_000
            archive.addfile(member, io.BytesIO(draw.bytes(member.size)))


@pytest.mark.parametrize("suffix", ["tar", "tar.gz", "tar.bz2", "tar.xz"])
@pytest.mark.parametrize("cut", [False, True])
def test_damage_inside_an_archive_is_an_item(there, suffix, cut):
    path = there / f"damaged.{suffix}"
    _archive(path, f"w:{suffix[4:]}")
    content = bytearray(path.read_bytes())
    middle = 3 * (512 + 50_176)  # where, in a plain archive, the fourth has its header
    if not cut:
        content[middle : middle + 70_000] = b"\x55" * 70_000
    path.write_bytes(content[: middle + 200] if cut else content)
    roots = find_roots([path.name])
    items = list(list_items(roots))
    assert count_items(roots) <= 6
    assert [item.name for item in items if isinstance(item.data, Exception)] == [path.name]
    assert len(items) <= 6


@pytest.mark.skipif(sys.platform != "linux", reason="names need not be UTF-8 on Linux")
def test_names_that_are_not_utf8(there):
    os.rename(b"a/1.png", b"a/\xe9.png")
    assert r"\xe9.png" in [item.name for item in list_items(find_roots(["a"]))]
    with open(b"\xe9.mp4", "wb") as video:
        video.write(b"x")
    with pytest.raises(BulkError, match="not UTF-8"):
        list(list_items(find_roots([os.fsdecode(b"\xe9.mp4")])))

"""Files that are written whole or not at all."""

import errno
import os
import stat
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from cv2_superpoint.files import write_atomically

FULL = Path("/dev/full")
needs_full = pytest.mark.skipif(not FULL.exists(), reason="no /dev/full here")


def test_a_file_is_made_and_replaced(tmp_path):
    path = tmp_path / "file"
    write_atomically(path, b"old")
    write_atomically(str(path), memoryview(b"new"))
    assert path.read_bytes() == b"new"
    assert os.listdir(tmp_path) == ["file"]


def test_new_files_have_the_usual_mode_and_old_ones_keep_theirs(tmp_path):
    usual, path = tmp_path / "usual", tmp_path / "file"
    usual.touch()
    write_atomically(path, b"old")
    assert path.stat().st_mode == usual.stat().st_mode
    path.chmod(0o640)
    write_atomically(path, b"new")
    assert stat.S_IMODE(path.stat().st_mode) == 0o640


def test_links_are_followed(tmp_path):
    (tmp_path / "link").symlink_to("file")
    for content in (b"first", b"second"):
        write_atomically(tmp_path / "link", content)
        assert (tmp_path / "link").is_symlink()
        assert (tmp_path / "file").read_bytes() == content


@pytest.mark.parametrize("step", ["fsync", "replace"])
def test_what_was_there_stays_if_writing_fails(step, tmp_path, monkeypatch):
    path = tmp_path / "file"
    path.write_bytes(b"old")

    def fail(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os if step == "fsync" else Path, step, fail)
    with pytest.raises(OSError, match="No space") as caught:
        write_atomically(path, b"new")
    assert caught.value.filename == str(path)
    monkeypatch.undo()
    assert path.read_bytes() == b"old"
    assert os.listdir(tmp_path) == ["file"]


@needs_full
def test_a_full_device_is_an_error(tmp_path):
    link = tmp_path / "link"
    link.symlink_to(FULL)
    for path in (FULL, link):
        with pytest.raises(OSError, match="No space") as caught:
            write_atomically(path, b"x")
        assert caught.value.errno == errno.ENOSPC
        assert caught.value.filename == str(path)
    assert FULL.is_char_device()


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes here")
def test_pipes_are_written_to(tmp_path):
    pipe, got = tmp_path / "pipe", []
    os.mkfifo(pipe)
    reader = threading.Thread(target=lambda: got.append(pipe.read_bytes()), daemon=True)
    reader.start()
    write_atomically(pipe, b"content")
    reader.join(10)
    assert got == [b"content"]
    assert pipe.is_fifo()


@pytest.mark.skipif(not os.path.exists("/dev/stdout"), reason="no /dev/stdout here")
def test_standard_output_is_written_to():
    code = "from cv2_superpoint.files import *; write_atomically('/dev/stdout', b'content')"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True)
    assert done.stdout == b"content"


@pytest.mark.parametrize("name", ["", "folder", "missing/file", "a\0b", "a\ud800b", "x" * 300])
def test_names_that_cannot_be_written(name, tmp_path):
    (tmp_path / "folder").mkdir()
    path = f"{tmp_path}/{name}"
    with pytest.raises(OSError, match=r".") as caught:
        write_atomically(path, b"x")
    assert caught.value.filename == path
    assert os.listdir(tmp_path) == ["folder"]


@pytest.mark.skipif(os.name != "posix", reason="names are not bytes here")
def test_names_that_are_not_utf8(tmp_path):
    path = os.fsencode(tmp_path) + b"/caf\xe9"
    write_atomically(os.fsdecode(path), b"x")
    assert os.listdir(os.fsencode(tmp_path)) == [b"caf\xe9"]

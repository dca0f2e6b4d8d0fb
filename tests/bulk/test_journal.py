"""A journaled file is what it was, or what it became, wherever its process stops."""

from __future__ import annotations

import errno
import itertools
import os

import numpy as np
import pytest

from cv2_superpoint.bulk import journal
from cv2_superpoint.bulk.journal import JournaledFile

OLD = bytes(range(250)) * 300


class StoppedError(Exception):
    """Stands for a killed process: nothing that follows happens."""


def change(file, content: bytearray) -> None:
    """Write here and there, across pages and beyond the end."""
    draw = np.random.default_rng(0)
    for place in (0, 16_000, 40_000, len(OLD) - 50, len(OLD) + 7):
        data = draw.bytes(700)
        file.seek(place)
        assert file.write(data) == len(data)
        content.extend(bytes(max(0, place + len(data) - len(content))))
        content[place : place + len(data)] = data


def test_reads_what_is_not_committed(tmp_path):
    path, content = tmp_path / "file", bytearray(OLD)
    path.write_bytes(OLD)
    file = JournaledFile(path)
    change(file, content)
    file.seek(0)
    assert file.read(len(content) + 10) == content
    assert path.read_bytes() == OLD
    file.commit()
    assert path.read_bytes() == content
    file.truncate(10)
    file.commit()
    file.close()
    assert path.read_bytes() == content[:10]


def test_the_journal_of_a_deleted_file_is_not_repeated(tmp_path, monkeypatch):
    path = tmp_path / "file"
    file = JournaledFile(path, OLD)
    change(file, bytearray(OLD))
    monkeypatch.setattr(JournaledFile, "_overwrite", lambda *_: None)  # killed before that
    file.commit()
    file.close()
    monkeypatch.undo()
    assert (tmp_path / ".file.journal").exists()
    path.unlink()
    JournaledFile(path, b"new").close()
    assert path.read_bytes() == b"new"


@pytest.mark.parametrize("length", [None, 20_000])
@pytest.mark.parametrize("error", [StoppedError(), OSError(errno.ENOSPC, "full")])
def test_stopped_anywhere(tmp_path, monkeypatch, error, length):
    path, new = tmp_path / "file", bytearray(OLD)
    steps = itertools.count()

    def step(at):
        if next(steps) == at:
            raise error

    seen = set()
    for at in itertools.count():
        path.write_bytes(OLD)
        content = bytearray(OLD)
        file = JournaledFile(path)
        change(file, content)
        if length is not None:
            file.truncate(length)
        new = content[:length]
        steps = itertools.count()
        with monkeypatch.context() as patch:
            put, fsync = JournaledFile._put, os.fsync

            def stop_put(self, index, page, at=at, put=put):
                step(at)
                put(self, index, page[: len(page) // 2])  # cut in two
                step(at)
                put(self, index, page)

            def stop_fsync(descriptor, at=at, fsync=fsync):
                step(at)
                fsync(descriptor)

            patch.setattr(JournaledFile, "_put", stop_put)
            patch.setattr(journal.os, "fsync", stop_fsync)
            try:
                file.commit()
                done = True
            except (StoppedError, OSError):
                done = False
        file.close()
        JournaledFile(path).close()  # repairs
        result = path.read_bytes()
        assert result[: len(OLD)] == OLD or result[: len(new)] == new
        assert not (tmp_path / ".file.journal").exists()
        seen.add(result[: len(new)] == new)
        if done:
            break
    assert at > 10
    assert seen == {True, False}

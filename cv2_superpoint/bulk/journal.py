"""A file whose content changes from one whole state to the next, whatever stops the process."""

from __future__ import annotations

import io
import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from ..files import write_atomically

_PAGE = 1 << 14  # bytes


class JournaledFile(io.RawIOBase):
    """A file that keeps what is written in memory until :meth:`commit`.

    HDF5 changes its tables in place, in no order that survives a killed process. Here it may: what
    overwrites the file is written to a journal first, so that the next to open the file can repeat
    what was interrupted. What only makes the file longer is not in use before that.

    Parameters
    ----------
    path
        The journal is next to it.
    initial
        Content to create the file with, if it does not exist.
    """

    def __init__(self, path: Path, initial: bytes = b"") -> None:
        self._journal = path.with_name(f".{path.name}.journal")
        if not path.exists():
            self._journal.unlink(missing_ok=True)  # of a file that someone deleted
            write_atomically(path, initial)
        self._file = open(path, "r+b", buffering=0)  # noqa: SIM115
        if self._journal.exists():
            with np.load(self._journal, allow_pickle=False) as saved:
                self._overwrite(dict(zip(saved["index"].tolist(), saved["pages"], strict=True)))
        self._size = self._committed = self._file.seek(0, os.SEEK_END)
        self._pages: dict[int, bytearray] = {}
        self._place = 0

    @property
    def pending(self) -> int:
        """Number of bytes that wait for a commit."""
        return len(self._pages) * _PAGE

    def commit(self) -> None:
        """Bring what was written to the disk, all or nothing.

        Raises
        ------
        OSError
            If there is no room; the file is then as it was before.
        """
        old = {i: page for i, page in self._pages.items() if i * _PAGE < self._committed}
        try:
            for i in sorted(self._pages.keys() - old.keys()):
                self._put(i, self._pages[i])
            # Longer, not shorter yet: until the journal is written, the old content is in use.
            self._file.truncate(max(self._size, self._committed))
            os.fsync(self._file.fileno())
            if old:
                content = io.BytesIO()
                pages = np.frombuffer(b"".join(old.values()), np.uint8).reshape(-1, _PAGE)
                np.savez(content, index=np.array(list(old)), pages=pages)
                write_atomically(self._journal, content.getvalue())
        except OSError:
            self._file.truncate(self._committed)
            raise
        self._overwrite(old)
        self._file.truncate(self._size)
        self._pages.clear()
        self._committed = self._size

    def _overwrite(self, pages: dict[int, bytearray]) -> None:
        for i, page in pages.items():
            self._put(i, page)
        os.fsync(self._file.fileno())
        self._journal.unlink(missing_ok=True)

    def _put(self, index: int, page: bytearray) -> None:
        self._file.seek(index * _PAGE)
        left = memoryview(page)
        while left:
            left = left[self._file.write(left) :]  # less than all where the disk becomes full

    # What HDF5 calls ---------------------------------------------------------------------------

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        """Read into a buffer, from memory where that is newer than the disk."""
        wanted = memoryview(buffer).cast("B")[: max(0, self._size - self._place)]
        for index, start, part in self._parts(wanted):
            if (page := self._pages.get(index)) is None:
                page = self._get(index)
            part[:] = page[start : start + len(part)]
        return len(wanted)

    def write(self, data: memoryview) -> int:  # type: ignore[override]
        """Write to memory."""
        given = memoryview(data).cast("B")
        for index, start, part in self._parts(given):
            if index not in self._pages:
                whole = len(part) == _PAGE
                self._pages[index] = bytearray(_PAGE) if whole else self._get(index)
            self._pages[index][start : start + len(part)] = part
        self._size = max(self._size, self._place)
        return len(given)

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """Move to a place."""
        start = {os.SEEK_SET: 0, os.SEEK_CUR: self._place, os.SEEK_END: self._size}[whence]
        self._place = start + offset
        return self._place

    def tell(self) -> int:
        """Return the place."""
        return self._place

    def truncate(self, size: int | None = None) -> int:
        """Change the size, on the disk with the next commit."""
        self._size = self._place if size is None else size
        return self._size

    def flush(self) -> None:
        """Do nothing: HDF5 would like it after each change."""

    def close(self) -> None:
        """Close the file, without what was not committed."""
        self._file.close()
        super().close()

    def _get(self, index: int) -> bytearray:
        """Return a page as it is on the disk, with zeros beyond the end."""
        self._file.seek(index * _PAGE)
        return bytearray((self._file.read(_PAGE) or b"").ljust(_PAGE, b"\0"))

    def _parts(self, buffer: memoryview) -> Iterator[tuple[int, int, memoryview]]:
        """Move over a buffer: yield each page, where the part in it starts, and that part."""
        while buffer:
            index, start = divmod(self._place, _PAGE)
            part, buffer = buffer[: _PAGE - start], buffer[_PAGE - start :]
            self._place += len(part)
            yield index, start, part

"""Atomic writing of files."""

from __future__ import annotations

import errno
import os
import shutil
from pathlib import Path
from uuid import uuid4


def write_atomically(path: str | os.PathLike[str], data: bytes | memoryview) -> None:
    """Write a file atomically: the old content stays until the new one is on the disk.

    The new content goes to a temporary file in the same folder, which is then renamed. What is not
    a regular file, such as a pipe or a device, is written to directly. Symbolic links are followed.

    Parameters
    ----------
    path
        File to write.
    data
        The whole content.

    Raises
    ------
    OSError
        If the file cannot be written, with its path and the system's reason, such as a full disk.
    """
    try:
        if os.path.exists(path) and not os.path.isfile(path):
            with open(path, "wb") as stream:
                stream.write(data)
        else:
            _replace(Path(os.path.realpath(path)), data)
    except OSError as error:
        raise OSError(error.errno, error.strerror, os.fspath(path)) from error
    except ValueError as error:  # a name with a null character, or one the system cannot encode
        raise OSError(errno.EINVAL, str(error), os.fspath(path)) from error


def _replace(target: Path, data: bytes | memoryview) -> None:
    partial = target.with_name(f".{uuid4().hex}.partial")
    try:
        with open(partial, "xb") as stream:
            stream.write(data)
            stream.flush()
            os.fsync(stream.fileno())
        if target.exists():
            shutil.copymode(target, partial)
        partial.replace(target)
    finally:
        partial.unlink(missing_ok=True)

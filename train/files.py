"""Files that are written atomically, and errors that the user can mend."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

from cv2_superpoint.files import write_atomically


class UserError(Exception):
    """Something that the user can mend; the message says what."""


def write_whole(path: Path, write: Callable[[BinaryIO], object]) -> None:
    """Write a file so that what was there before stays until the new one is complete.

    Parameters
    ----------
    path
        Where to.
    write
        Writes the content to a binary stream.

    Raises
    ------
    OSError
        With the path and the system's reason, such as a full disk. (PyTorch's own writing to a
        file hides the reason.)
    """
    content = io.BytesIO()
    write(content)
    write_atomically(path, content.getbuffer())

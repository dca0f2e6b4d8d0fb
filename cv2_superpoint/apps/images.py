"""Image files. OpenCV is given only their contents: it crashes on names that are not UTF-8."""

from __future__ import annotations

import re
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

from ..files import write_atomically

Image = npt.NDArray[np.uint8]

_JPEG_START, _JPEG_END = b"\xff\xd8", b"\xff\xd9"
# In a scan, 0xFF is followed by 0 if it is data and by D0 .. D7 at restarts.
_JPEG_MARKER = re.compile(rb"\xff([^\x00\xd0-\xd7\xff])", re.DOTALL)


def read_image(path: Path) -> tuple[Image, bool]:
    """Read an image file.

    Parameters
    ----------
    path
        In a format that OpenCV reads.

    Returns
    -------
    image : ndarray
        ``(H, W, 3)`` uint8 BGR, rotated as its EXIF data say.
    whole : bool
        False for a truncated JPEG: the missing part is grey or blurred.

    Raises
    ------
    OSError
        If the file cannot be read, or is not an image.
    """
    content = path.read_bytes()
    whole = not _is_cut_jpeg(content)
    if not whole:
        content += _JPEG_END  # without it OpenCV 5 decodes nothing
    image = None
    if content:
        image = cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_COLOR)
    if image is None:
        raise OSError("not an image that OpenCV can decode")
    return np.asarray(image, np.uint8), whole


def _is_cut_jpeg(content: bytes) -> bool:
    if not content.startswith(_JPEG_START):
        return False
    place = len(_JPEG_START)
    while marker := _JPEG_MARKER.search(content, place):
        if marker[0] == _JPEG_END:
            return False
        length = int.from_bytes(content[marker.end() : marker.end() + 2], "big")
        place = marker.end() + length  # over the segment: a thumbnail in it has an end of its own
    return True


def write_image(path: Path, image: Image) -> None:
    """Write a grey or BGR image atomically.

    Parameters
    ----------
    path
        Its suffix determines the format.
    image
        ``(H, W)`` or ``(H, W, 3)`` uint8.

    Raises
    ------
    OSError
        If no format has this suffix, or the file cannot be written.
    """
    suffix = path.suffix if path.suffix.isascii() else ""
    try:
        encoded, content = cv2.imencode(suffix, image)
    except cv2.error:
        encoded = False
    if not encoded:
        raise OSError(f"OpenCV cannot encode a picture for the suffix {path.suffix!r}")
    write_atomically(path, content.tobytes())

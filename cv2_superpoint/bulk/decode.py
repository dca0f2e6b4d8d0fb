"""From the content of a file to pixels. OpenCV is given contents only, never names."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

from .sources import Data, Item

Image = npt.NDArray[np.uint8]

_JPEG_START, _JPEG_END = b"\xff\xd8", b"\xff\xd9"
# In a scan, 0xFF is followed by 0 if it is data and by D0 .. D7 at restarts.
_JPEG_MARKER = re.compile(rb"\xff([^\x00\xd0-\xd7\xff])", re.DOTALL)


@dataclass(frozen=True)
class Decoded:
    """The pixels of an item.

    Attributes
    ----------
    name
        Of the item.
    image
        ``(H, W)`` uint8 grey; None if it is broken.
    error
        What is wrong with it.
    """

    name: str
    image: Image | None
    error: str = ""


def decode_item(item: Item) -> Decoded:
    """Read and decode an item. What cannot be decoded whole is broken: no error is raised."""
    try:
        return Decoded(item.name, cv2.cvtColor(_pixels(item.data), cv2.COLOR_BGR2GRAY))
    except OSError as error:
        return Decoded(item.name, None, error.strerror or str(error))


def _pixels(data: Data) -> Image:
    if isinstance(data, np.ndarray):
        return data
    if isinstance(data, Exception):
        raise data
    image, whole = decode_image(data.read_bytes() if isinstance(data, Path) else data)
    if not whole:
        raise OSError("the file is truncated")
    return image


def decode_image(content: bytes) -> tuple[Image, bool]:
    """Decode an image.

    Parameters
    ----------
    content
        Of a file in a format that OpenCV reads.

    Returns
    -------
    image : ndarray
        ``(H, W, 3)`` uint8 BGR, rotated as its EXIF data say.
    whole : bool
        False for a truncated JPEG: the missing part is grey or blurred.

    Raises
    ------
    OSError
        If it is not an image.
    """
    whole = not _is_cut_jpeg(content)
    if not whole:
        content += _JPEG_END  # without it OpenCV 5 decodes nothing
    image = None
    if content:
        try:
            image = cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_COLOR)
        except cv2.error as error:  # such as more pixels than OpenCV allows
            raise OSError(f"OpenCV cannot decode it: {error.err}") from error
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

"""Image files. OpenCV is given only their contents: it crashes on names that are not UTF-8."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

from ..bulk.decode import decode_image
from ..files import write_atomically

Image = npt.NDArray[np.uint8]


def read_image(path: Path) -> tuple[Image, bool]:
    """Read an image file: what :func:`~cv2_superpoint.bulk.decode.decode_image` makes of it.

    Raises
    ------
    OSError
        If the file cannot be read, or is not an image.
    """
    return decode_image(path.read_bytes())


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

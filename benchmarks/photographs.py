"""Photographs to measure on: those inside scikit-image's wheel, or the pictures of a folder."""

from pathlib import Path
from typing import Any

import cv2
import numpy as np
import skimage.data
from numpy.typing import NDArray

from .datasets import IMAGE_SUFFIXES

BUNDLED = ("astronaut", "brick", "camera", "chelsea", "coffee", "rocket")
"""Those of skimage.data that lie in its wheel and are photographs."""


class PhotographError(ValueError):
    """The folder holds no pictures, or one that cannot be read."""


def read_photographs(
    folder: Path | None = None, limit: int | None = None
) -> dict[str, NDArray[np.uint8]]:
    """Read photographs in grey.

    Parameters
    ----------
    folder : Path, optional
        Its ppm, png and jpg files, in the order of their names; by default `BUNDLED`.
    limit : int, optional
        At most so many; by default all.

    Returns
    -------
    dict of str to (H, W) uint8 array
        By file name or name in skimage.data.

    Raises
    ------
    PhotographError
    """
    if folder is None:
        return {name: _grey(getattr(skimage.data, name)()) for name in BUNDLED[:limit]}
    if not folder.is_dir():
        raise PhotographError(f"no such folder: {folder}")
    files = [path for path in sorted(folder.iterdir()) if path.suffix.lower() in IMAGE_SUFFIXES]
    if not files:
        raise PhotographError(f"no picture ({', '.join(sorted(IMAGE_SUFFIXES))}) in {folder}")
    return {path.name: _read(path) for path in files[:limit]}


def _grey(image: NDArray[Any]) -> NDArray[np.uint8]:
    grey = image if image.ndim == 2 else cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)
    return np.asarray(grey, np.uint8)


def _read(path: Path) -> NDArray[np.uint8]:
    image = cv2.imread(str(path), cv2.IMREAD_GRAYSCALE)
    if image is None:
        raise PhotographError(f"cannot read the picture {path}")
    return np.asarray(image, np.uint8)

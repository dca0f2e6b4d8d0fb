"""Photographs to measure on: those inside scikit-image's wheel, or a folder's; in other light."""

from pathlib import Path
from typing import Any

import cv2
import numpy as np
import skimage.data

from .datasets import IMAGE_SUFFIXES, Image

BUNDLED = (
    *("astronaut", "brick", "camera", "chelsea", "coffee", "coins", "grass", "gravel"),
    *("hubble_deep_field", "immunohistochemistry", "moon", "page", "retina", "rocket"),
    "stereo_motorcycle",
)
"""The photographs of skimage.data that lie in its wheel, so that nothing is downloaded; without
the clock, which is blurred by motion, and the text, which is the smallest."""


class PhotographError(ValueError):
    """The folder holds no pictures, or one that cannot be read."""


def read_photographs(folder: Path | None = None, limit: int | None = None) -> dict[str, Image]:
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
        return {name: _read_bundled(name) for name in BUNDLED[:limit]}
    if not folder.is_dir():
        raise PhotographError(f"no such folder: {folder}")
    files = [path for path in sorted(folder.iterdir()) if path.suffix.lower() in IMAGE_SUFFIXES]
    if not files:
        raise PhotographError(f"no picture ({', '.join(sorted(IMAGE_SUFFIXES))}) in {folder}")
    return {path.name: _read(path) for path in files[:limit]}


def describe_photographs(folder: Path | None, count: int) -> str:
    """Say in a line which photographs were read."""
    if folder is None:
        return f"{count} photographs inside scikit-image's wheel: {', '.join(BUNDLED[:count])}"
    return f"{count} pictures of {folder}"


def change_light(image: Image, strength: float, random: np.random.Generator) -> Image:
    """Change exposure and contrast, cast a soft shadow, and add noise.

    Parameters
    ----------
    image : (H, W) uint8 array
    strength : float
        From 0, nothing, to 1, a lot.
    random : numpy.random.Generator

    Returns
    -------
    (H, W) uint8 array
    """
    height, width = image.shape
    gamma = np.exp(random.choice([-1, 1]) * strength * random.uniform(0.6, 1.0))
    angle = random.uniform(0, 2 * np.pi)
    y, x = np.mgrid[:height, :width]
    ramp = (x / width - 0.5) * np.cos(angle) + (y / height - 0.5) * np.sin(angle)
    shadow = 1 - 0.8 * strength / (1 + np.exp(-12 * ramp))
    light = (image / 255.0) ** gamma * shadow + random.normal(0, 0.03 * strength, image.shape)
    return np.rint(255 * np.clip(light, 0, 1)).astype(np.uint8)


def _read_bundled(name: str) -> Image:
    found: Any = getattr(skimage.data, name)()
    image = found[0] if isinstance(found, tuple) else found  # the left one of a stereo pair
    grey = image if image.ndim == 2 else cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)
    return np.asarray(grey, np.uint8)


def _read(path: Path) -> Image:
    image = cv2.imread(str(path), cv2.IMREAD_GRAYSCALE)
    if image is None:
        raise PhotographError(f"cannot read the picture {path}")
    return np.asarray(image, np.uint8)

"""A set in the HPatches layout, made from photographs.

It stands in where HPatches is not at hand: the homographies and the light are simulated, so its
numbers compare methods on this machine and are not to be quoted beside HPatches'.
"""

from collections.abc import Mapping
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from ..common import outputs
from ..common.datasets import Image, fit
from ..common.photographs import change_light

LABEL = "built-in set (simulated changes of photographs from skimage.data; not HPatches)"

SIZE = (480, 640)
STRENGTHS = (0.4, 0.7, 1.0)
"""Of the changes from image 1 to images 2, 3 and 4."""

_MARGIN = (80, 100)  # a view's corners move within so many pixels of the canvas's border
_CANVAS = (SIZE[0] + 2 * _MARGIN[0], SIZE[1] + 2 * _MARGIN[1])


def write_sequences(folder: Path, photographs: Mapping[str, Image]) -> None:
    """Write a sequence ``i_*`` and a sequence ``v_*`` for every photograph.

    Parameters
    ----------
    folder : Path
        Gets a folder per sequence with ``1.png`` .. ``4.png`` and ``H_1_2`` .. ``H_1_4``.
    photographs : mapping of str to (H, W) uint8 array
    """
    for seed, (name, photograph) in enumerate(photographs.items()):
        random = np.random.default_rng(seed)
        canvas, _ = fit(photograph, _CANVAS)
        reference, first = _view(canvas, _corners())
        dimmed = [change_light(reference, strength, random) for strength in STRENGTHS]
        _write(folder / f"i_{name}", [reference, *dimmed], [np.eye(3)] * len(dimmed))

        seen, homographies = [], []
        for strength in STRENGTHS:
            moved = _corners() + random.uniform(-1, 1, (4, 2)) * strength * np.array(_MARGIN)[::-1]
            view, matrix = _view(canvas, moved)
            seen.append(change_light(view, strength / 4, random))
            homographies.append(matrix @ np.linalg.inv(first))
        _write(folder / f"v_{name}", [reference, *seen], homographies)


def _corners() -> NDArray[np.float64]:
    height, width = SIZE
    corners = [[0, 0], [width - 1, 0], [width - 1, height - 1], [0, height - 1]]
    return np.array(corners, np.float64) + np.array(_MARGIN)[::-1]


def _view(canvas: Image, corners: NDArray[np.float64]) -> tuple[Image, NDArray[np.float64]]:
    """Cut a quadrilateral of the canvas into an image; return it and canvas -> image."""
    target = _corners() - np.array(_MARGIN)[::-1]
    matrix = cv2.getPerspectiveTransform(corners.astype(np.float32), target.astype(np.float32))
    view = cv2.warpPerspective(canvas, matrix, SIZE[::-1], flags=cv2.INTER_LINEAR)
    return np.asarray(view, np.uint8), np.asarray(matrix, np.float64)


def _write(folder: Path, images: list[Image], homographies: list[NDArray[np.float64]]) -> None:
    folder.mkdir(parents=True)
    for number, image in enumerate(images, start=1):
        outputs.write(folder / f"{number}.png", cv2.imencode(".png", image)[1].tobytes())
    for number, homography in enumerate(homographies, start=2):
        np.savetxt(folder / f"H_1_{number}", homography)

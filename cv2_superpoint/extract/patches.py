"""Patches of an image around given points, each at the scale and angle of its point.

Points of other detectors say how large they are and how they are turned. A patch that is cut out
accordingly looks the same wherever its scene appears larger or turned, and the point always lies in
the middle of a cell; so the descriptor hardly changes.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from torch import Tensor

from ..model.network import CELL
from .regions import resize

SIDE = 9 * CELL
"""Of a patch, in pixels. Fewer make descriptors a little worse, more only take longer."""

MIDDLE = (SIDE - 1) / 2
"""Where the point is in its patch, in x and y: in the middle of a cell."""

AT_ONCE = 50
"""Patches in a batch: few, to stay in a CPU's caches, and so that most batches have one size."""


def reduced(
    image: Tensor, scale: npt.NDArray[np.float32]
) -> Iterator[tuple[Tensor, npt.NDArray[np.intp]]]:
    """Yield the image at the sizes from which patches are to be cut.

    Parameters
    ----------
    image
        ``(1, 1, H, W)``.
    scale
        ``(N,)``, how many pixels of the image one pixel of each patch is.

    Yields
    ------
    Tensor
        ``(1, 1, h, w)``, at most √2 times larger than the patches of some points, so that cutting
        them out needs no smoothing.
    ndarray
        Which points: ``(n,)`` indices.
    """
    height, width = image.shape[2:]
    half_octave = np.floor(2 * np.log2(scale)).clip(0)
    for step in np.unique(half_octave):
        factor = 2 ** (step / 2)
        size = max(1, round(height / factor)), max(1, round(width / factor))
        yield resize(image, size), np.flatnonzero(half_octave == step)


def cut_patches(
    pixels: Tensor, image_size: tuple[int, ...], xy: Tensor, scale: Tensor, angle: Tensor
) -> Tensor:
    """Cut out patches; beyond the image's border its last pixels are repeated.

    Parameters
    ----------
    pixels
        ``(1, 1, h, w)`` grey: the image, at any size.
    image_size
        ``(H, W)`` of the image.
    xy
        ``(N, 2)`` pixels of the image: where the middles of patches are.
    scale
        ``(N,)``, how many pixels of the image one pixel of the patch is.
    angle
        ``(N,)`` degrees from the image's x axis to that of the patch, towards the y axis.

    Returns
    -------
    Tensor
        ``(N, 1, SIDE, SIDE)`` float32.
    """
    place = torch.arange(SIDE, dtype=torch.float32, device=xy.device) - MIDDLE
    across, down = place[None, None, :], place[None, :, None]
    along = (scale * angle.deg2rad().cos())[:, None, None]
    aside = (scale * angle.deg2rad().sin())[:, None, None]
    x = xy[:, 0, None, None] + along * across - aside * down
    y = xy[:, 1, None, None] + aside * across + along * down
    height, width = image_size
    # As grid_sample counts: from -1 to 1 between the outer borders of the outermost pixels.
    grid = torch.stack([(2 * x + 1) / width - 1, (2 * y + 1) / height - 1], dim=-1)
    rows = F.grid_sample(
        pixels.float(), grid.flatten(0, 1)[None], padding_mode="border", align_corners=False
    )
    return rows.view(-1, 1, SIDE, SIDE)

"""The scales at which a photograph is labelled: a corner at one of them may be none at another.

Level i is the photograph at ``2 ** (-i / 2)`` of its size; there are as many levels as have a short
side of at least `SHORTEST` pixels, and always level 0. So a small photograph has that one alone.
"""

from __future__ import annotations

import torch
from torch import Tensor

from .homography import mip_level, on_device

SHORTEST = 200


def level_counts(sizes: Tensor) -> Tensor:
    """Return ``(B,)`` float32, how many levels photographs of ``(B, 2)`` sizes have."""
    octaves = torch.log2(sizes.amin(1).float() / SHORTEST)
    return (2 * octaves).floor().clamp_min(0) + 1


def nearest_levels(to_source: Tensor, view_size: tuple[int, int], sizes: Tensor) -> Tensor:
    """Return the level whose scale is nearest to the zoom in the middle of each view.

    Parameters
    ----------
    to_source
        ``(B, 3, 3)`` from pixels of the view to those of the photograph.
    view_size
        ``(height, width)`` of the views.
    sizes
        ``(B, 2)`` ``(height, width)`` of the photographs.

    Returns
    -------
    Tensor
        ``(B,)`` float32, whole numbers.
    """
    height, width = view_size
    centre = on_device(((width - 1) / 2, (height - 1) / 2), sizes.device)
    halves = 2 * mip_level(centre.expand(len(sizes), 1, 2), to_source)[:, 0]
    return torch.minimum(halves.round().clamp_min(0), level_counts(sizes) - 1)

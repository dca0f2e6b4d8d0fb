"""From the network's outputs to keypoints and descriptors: pure tensor functions.

Coordinates are pixels of the image that the network saw, ``(x, y)``, integer at pixel centres
(OpenCV's convention): the middle of cell (row i, column j) is ``(8 j + 3.5, 8 i + 3.5)``.
"""

from __future__ import annotations

import functools

import torch
import torch.nn.functional as F
from torch import Tensor

from .network import CELL, DUSTBIN


def heat_map(logits: Tensor) -> Tensor:
    """Return the probability that each pixel is an interest point.

    Softmax over the 65 channels of a cell, the dustbin dropped, depth to space (paper, 3.2).

    Parameters
    ----------
    logits
        ``(B, 65, h, w)``.

    Returns
    -------
    Tensor
        ``(B, 8 h, 8 w)``, in [0, 1], float32.
    """
    # Cell by cell: along the last dimension, the rounding does not depend on the batch.
    cells = logits.float().permute(0, 2, 3, 1).contiguous().softmax(dim=-1)[..., :DUSTBIN]
    batch, rows, columns = cells.shape[:3]
    pixels = cells.reshape(batch, rows, columns, CELL, CELL).transpose(2, 3)
    return pixels.reshape(batch, rows * CELL, columns * CELL)


def max_filter(values: Tensor, radius: int) -> Tensor:
    """Return the maximum over the square of side ``2 radius + 1`` around each pixel.

    Rows first, then columns, doubling the span at each step: a dozen vectorised comparisons
    instead of ``(2 radius + 1) ** 2``.

    Parameters
    ----------
    values
        ``(..., H, W)``.
    radius
        0 or more, in pixels.

    Returns
    -------
    Tensor
        Of the shape and dtype of `values`.
    """
    for dim in (-1, -2):
        values = _line_max(values, radius, radius, dim)
    return values


def _line_max(values: Tensor, before: int, after: int, dim: int) -> Tensor:
    """Return the maximum over the positions from i - before to i + after of each i."""
    before, after = (min(n, values.shape[dim]) for n in (before, after))
    lowest = -float("inf") if values.is_floating_point() else torch.iinfo(values.dtype).min
    pad = (before, after) if dim == -1 else (0, 0, before, after)
    values = F.pad(values, pad, value=lowest)
    span, wanted = 1, before + after + 1  # values[i] covers [i, i + span)
    while span < wanted:
        step = min(span, wanted - span)
        n = values.shape[dim] - step
        values = torch.maximum(values.narrow(dim, 0, n), values.narrow(dim, step, n))
        span += step
    return values


def non_maximum_suppression(heat: Tensor, threshold: float, radius: int) -> Tensor:
    """Return the mask of the pixels that greedy non-maximum suppression keeps.

    The result is that of visiting all pixels above the threshold from the strongest to the
    weakest (equal ones row by row) and dropping those within `radius`, in both x and y, of one
    that was kept (4 pixels in the paper's section 7.2). Every pass keeps all pixels that are the
    first in their own window, which is the same, in parallel.

    Parameters
    ----------
    heat
        ``(B, H, W)`` float, 0 or more.
    threshold
        Only pixels strictly above it count.
    radius
        In pixels; 0 keeps all.

    Returns
    -------
    Tensor
        ``(B, H, W)`` bool.
    """
    alive = heat.where(heat > threshold, 0)
    kept = torch.zeros_like(heat, dtype=torch.bool)
    while alive.amax() > 0:
        first = _first_of_windows(alive, radius) if radius else alive > 0
        kept |= first
        alive = alive.masked_fill(max_filter(first.to(torch.uint8), radius).bool(), 0)
    return kept


def _first_of_windows(strength: Tensor, radius: int) -> Tensor:
    """Tell which pixels are the strongest of the window around them, and the first of these."""
    rows = _line_max(strength, radius, radius, -1)
    before = torch.maximum(
        _line_max(strength, radius, -1, -1),  # in the same row
        _line_max(rows, radius, -1, -2),  # in the rows above
    )
    return (strength > before) & (strength == _line_max(rows, 0, radius, -2)) & (strength > 0)


def find_points(heat: Tensor, threshold: float, radius: int) -> tuple[Tensor, Tensor, Tensor]:
    """Return the interest points of heat maps: suppressed, then refined below the pixel.

    Parameters
    ----------
    heat
        ``(B, H, W)`` float, 0 or more.
    threshold, radius
        As for :func:`non_maximum_suppression`.

    Returns
    -------
    image : Tensor
        ``(N,)`` int64: which of the B heat maps each point is of, ascending.
    xy, score : Tensor
        As from :func:`refine_subpixel`.
    """
    index = non_maximum_suppression(heat, threshold, radius).nonzero()
    xy, score = refine_subpixel(heat, index)
    return index[:, 0], xy, score


def refine_subpixel(heat: Tensor, index: Tensor, radius: int = 2) -> tuple[Tensor, Tensor]:
    """Return peaks of the heat map to sub-pixel precision: its centre of mass around each peak.

    A corner between pixels shares its probability among them; hence the score is that of a point
    anywhere in the 3x3 pixels around the peak.

    Parameters
    ----------
    heat
        ``(B, H, W)``.
    index
        ``(N, 3)`` integer ``(b, y, x)`` of the peaks.
    radius
        The window is ``2 radius + 1`` pixels wide.

    Returns
    -------
    xy : Tensor
        ``(N, 2)`` float32 ``(x, y)`` in pixels, inside the image.
    score : Tensor
        ``(N,)`` float32 probability, in [0, 1].
    """
    height, width = heat.shape[1:]
    b, y, x = index.unbind(1)
    side = torch.arange(-radius, radius + 1, device=heat.device)
    oy, ox = (o.flatten() for o in torch.meshgrid(side, side, indexing="ij"))
    ys, xs = y[:, None] + oy, x[:, None] + ox
    inside = (ys >= 0) & (ys < height) & (xs >= 0) & (xs < width)
    weight = heat[b[:, None], ys.clamp(0, height - 1), xs.clamp(0, width - 1)].float() * inside
    total = _row_sums(weight).clamp_min(torch.finfo(torch.float32).tiny)
    dx, dy = _row_sums(weight * ox) / total, _row_sums(weight * oy) / total
    score = _row_sums(weight * ((ox.abs() <= 1) & (oy.abs() <= 1))).clamp_max(1)
    refined = [(x + dx).clamp(0, width - 1), (y + dy).clamp(0, height - 1)]
    return torch.stack(refined, dim=1), score


def _row_sums(values: Tensor) -> Tensor:
    """Sum over the columns in an order that does not depend on the number of rows.

    `Tensor.sum` rounds differently with other shapes, so a point's last bits would depend on
    what else is in the batch.
    """
    return functools.reduce(torch.add, values.unbind(1))


def sample_descriptors(descriptors: Tensor, xy: Tensor) -> Tensor:
    """Interpolate the coarse descriptor map at given positions, then normalise to unit length.

    A position x of an image w cells wide lies at ``(x + 0.5) / (8 w)`` of its width, whatever
    the resolution; hence ``align_corners=False``. (The sampling often copied from the first
    release is half a cell off.) The paper's section 3.3 interpolates bicubically; its release, and
    we, bilinearly.

    Parameters
    ----------
    descriptors
        ``(D, h, w)``, not normalised.
    xy
        ``(N, 2)`` float, pixels.

    Returns
    -------
    Tensor
        ``(N, D)`` float32 of unit L2 norm.
    """
    height, width = descriptors.shape[-2:]
    x, y = ((xy.float() + 0.5) / CELL).unbind(1)  # the middle of the first cell is at 0.5
    # Outside the middles of the border cells their value goes on. (Not every device has
    # grid_sample's own padding_mode="border".)
    inside = [x.clamp(0.5, width - 0.5) / width, y.clamp(0.5, height - 0.5) / height]
    grid = torch.stack(inside, dim=1) * 2 - 1
    sampled = F.grid_sample(
        descriptors[None].float(),
        grid[None, None],
        mode="bilinear",
        align_corners=False,
    )
    return F.normalize(sampled[0, :, 0].T, dim=1)

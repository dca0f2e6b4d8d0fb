"""From the network's outputs to keypoints and descriptors: pure tensor functions.

Coordinates are pixels of the image that the network saw, ``(x, y)``, integer at pixel centres
(OpenCV's convention): the middle of cell (row i, column j) is ``(8 j + 3.5, 8 i + 3.5)``.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from .network import CELL, DUSTBIN

Keep = Callable[[Tensor], Tensor]
"""From ``(N, 2)`` positions to ``(N,)`` bool: which of them may be keypoints."""


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


def point_scores(heat: Tensor) -> Tensor:
    """Return the sum of the heat in the 3x3 pixels around each pixel.

    A corner between pixels shares its probability among them. The sum is the expected number of
    interest points within a pixel, wherever between pixels they lie. It decides which points are
    kept, and is their response. It may exceed 1 where two points are this close.

    Parameters
    ----------
    heat
        ``(B, H, W)``.

    Returns
    -------
    Tensor
        Of the same shape.
    """
    padded = F.pad(heat, (1, 1, 1, 1))
    rows = (padded[..., :-2] + padded[..., 1:-1]).add_(padded[..., 2:])
    return (rows[..., :-2, :] + rows[..., 1:-1, :]).add_(rows[..., 2:, :])


def max_filter(values: Tensor, radius: int) -> Tensor:
    """Return the maximum over the square of side ``2 radius + 1`` around each pixel.

    Rows first, then columns, doubling the span at each step: a dozen vectorised comparisons
    replace ``(2 radius + 1) ** 2``.

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


def non_maximum_suppression(score: Tensor, threshold: float, radius: int) -> Tensor:
    """Return the mask of the pixels that greedy non-maximum suppression keeps.

    The result is that of visiting all pixels above the threshold from the strongest to the
    weakest (equal ones row by row) and dropping those within `radius`, in both x and y, of one
    that was kept (4 pixels in the paper's section 7.2). Every pass keeps all pixels that are the
    first in their own window, which is the same, in parallel.

    Parameters
    ----------
    score
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
    alive = score.where(score > threshold, 0)
    kept = torch.zeros_like(score, dtype=torch.bool)
    while alive.amax() > 0:
        first, alive = suppress_once(alive, radius)
        kept |= first
    return kept


def suppress_once(alive: Tensor, radius: int) -> tuple[Tensor, Tensor]:
    """Return which pixels are the first of their windows, and the others out of their reach.

    One pass of :func:`non_maximum_suppression`, on ``(B, H, W)`` scores of which 0 do not count.
    """
    first = _first_of_windows(alive, radius) if radius else alive > 0
    return first, alive.masked_fill(max_filter(first.to(torch.uint8), radius).bool(), 0)


def _first_of_windows(strength: Tensor, radius: int) -> Tensor:
    """Tell which pixels are the strongest of the window around them, and the first of these."""
    rows = _line_max(strength, radius, radius, -1)
    before = torch.maximum(
        _line_max(strength, radius, -1, -1),  # in the same row
        _line_max(rows, radius, -1, -2),  # in the rows above
    )
    return (strength > before) & (strength == _line_max(rows, 0, radius, -2)) & (strength > 0)


def find_points(
    heat: Tensor, threshold: float, radius: int, limit: int = 0, keep: Keep | None = None
) -> tuple[Tensor, Tensor]:
    """Return the strongest points of a heat map, after greedy non-maximum suppression.

    They are exactly those of :func:`non_maximum_suppression`, refined, reduced to those that `keep`
    allows, and then to the strongest. It is faster because suppression ends as soon as it can no
    longer change which points are the strongest.

    Parameters
    ----------
    heat
        ``(H, W)``.
    threshold
        Only pixels with a score (:func:`point_scores`) above it count.
    radius
        Of the suppression, in pixels.
    limit
        How many at most; 0 or less: all.
    keep
        Which positions may be keypoints; by default all.

    Returns
    -------
    xy : Tensor
        ``(N, 2)`` float32 pixels, the strongest first; equal ones row by row.
    score : Tensor
        ``(N,)`` float32.
    """
    height, width = heat.shape
    score = point_scores(heat[None])[0]
    if not math.isfinite(float(score.sum())):  # what is no number takes nothing from the others
        score = score.nan_to_num()
    # Suppressed pixels become 0 in a frame of zeros, so that windows never leave it.
    frame = F.pad(F.threshold(score, threshold, 0), (radius, radius, radius, radius))
    row = frame.shape[1]
    side = torch.arange(-radius, radius + 1, device=heat.device)
    window = (side[:, None] * row + side).flatten()
    alive = frame.view(-1)
    near = F.pad(heat, (3, 3, 3, 3))

    def refine(place: Tensor, values: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        xy = _refine(near, torch.stack([place // row, place % row]) - radius + 3)
        kept = slice(None) if keep is None else keep(xy)
        return xy[kept], values[kept], place[kept]

    tiny = torch.finfo(torch.float32).tiny
    first = _strongest(frame, radius, tiny, window)
    found = [refine(first, alive[first])]
    # Weaker pixels than the limit's so far cannot be among the strongest; equal ones may still
    # come before it, row by row.
    floor = max(tiny, _kth_largest(found[0][1], limit))
    later, values = [], []
    while True:
        alive.index_fill_(0, (first[:, None] + window).flatten(), 0)
        left = _places(frame >= floor, 0)
        if len(left) <= height * width // _FEW:
            break
        first = _strongest(frame, radius, floor, window)
        later.append(first)
        values.append(alive[first])
    while len(left):
        first = left[_is_first(alive, left, window)]
        later.append(first)
        values.append(alive[first])
        alive.index_fill_(0, (first[:, None] + window).flatten(), 0)
        left = left[alive[left] >= floor]
    if later:
        found.append(refine(torch.cat(later), torch.cat(values)))
    xy, score, place = (torch.cat(parts) for parts in zip(*found, strict=True))
    by_row = place.argsort()
    order = by_row[score[by_row].argsort(descending=True, stable=True)]
    order = order[:limit] if limit > 0 else order
    return xy[order], score[order]


_FEW = 100
"""If fewer than one pixel in this many is left, it is faster to look at each than at whole maps."""


def _kth_largest(values: Tensor, k: int) -> float:
    return float(values.topk(k).values[-1]) if 0 < k <= len(values) else 0.0


def _strongest(frame: Tensor, radius: int, floor: float, window: Tensor) -> Tensor:
    """Return the places of a frame's pixels that come first of the window around them."""
    height, width = (side - 2 * radius for side in frame.shape)
    inner = frame[radius : radius + height, radius : radius + width]
    highest = _valid_max(_valid_max(frame, radius, -1), radius, -2)
    place = _places(inner == highest.clamp(min=floor), radius)
    return place[_is_first(frame.view(-1), place, window)]


def _valid_max(values: Tensor, radius: int, dim: int) -> Tensor:
    """Return the maxima of all windows of ``2 radius + 1`` that lie inside along a dimension."""
    span, wanted = 1, 2 * radius + 1  # values[i] covers [i, i + span)
    while span < wanted:
        step = min(span, wanted - span)
        n = values.shape[dim] - step
        values = torch.maximum(values.narrow(dim, 0, n), values.narrow(dim, step, n))
        span += step
    return values


def _places(mask: Tensor, border: int) -> Tensor:
    """Return where a mask is True, as places in the flat map that is so much larger around."""
    place = torch.from_numpy(np.flatnonzero(mask.numpy()))  # several times as fast as PyTorch's
    if border:
        width = mask.shape[1]
        place = (place // width + border) * (width + 2 * border) + place % width + border
    return place


def _is_first(alive: Tensor, place: Tensor, window: Tensor) -> Tensor:
    """Tell which places are the strongest of the window around them, and the first of these."""
    own = alive[place]
    around = alive.index_select(0, (window[:, None] + place).flatten()).view(len(window), -1)
    half = len(window) // 2
    first = own == around.amax(0)
    return first & (around[:half] != own).all(0) if half else first


def refine_subpixel(heat: Tensor, index: Tensor) -> Tensor:
    """Return peaks to sub-pixel precision: the heat's centre of mass around the hottest pixel.

    The hottest of the 3x3 pixels, and the centre of the 5x5 around it.

    Parameters
    ----------
    heat
        ``(B, H, W)``.
    index
        ``(N, 3)`` integer ``(b, y, x)`` of the peaks of the score.

    Returns
    -------
    Tensor
        ``(N, 2)`` float32 ``(x, y)`` in pixels, inside the image.
    """
    b, y, x = index.unbind(1)
    batch, height, width = heat.shape
    stacked = F.pad(heat, (3, 3, 3, 3)).reshape(batch * (height + 6), width + 6)
    above = b * (height + 6)
    x, y = _refine(stacked, torch.stack([y + 3 + above, x + 3]), above).unbind(1)
    return torch.stack([x.clamp(0, width - 1), y.clamp(0, height - 1)], dim=1)


def _refine(near: Tensor, peak: Tensor, above: Tensor | int = 0) -> Tensor:
    """Refine peaks ``(2, N)`` ``(y, x)`` of a map with a frame of three zeros; see above.

    Returns positions ``(N, 2)`` ``(x, y)`` of the map without its frame, and, if it is one of a
    stack, without the rows above it.
    """
    row, flat = near.shape[1], near.reshape(-1)
    place = peak[0] * row + peak[1]
    oy, ox, offset = _offsets(1, row, near.device)
    around = flat.index_select(0, (offset + place).flatten()).view(len(offset), -1)
    place = place + offset[:, 0][around.detach().argmax(0)]
    oy, ox, offset = _offsets(2, row, near.device)
    weight = flat.index_select(0, (offset + place).flatten()).view(len(offset), -1).float()
    # Along rows: down columns, a sum's last bits depend on how many columns there are, and so on
    # which other points were found.
    weight, ox, oy = weight.T.contiguous(), ox.T, oy.T
    total = weight.sum(1).clamp_min(torch.finfo(torch.float32).tiny)
    x = place % row - 3 + (weight * ox).sum(1) / total
    y = place // row - 3 - above + (weight * oy).sum(1) / total
    return torch.stack([x, y], dim=1)


def _offsets(radius: int, row: int, device: torch.device) -> tuple[Tensor, Tensor, Tensor]:
    """Return ``y``, ``x`` and the place in a flat map, ``(pixels, 1)``, of a square's pixels."""
    side = torch.arange(-radius, radius + 1, device=device)
    middle = 2 * radius * (radius + 1)  # comes first, and so is the hottest of equal ones
    oy, ox = (o.flatten().roll(-middle)[:, None] for o in torch.meshgrid(side, side, indexing="ij"))
    return oy, ox, oy * row + ox


def sample(maps: Tensor, image: Tensor, xy: Tensor) -> Tensor:
    """Interpolate maps of cells bilinearly at given positions.

    A position x lies at ``(x + 0.5) / 8`` cells from the left; the middle of the first cell is at
    0.5. (The sampling often copied from the first release is half a cell off.) The paper's section
    3.3 interpolates bicubically; its release, and we, bilinearly. Beyond the middles of the border
    cells, values stay constant.

    Parameters
    ----------
    maps
        ``(B, C, h, w)``.
    image
        ``(N,)`` integer: the map of each position.
    xy
        ``(N, 2)`` float, pixels.

    Returns
    -------
    Tensor
        ``(N, C)`` float32.
    """
    _, channels, height, width = maps.shape
    x, y = ((xy.float() + 0.5) / CELL - 0.5).unbind(1)
    x, y = x.clamp(0, width - 1), y.clamp(0, height - 1)
    left, top = x.detach().long(), y.detach().long()
    right, bottom = (left + 1).clamp_max(width - 1), (top + 1).clamp_max(height - 1)
    fx, fy = x - left, y - top
    corners = [top * width + left, top * width + right, bottom * width + left,
               bottom * width + right]  # fmt: skip
    cells = torch.stack(corners, dim=1) + image[:, None] * (height * width)
    weights = [(1 - fx) * (1 - fy), fx * (1 - fy), (1 - fx) * fy, fx * fy]
    table = maps.permute(0, 2, 3, 1).reshape(-1, channels).float()
    return F.embedding_bag(cells, table, per_sample_weights=torch.stack(weights, dim=1), mode="sum")


def sample_descriptors(maps: Tensor, xy: Tensor) -> Tensor:
    """Interpolate maps of descriptors at given positions, then normalise to unit length.

    Parameters
    ----------
    maps
        ``(B, D, h, w)``, not normalised.
    xy
        ``(B, N, 2)`` float, pixels.

    Returns
    -------
    Tensor
        ``(B, N, D)`` float32 of unit L2 norm.
    """
    batch, count, _ = xy.shape
    image = torch.arange(batch, device=xy.device).repeat_interleave(count)
    rows = sample(maps, image, xy.reshape(-1, 2)).unflatten(0, (batch, count))
    return F.normalize(rows, dim=2)

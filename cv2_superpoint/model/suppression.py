"""Which points of a heat map are kept: greedy suppression, and the strongest of what it leaves.

Pixels are ``(x, y)``, integer at pixel centres, as in :mod:`~cv2_superpoint.model.decode`.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from .decode import point_scores, refine_subpixel

Keep = Callable[[Tensor], Tensor]
"""From ``(N, 2)`` positions to ``(N,)`` bool: which of them may be keypoints."""


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
    return _span_max(values, before + after + 1, dim)


def _span_max(values: Tensor, length: int, dim: int) -> Tensor:
    """Return the maximum over each run of so many positions, all inside."""
    span = 1  # values[i] covers [i, i + span)
    while span < length:
        step = min(span, length - span)
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
        ``(H, W)``, on the CPU.
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
    radius = min(radius, max(height, width))  # reaches everything
    score = point_scores(heat[None])[0]
    if not math.isfinite(float(score.sum())):  # what is no number takes nothing from the others
        score = score.nan_to_num()
    # Suppressed pixels become 0 in a frame of zeros, so that windows never leave it.
    frame = F.pad(F.threshold(score, threshold, 0), (radius, radius, radius, radius))
    row = frame.shape[1]
    side = torch.arange(-radius, radius + 1, device=heat.device)
    window = (side[:, None] * row + side).flatten()
    alive = frame.view(-1)

    def refine(place: Tensor, values: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        y, x = place // row - radius, place % row - radius
        xy = refine_subpixel(heat[None], torch.stack([torch.zeros_like(x), y, x], dim=1))
        if keep is None:
            return xy, values, place
        kept = _places(keep(xy), 0)
        return xy[kept], values[kept], place[kept]

    tiny = torch.finfo(torch.float32).tiny
    first = _strongest(frame, radius, tiny, window)
    found, later, values, floor = [], [first], [alive[first]], tiny
    if 0 < limit <= len(first):
        # Weaker pixels than the limit's so far cannot be among the strongest; equal ones may still
        # come before it, row by row.
        found, later, values = [refine(first, values[0])], [], []
        floor = max(tiny, _kth_largest(found[0][1], limit))
    while True:
        alive.index_fill_(0, (first[:, None] + window).flatten(), 0)
        left = _places(frame >= floor, 0)
        if len(left) * len(window) <= height * width:  # then it is faster to look at each
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


_AT_ONCE = 1 << 22
"""Pixels of windows that are compared at once, which bounds the memory that it takes."""


def _kth_largest(values: Tensor, k: int) -> float:
    return float(values.topk(k).values[-1]) if 0 < k <= len(values) else 0.0


def _strongest(frame: Tensor, radius: int, floor: float, window: Tensor) -> Tensor:
    """Return the places of a frame's pixels that come first of the window around them."""
    height, width = (side - 2 * radius for side in frame.shape)
    inner = frame[radius : radius + height, radius : radius + width]
    highest = _span_max(_span_max(frame, 2 * radius + 1, -1), 2 * radius + 1, -2)
    place = _places(inner == highest.clamp(min=floor), radius)
    return place[_is_first(frame.view(-1), place, window)]


def _places(mask: Tensor, border: int) -> Tensor:
    """Return where a mask is True, as places in the flat map that is so much larger around."""
    place = torch.from_numpy(np.flatnonzero(mask.numpy()))  # several times as fast as PyTorch's
    if border:
        width = mask.shape[1]
        place = (place // width + border) * (width + 2 * border) + place % width + border
    return place


def _is_first(alive: Tensor, place: Tensor, window: Tensor) -> Tensor:
    """Tell which places are the strongest of the window around them, and the first of these."""
    half = len(window) // 2
    parts = []
    for some in place.split(max(1, _AT_ONCE // len(window))):
        own = alive[some]
        around = alive.index_select(0, (window[:, None] + some).flatten()).view(len(window), -1)
        first = own == around.amax(0)
        parts.append(first & (around[:half] != own).all(0) if half else first)
    return parts[0] if len(parts) == 1 else torch.cat(parts)

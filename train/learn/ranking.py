"""Which labels are worth detecting: those whose points are found again, and in the same place.

Pseudo-labels are all equal, and there are more of them than anyone keeps points. What a network
itself makes of two views of a picture tells the good ones, which is what keypoints are in R2D2
(arXiv 1906.06195) and SiLK (arXiv 2304.06194).
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from cv2_superpoint.model.decode import heat_map, refine_subpixel, sample_descriptors
from cv2_superpoint.model.network import CELL

from ..data.homography import invert, pixel_grid, transform
from ..data.views import View, first_to_second, seen


@torch.no_grad()
def label_weights(
    logits: tuple[Tensor, Tensor],
    maps: tuple[Tensor, Tensor],
    first: View,
    second: View,
    unmatched_weight: float,
    safe_radius: float,
) -> Tensor:
    """Return how much each label counts in both views, from `unmatched_weight` to 1.

    Of a label that only one view shows, nothing is known: it counts as much as the mean of the
    others, or 1 if there are none, so that being seen twice makes no difference to the heat.

    Parameters
    ----------
    logits
        ``(B, 65, h, w)`` of the first and the second view.
    maps
        ``(B, D, h, w)`` descriptors of each, not normalised.
    first, second
        Views of the same pictures; row i of their points is the same label.
    unmatched_weight
        Of labels that are not found again.
    safe_radius
        Pixels within which two points are not told apart.

    Returns
    -------
    Tensor
        ``(B, N)``.
    """
    views = (first, second)
    shown = first.present & second.present
    points = [view.points.where(shown[..., None], torch.zeros_like(view.points)) for view in views]
    for view, at in zip(views, points, strict=True):
        shown = shown & seen(view.valid, at)
    between = first_to_second(first, second)
    matched = find_each_other(maps, (points[0], points[1]), safe_radius)
    apart = distance_of_peaks(logits, (points[0], points[1]), between)
    worth = matched * (1 - apart / PEAK_RADIUS).clamp_min(0)
    worth = unmatched_weight + (1 - unmatched_weight) * worth
    count = shown.sum()
    mean = (worth * shown).sum() / count
    mean = mean.where(count > 0, torch.ones_like(mean))
    return worth.where(shown, mean)


PEAK_RADIUS = 3.0
"""Pixels from which on the two views' peaks are not the same point (HPatches' usual limit)."""


def find_each_other(
    maps: tuple[Tensor, Tensor], points: tuple[Tensor, Tensor], safe_radius: float
) -> Tensor:
    """Tell which points' descriptors are nearer to each other than to any cell of the other view.

    Parameters
    ----------
    maps
        ``(B, D, h, w)`` descriptors of each view, not normalised.
    points
        ``(B, N, 2)`` pixels of each view; row i of one corresponds to row i of the other.
    safe_radius
        Pixels from a point within which a cell's middle is no rival.

    Returns
    -------
    Tensor
        ``(B, N)`` bool.
    """
    rows = [sample_descriptors(m, at) for m, at in zip(maps, points, strict=True)]
    own = (rows[0] * rows[1]).sum(2)
    found = torch.ones_like(own, dtype=torch.bool)
    for here, there in ((0, 1), (1, 0)):
        cells = F.normalize(maps[there].float().flatten(2), dim=1)
        size = (maps[there].shape[2], maps[there].shape[3])
        middles = pixel_grid(size, own.device) * CELL + (CELL - 1) / 2
        near = torch.cdist(points[there], middles.expand(len(own), -1, -1)) < safe_radius
        rivals = (rows[here] @ cells).masked_fill(near, -torch.inf)
        found &= own > rivals.amax(2)
    return found


def distance_of_peaks(
    logits: tuple[Tensor, Tensor], points: tuple[Tensor, Tensor], first_to_second: Tensor
) -> Tensor:
    """Return how far apart the two views put the same points, as refinement would place them.

    Parameters
    ----------
    logits
        ``(B, 65, h, w)`` of each view.
    points
        ``(B, N, 2)`` pixels of each view; row i of one corresponds to row i of the other.
    first_to_second
        ``(B, 3, 3)``, pixels.

    Returns
    -------
    Tensor
        ``(B, N)``: pixels of the view where they are nearer to each other, which of two zooms is
        the smaller.
    """
    refined = []
    for half, at in zip(logits, points, strict=True):
        image = torch.arange(len(at), device=at.device)[:, None, None]
        pixel = at.flip(2).round().long()
        index = torch.cat([image.expand(-1, at.shape[1], 1), pixel], dim=2)
        refined.append(refine_subpixel(heat_map(half), index.reshape(-1, 3)).reshape(at.shape))
    there = transform(refined[0], first_to_second) - refined[1]
    back = transform(refined[1], invert(first_to_second)) - refined[0]
    return torch.minimum(there.norm(dim=2), back.norm(dim=2))

"""Pictures seen through random homographies, and which points of two views correspond."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .datasets import Batch
from .homography import inside, invert, on_device, transform, warp
from .photometric import augment
from .scales import nearest_levels


class View(NamedTuple):
    """A batch of pictures as another camera would see them.

    Attributes
    ----------
    images
        ``(B, 1, H, W)`` in [0, 1], light and noise changed.
    valid
        ``(B, H, W)`` bool: where the view shows the picture.
    points
        ``(B, N, 2)`` pixels ``(x, y)`` of the view.
    present
        ``(B, N)`` bool: which rows are points inside the view.
    to_source
        ``(B, 3, 3)`` from pixels of the view to those of the picture.
    """

    images: Tensor
    valid: Tensor
    points: Tensor
    present: Tensor
    to_source: Tensor


def look(batch: Batch, to_source: Tensor, size: tuple[int, int], photometric: nn.Module) -> View:
    """Return the view of a batch through homographies, with the points of the nearest level.

    Parameters
    ----------
    batch
        On the device.
    to_source
        ``(B, 3, 3)`` from pixels of the view to those of the picture.
    size
        ``(height, width)`` of the view.
    photometric
        Changes light and noise.
    """
    images, valid = warp(batch.images.float() / 255, to_source, size, batch.sizes)
    points = transform(batch.points, invert(to_source))
    view_sizes = on_device(size, points.device).expand(len(points), 2)
    level = nearest_levels(to_source, size, batch.sizes)
    present = batch.present & (batch.level == level[:, None]) & inside(points, view_sizes)
    return View(augment(images, photometric), valid, points, present, to_source)


def join(views: Sequence[View]) -> View:
    """Return views of one size as one batch; their points are padded to equally many."""
    longest = max(view.points.shape[1] for view in views)
    padded = []
    for view in views:
        missing = longest - view.points.shape[1]
        points, present = F.pad(view.points, (0, 0, 0, missing)), F.pad(view.present, (0, missing))
        padded.append(view._replace(points=points, present=present))
    return View(*map(torch.cat, zip(*padded, strict=True)))


def seen(valid: Tensor, points: Tensor) -> Tensor:
    """Tell which points, ``(B, N, 2)`` pixels inside ``(B, H, W)`` masks, lie where it is True."""
    pixel = points.round().long()
    row = torch.arange(len(points), device=points.device)[:, None]
    return valid[row, pixel[..., 1], pixel[..., 0]]


def pick_correspondences(first: View, second: View, count: int) -> tuple[Tensor, Tensor, Tensor]:
    """Choose corresponding points of two views: half labelled ones, half anywhere.

    Parameters
    ----------
    first, second
        Views of the same pictures.
    count
        How many points per pair.

    Returns
    -------
    at_first, at_second : Tensor
        ``(B, count, 2)`` pixels of each view.
    usable : Tensor
        ``(B, count)`` bool: which rows both views show.
    """
    batch, height, width = second.valid.shape
    half, points = count // 2, first.points
    priority = torch.rand(first.present.shape, device=points.device) * first.present
    if priority.shape[1] < half:
        priority = F.pad(priority, (0, half - priority.shape[1]))
        points = F.pad(points, (0, 0, 0, half - points.shape[1]))
    best, index = priority.topk(half, dim=1)
    labelled = points.gather(1, index[..., None].expand(-1, -1, 2))
    limit = on_device((width - 1, height - 1), points.device)
    anywhere = torch.rand(batch, count - half, 2, device=points.device) * limit
    at_first = torch.cat([labelled, anywhere], dim=1)
    chosen = F.pad(best > 0, (0, count - half), value=True)
    at_second = transform(at_first, first_to_second(first, second))
    sizes = on_device((height, width), points.device).expand(batch, 2)
    usable = chosen & inside(at_second, sizes)
    at_first, at_second = (
        p.where(usable[..., None], torch.zeros_like(p)) for p in (at_first, at_second)
    )
    usable = usable & seen(first.valid, at_first) & seen(second.valid, at_second)
    return at_first, at_second, usable


def first_to_second(first: View, second: View) -> Tensor:
    """Return ``(B, 3, 3)`` from pixels of one view to those of another of the same pictures."""
    return invert(second.to_source) @ first.to_source

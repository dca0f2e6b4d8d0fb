"""Extraction in tensors of fixed sizes: for devices that work while Python goes on, such as GPUs.

The results are those of :func:`~cv2_superpoint.model.suppression.find_points`, whose sizes depend
on what it finds, so that Python must wait for the device to learn them. Here it waits once, for the
packed points of a batch (:func:`pack`). Speed and memory on GPUs are not measured yet.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from torch import Tensor

from ..features import Features
from ..model.decode import heat_map, point_scores, refine_subpixel
from ..model.network import CELL
from ..model.suppression import suppress_once
from ..runners.maps import Maps
from ..settings import DetectionSettings
from .merge import to_features
from .regions import CORE, Region

ROUNDS = 8
"""Of suppression, at first; photographs seldom need more to find the strongest points."""

SMALLEST_CORE = 128
"""Side of the smallest tiles' cores, in pixels: smaller ones would be mostly margin."""

Project = Callable[[Tensor, Tensor, Tensor], Tensor]
"""From feature maps, and the image and ``(x, y)`` of each point, to its descriptor."""


class Candidates(NamedTuple):
    """The strongest points of a region in each image of a batch.

    Attributes
    ----------
    xy
        ``(B, N, 2)`` float32 pixels of the image.
    score
        ``(B, N)`` float32, the strongest first; 0 where there is no point.
    level
        Of the pyramid.
    descriptors
        ``(B, N, D)`` float32 of unit L2 norm, or None.
    missed
        ``(B,)`` float32: no point that is not among these has a higher score; 0 if none is missing.
    """

    xy: Tensor
    score: Tensor
    level: int
    descriptors: Tensor | None
    missed: Tensor


def find_candidates(
    maps: Maps,
    region: Region,
    masks: Tensor | None,
    settings: DetectionSettings,
    project: Project,
    rounds: int = ROUNDS,
) -> Candidates:
    """Find the strongest points of a region without waiting for the device.

    Parameters
    ----------
    maps
        The network's outputs, with logits.
    region
        What it saw.
    masks
        ``(B, H, W)`` bool of the images, True where keypoints may lie; None: everywhere.
    settings
        What to keep.
    project
        Makes descriptors, if there are features.
    rounds
        Of suppression. Without a limit on the points, there is also room for more with more rounds.
    """
    assert maps.logits is not None
    height, width = region.size
    heat = heat_map(maps.logits)[:, :height, :width]
    score = point_scores(heat).nan_to_num()
    wanted = (score > settings.score_threshold) & (score >= torch.finfo(torch.float32).tiny)
    alive = score.where(wanted, 0)
    kept = torch.zeros_like(wanted)
    for _ in range(rounds):
        first, alive = suppress_once(alive, settings.nms_radius)
        kept |= first
    missed = alive.amax((1, 2))

    # Two pixels of one such square cannot both be kept, so this loses none.
    side = settings.nms_radius + 1
    best, place = F.max_pool2d(score.where(kept, 0), side, ceil_mode=True, return_indices=True)
    place, by_row = place.flatten(1).sort(dim=1)
    best = best.flatten(1).gather(1, by_row)
    batch, count = best.shape
    image = torch.arange(batch, device=heat.device).repeat_interleave(count)
    index = torch.stack([image, (place // width).flatten(), (place % width).flatten()], dim=1)
    xy = refine_subpixel(heat, index)
    allowed = region.in_core(xy) & region.off_border(xy, settings.edge_threshold)
    if masks is not None:
        allowed &= region.masked(xy, masks, image)
    xy = xy.nan_to_num()  # where logits are no numbers; such points are not allowed
    best = best.where(allowed.view(batch, count), 0)

    best, order = best.sort(dim=1, descending=True, stable=True)
    limited = settings.nfeatures > 0
    room = settings.nfeatures if limited else _cells(region) * (rounds // ROUNDS)
    if room < count and not limited:
        missed = torch.maximum(missed, best[:, room])
    best, order = best[:, :room], order[:, :room]
    xy = xy.view(batch, count, 2).gather(1, order[..., None].expand(-1, -1, 2)).flatten(0, 1)
    rows = None
    if maps.features is not None:
        image = torch.arange(batch, device=heat.device).repeat_interleave(best.shape[1])
        rows = project(maps.features, image, xy).unflatten(0, best.shape)
    in_image = region.inside_image(xy).unflatten(0, best.shape)
    return Candidates(in_image, best, region.level, rows, missed)


def _cells(region: Region) -> int:
    height, width = region.size
    return -(-height // CELL) * -(-width // CELL)


def pack(parts: list[Candidates], settings: DetectionSettings) -> Tensor:
    """Return the strongest points of all regions as one tensor, to be copied at once.

    Returns
    -------
    Tensor
        ``(B, N, 5 + D)`` float32, the strongest first: x, y, score (0: no point), level, whether
        points may be missing (the same in all rows of an image), descriptor.
    """
    score = torch.cat([part.score for part in parts], dim=1)
    level = torch.cat([torch.full_like(part.score, part.level) for part in parts], dim=1)
    score, order = score.sort(dim=1, descending=True, stable=True)
    missed = torch.stack([part.missed for part in parts]).amax(0)
    missing = missed > 0
    if settings.nfeatures > 0:
        if settings.nfeatures <= score.shape[1]:  # an equal one might come first
            missing &= missed >= score[:, settings.nfeatures - 1]
        order = order[:, : settings.nfeatures]
    columns = [
        torch.cat([part.xy for part in parts], dim=1),
        torch.cat([part.score for part in parts], dim=1)[..., None],
        level[..., None],
        missing[:, None, None].expand(-1, level.shape[1], 1).float(),
    ]
    described = [part.descriptors for part in parts if part.descriptors is not None]
    if described:
        columns.append(torch.cat(described, dim=1))
    table = torch.cat(columns, dim=2)
    return table.gather(1, order[..., None].expand(-1, -1, table.shape[2]))


def to_host(packed: Tensor) -> npt.NDArray[np.float32]:
    """Return packed points as an array: the one step that waits for the device."""
    array: npt.NDArray[np.float32] = packed.cpu().numpy()
    return array


def is_complete(packed: npt.NDArray[np.float32]) -> bool:
    """Tell whether no point is missing; otherwise more rounds are needed."""
    return not packed[:, :, 4].any()


def unpack(
    packed: npt.NDArray[np.float32], settings: DetectionSettings, describe: bool
) -> list[Features]:
    """Return the features of each image of a batch, from what :func:`pack` returns."""
    results = []
    for table in packed:
        rows = table[table[:, 2] > 0]
        results.append(
            to_features(
                xy=np.ascontiguousarray(rows[:, :2]),
                score=rows[:, 2].copy(),
                octave=rows[:, 3].astype(np.int32),
                descriptors=np.ascontiguousarray(rows[:, 5:]) if describe else None,
                settings=settings,
            )
        )
    return results


def fit_memory(work: Callable[[list[int], int], None], batch: list[int], core: int = CORE) -> None:
    """Do work on a batch; if the device's memory is too small, on less at once.

    Parameters
    ----------
    work
        Takes images' indices, and the side of the core of tiles. May be called again after
        `torch.OutOfMemoryError`.
    batch
        Is halved first.
    core
        Is halved when the batch is a single image.

    Raises
    ------
    MemoryError
        If not even a small part of one image fits.
    """
    try:
        work(batch, core)
        return
    except torch.OutOfMemoryError as error:
        reason = str(error).splitlines()[0]
    # Outside of the handler, whose traceback keeps the tensors of the failed attempt.
    if len(batch) > 1:
        middle = len(batch) // 2
        fit_memory(work, batch[:middle], core)
        fit_memory(work, batch[middle:], core)
    elif core > SMALLEST_CORE:
        fit_memory(work, batch, core // 2)
    else:
        raise MemoryError(f"the device's memory is too small: {reason}")

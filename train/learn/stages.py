"""The stages of training: Synthetic Shapes, pseudo-labels of photographs, pairs of views."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from cv2_superpoint.model.decode import heat_map, sample_descriptors
from cv2_superpoint.model.suppression import max_filter

from ..data.datasets import Photographs, Shapes, collate, load
from ..data.homography import sample_homographies, sample_zoom_pairs
from ..data.images import ImageStore
from ..data.photometric import photometric_augmentation
from ..data.views import View, first_to_second, join, look, pick_correspondences, seen
from ..files import UserError
from ..labels.adaptation import read_labels
from ..settings import FitSettings, JointSettings, Settings
from .loop import Batches, Forward, Losses, LossFunction, Parts, Stage
from .losses import (
    detector_loss,
    detector_targets,
    distillation_losses,
    hinge_loss,
    info_nce_loss,
    reprojection_loss,
)
from .ranking import label_weights

_DESCRIPTOR = ("descriptor.",)


def magicpoint(settings: Settings, checkpoint: Path) -> Stage:
    """Return the stage where encoder and detector learn Synthetic Shapes.

    As in arXiv 1712.07629, section 4.

    Parameters
    ----------
    settings
        Of the run.
    checkpoint
        The file to write.
    """
    size = _size(settings.magicpoint)

    def views(sizes: Tensor) -> Tensor:
        to_source = sample_homographies(settings.shapes_view, size, sizes)
        plain = torch.rand(len(to_source), 1, 1, device=to_source.device) < 0.2
        return torch.eye(3, device=to_source.device).where(plain, to_source)

    def batches(seed: list[int], share: int) -> Iterator[Parts]:
        return zip(load(Shapes(size, seed), share, settings.workers))

    losses = _detector_losses(views, size, photometric_augmentation(harsh=True), settings)
    return Stage(checkpoint, settings.magicpoint, losses, batches, frozen=_DESCRIPTOR)


def retrain(store: ImageStore, labels: Path, settings: Settings, checkpoint: Path) -> Stage:
    """Return the stage where encoder and detector learn pseudo-labels of photographs.

    As in arXiv 1712.07629, section 5.3.

    Parameters
    ----------
    store
        The photographs.
    labels
        Their pseudo-labels; images beyond those labelled are not used.
    settings
        Of the run.
    checkpoint
        The file to write.
    """
    size = _size(settings.retrain)

    def views(sizes: Tensor) -> Tensor:
        return sample_homographies(settings.joint.second, size, sizes)

    losses = _detector_losses(views, size, photometric_augmentation(), settings)
    batches = _photographs(store, labels, settings)
    return Stage(checkpoint, settings.retrain, losses, batches, frozen=_DESCRIPTOR)


def joint(
    store: ImageStore,
    labels: Path,
    settings: Settings,
    checkpoint: Path,
    large: tuple[ImageStore, Path] | None = None,
    teacher: Forward | None = None,
) -> Stage:
    """Return the stage where detector and descriptor learn from pairs of views.

    As in arXiv 1712.07629, section 3.4.

    Parameters
    ----------
    store
        The photographs.
    labels
        Their pseudo-labels; images beyond those labelled are not used.
    settings
        Of the run.
    checkpoint
        The file to write.
    large
        Large photographs and their pseudo-labels, for the share ``large_share`` of the pairs.
    teacher
        A better network on the device, to learn from as well.
    """
    size, ranges = _size(settings.joint_fit), settings.joint
    photometric = photometric_augmentation()

    def views(sizes: Tensor) -> Iterable[Tensor]:
        return (sample_homographies(r, size, sizes) for r in (ranges.first, ranges.second))

    def zoomed_views(sizes: Tensor) -> Iterable[Tensor]:
        return sample_zoom_pairs(ranges.first, ranges.second, size, sizes)

    def losses(forward: Forward, parts: Parts) -> Losses:
        pairs = [
            [look(batch, to_source, size, photometric) for to_source in draw(batch.sizes)]
            for batch, draw in zip(parts, (views, zoomed_views), strict=False)
        ]
        first, second = map(join, zip(*pairs, strict=True))
        return _pair_losses(forward, first, second, ranges, teacher)

    batches = _photographs(store, labels, settings)
    if large and ranges.large_share:
        batches = _mixed(batches, _photographs(*large, settings), ranges.large_share)
    return Stage(checkpoint, settings.joint_fit, losses, batches)


@torch.no_grad()
def sample_views(store: ImageStore, settings: Settings, count: int = 64) -> Tensor:
    """Return views of some photographs such as joint training sees.

    Returns
    -------
    Tensor
        ``(count, 1, H, W)`` in [0, 1]; fewer if there are fewer photographs.
    """
    size = (settings.joint_fit.height, settings.joint_fit.width)
    nothing = np.zeros((0, 3), np.float32)
    batch = collate([(store[i], nothing) for i in store.spread(count)])
    to_source = sample_homographies(settings.joint.second, size, batch.sizes)
    return look(batch, to_source, size, photometric_augmentation()).images


def _size(settings: FitSettings) -> tuple[int, int]:
    return settings.height, settings.width


def _photographs(store: ImageStore, labels: Path, settings: Settings) -> Batches:
    points = read_labels(labels, store)

    def batches(seed: list[int], share: int) -> Iterator[Parts]:
        return zip(load(Photographs(store, points, seed), share, settings.workers))

    return batches


def _mixed(small: Batches, large: Batches, large_share: float) -> Batches:
    """Return batches of two parts, of which the second is so large a share, at least one."""

    def batches(seed: list[int], share: int) -> Iterator[Parts]:
        if share < 2:
            raise UserError("large_share needs a batch of at least two pairs per process")
        count = min(max(1, round(share * large_share)), share - 1)
        both = zip(small(seed, share - count), large([*seed, 1], count), strict=True)
        return (a + b for a, b in both)

    return batches


def _detector_losses(
    views: Callable[[Tensor], Tensor],
    size: tuple[int, int],
    photometric: nn.Module,
    settings: Settings,
) -> LossFunction:
    """Return the losses of a detector that sees each picture once.

    Parameters
    ----------
    views
        From ``(B, 2)`` sizes of the pictures to ``(B, 3, 3)`` view_to_source.
    size
        ``(height, width)`` of the views.
    photometric
        Changes light and noise.
    settings
        Of the run.
    """

    def losses(forward: Forward, parts: Parts) -> Losses:
        (batch,) = parts
        view = look(batch, views(batch.sizes), size, photometric)
        logits = forward(view.images)[0]
        loss = _detector_loss(logits, view, settings.joint.dustbin_weight)
        return {"loss": loss, "recall": _recall(logits, view)}

    return losses


def _detector_loss(
    logits: Tensor, view: View, dustbin_weight: float, weight: Tensor | None = None
) -> Tensor:
    size = (view.images.shape[2], view.images.shape[3])
    target = detector_targets(view.points, view.present, size, weight)
    return detector_loss(logits, target, view.valid, dustbin_weight)


def _pair_losses(
    forward: Forward, first: View, second: View, settings: JointSettings, teacher: Forward | None
) -> Losses:
    """Return the losses of detector and descriptor on two views of the same pictures."""
    images = torch.cat([first.images, second.images])
    logits, maps = forward(images)
    both = View(*(torch.cat(pair) for pair in zip(first, second, strict=True)))
    between = first_to_second(first, second)
    halves = (maps[: len(between)], maps[len(between) :])
    weight = None
    if settings.unmatched_weight < 1:
        scores = (logits[: len(between)], logits[len(between) :])
        weight = label_weights(
            scores, halves, first, second, settings.unmatched_weight, settings.safe_radius
        ).repeat(2, 1)
    detector = _detector_loss(logits, both, settings.dustbin_weight, weight)
    matching, accuracy = _matching_losses(halves, first, second, settings)
    loss = detector + settings.descriptor_weight * matching
    losses = {"detector": detector, "descriptor": matching, "accuracy": accuracy}
    if settings.reprojection_weight:
        heat = heat_map(logits).chunk(2)
        distance = reprojection_loss((heat[0], heat[1]), (first.valid, second.valid), between)
        loss = loss + settings.reprojection_weight * distance
        losses["distance"] = distance
    if teacher:
        taught = distillation_losses(
            (logits, maps), teacher(images), both.valid, settings.dustbin_weight
        )
        loss = loss + settings.teacher_weight * sum(taught)
        losses |= dict(zip(("taught_detector", "taught_descriptor"), taught, strict=True))
    return {"loss": loss, **losses}


@torch.no_grad()
def _recall(logits: Tensor, view: View) -> Tensor:
    """Return the share of points with a heat above 0.1 in the 3x3 pixels around them."""
    near = max_filter(heat_map(logits), 1)
    safe = view.points.where(view.present[..., None], torch.zeros_like(view.points))
    found = seen(near > 0.1, safe) & view.present
    return found.sum() / view.present.sum().clamp_min(1)


def _matching_losses(
    maps: tuple[Tensor, Tensor], first: View, second: View, joint: JointSettings
) -> tuple[Tensor, Tensor]:
    """Return the descriptor loss that the settings name, and the nearest-neighbour accuracy."""
    at_first, at_second, usable = pick_correspondences(first, second, joint.correspondences)
    hinge = joint.descriptor_loss == "hinge"
    with torch.set_grad_enabled(not hinge):  # which needs no more than the accuracy
        rows = [
            sample_descriptors(half, points)
            for half, points in zip(maps, (at_first, at_second), strict=True)
        ]
        loss, accuracy = info_nce_loss(
            rows[0], rows[1], usable, at_second, joint.temperature, joint.safe_radius
        )
    if hinge:
        valid = (first.valid, second.valid)
        loss = hinge_loss(maps, valid, first_to_second(first, second), joint.positive_weight)
    return loss, accuracy

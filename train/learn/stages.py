"""The stages of training, each resumable: shapes, pseudo-labels, photographs, pairs."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from lightning.fabric import Fabric
from torch import Tensor

from cv2_superpoint.model.decode import heat_map, max_filter, sample_descriptors
from cv2_superpoint.model.network import SuperPointNet

from ..data.datasets import Batch, Photographs, Shapes, collate, load
from ..data.homography import sample_homographies
from ..data.images import ImageStore
from ..data.photometric import photometric_augmentation
from ..data.views import View, first_to_second, look, pick_correspondences, seen
from ..labels.adaptation import read_labels
from ..settings import JointSettings, Settings
from .loop import Forward, Losses, fit
from .losses import detector_loss, detector_targets, hinge_loss, info_nce_loss, reprojection_loss


def train_magicpoint(fabric: Fabric, network: SuperPointNet, settings: Settings, out: Path) -> None:
    """Train encoder and detector on Synthetic Shapes (arXiv 1712.07629, section 4).

    Parameters
    ----------
    fabric
        Gives device, precision and processes.
    network
        Trained in place.
    settings
        Of the run.
    out
        Folder of checkpoints and curves.
    """
    fit_settings = settings.magicpoint
    size = (fit_settings.height, fit_settings.width)
    photometric = photometric_augmentation(harsh=True)

    def step(forward: Forward, batch: Batch) -> Losses:
        to_source = sample_homographies(settings.shapes_view, size, batch.sizes)
        plain = torch.rand(len(to_source), 1, 1, device=to_source.device) < 0.2
        to_source = torch.eye(3, device=to_source.device).where(plain, to_source)
        view = look(batch, to_source, size, photometric)
        return _detector_losses(forward(view.images)[0], view, settings.joint.dustbin_weight)

    def batches(seed: list[int], share: int) -> Iterator[Batch]:
        return load(Shapes(size, seed), share, settings.workers)

    fit(fabric, network, _detector_only(network), step, batches, fit_settings, settings.seed,
        out / "magicpoint.ckpt")  # fmt: skip


def retrain(
    fabric: Fabric,
    network: SuperPointNet,
    store: ImageStore,
    labels: Path,
    settings: Settings,
    checkpoint: Path,
) -> None:
    """Train encoder and detector on pseudo-labels of photographs (paper, section 5.3).

    Parameters
    ----------
    fabric
        Gives device, precision and processes.
    network
        Trained in place, from the weights it has.
    store
        The photographs.
    labels
        Their pseudo-labels; images beyond those labelled are not used.
    settings
        Of the run.
    checkpoint
        The file to write.
    """
    fit_settings = settings.retrain
    size = (fit_settings.height, fit_settings.width)
    points = read_labels(labels)
    photometric = photometric_augmentation()

    def step(forward: Forward, batch: Batch) -> Losses:
        to_source = sample_homographies(settings.joint.second, size, batch.sizes)
        view = look(batch, to_source, size, photometric)
        return _detector_losses(forward(view.images)[0], view, settings.joint.dustbin_weight)

    def batches(seed: list[int], share: int) -> Iterator[Batch]:
        return load(Photographs(store, points, seed), share, settings.workers)

    fit(fabric, network, _detector_only(network), step, batches, fit_settings, settings.seed,
        checkpoint)  # fmt: skip


def train_joint(
    fabric: Fabric,
    network: SuperPointNet,
    store: ImageStore,
    labels: Path,
    settings: Settings,
    checkpoint: Path,
) -> None:
    """Train detector and descriptor on pairs of views (arXiv 1712.07629, section 3.4).

    Parameters
    ----------
    fabric
        Gives device, precision and processes.
    network
        Trained in place, from the weights it has.
    store
        The photographs.
    labels
        Their pseudo-labels; images beyond those labelled are not used.
    settings
        Of the run.
    checkpoint
        The file to write.
    """
    fit_settings, joint = settings.joint_fit, settings.joint
    size = (fit_settings.height, fit_settings.width)
    points = read_labels(labels)
    photometric = photometric_augmentation()

    def step(forward: Forward, batch: Batch) -> Losses:
        first, second = (
            look(batch, sample_homographies(ranges, size, batch.sizes), size, photometric)
            for ranges in (joint.first, joint.second)
        )
        logits, maps = forward(torch.cat([first.images, second.images]))
        both = View(*(torch.cat(pair) for pair in zip(first, second, strict=True)))
        detector = _detector_losses(logits, both, joint.dustbin_weight)["loss"]
        between = first_to_second(first, second)
        halves = (maps[: len(between)], maps[len(between) :])
        matching, accuracy = _matching_losses(halves, first, second, joint)
        loss = detector + joint.descriptor_weight * matching
        losses = {"detector": detector, "descriptor": matching, "accuracy": accuracy}
        if joint.reprojection_weight:
            heat = heat_map(logits).chunk(2)
            distance = reprojection_loss((heat[0], heat[1]), (first.valid, second.valid), between)
            loss = loss + joint.reprojection_weight * distance
            losses["distance"] = distance
        return {"loss": loss, **losses}

    def batches(seed: list[int], share: int) -> Iterator[Batch]:
        return load(Photographs(store, points, seed), share, settings.workers)

    fit(fabric, network, list(network.parameters()), step, batches, fit_settings, settings.seed,
        checkpoint)  # fmt: skip


@torch.no_grad()
def sample_views(store: ImageStore, settings: Settings, count: int = 64) -> Tensor:
    """Return views of the first photographs such as joint training sees.

    Returns
    -------
    Tensor
        ``(count, 1, H, W)`` in [0, 1]; fewer if there are fewer photographs.
    """
    size = (settings.joint_fit.height, settings.joint_fit.width)
    nothing = np.zeros((0, 2), np.float32)
    batch = collate([(store[i], nothing) for i in range(min(count, len(store)))])
    to_source = sample_homographies(settings.joint.second, size, batch.sizes)
    return look(batch, to_source, size, photometric_augmentation()).images


def _detector_only(network: SuperPointNet) -> list[torch.nn.Parameter]:
    return [p for name, p in network.named_parameters() if not name.startswith("descriptor.")]


def _detector_losses(logits: Tensor, view: View, dustbin_weight: float) -> Losses:
    size = (view.images.shape[2], view.images.shape[3])
    target = detector_targets(view.points, view.present, size)
    loss = detector_loss(logits, target, view.valid, dustbin_weight)
    return {"loss": loss, "recall": _recall(logits, view)}


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

"""The stages of training: MagicPoint on shapes, pseudo-labels, joint training on photographs."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from lightning.fabric import Fabric
from torch import Tensor

from cv2_superpoint.detection import heat_map, sample_descriptors
from cv2_superpoint.network import SuperPointNet

from . import shapes
from .adaptation import label_images, read_labels
from .homography import inside, sample_homographies, transform, warp
from .images import ImageStore
from .loop import Losses, fit
from .losses import detector_loss, detector_targets, info_nce_loss
from .photometric import augment, photometric_augmentation
from .presets import FitSettings, JointSettings, Settings

Forward = Callable[[Tensor], tuple[Tensor, Tensor]]


def _pad_points(points: list[np.ndarray], device: torch.device) -> tuple[Tensor, Tensor]:
    """Stack point sets of different sizes: ``(B, N, 2)`` and which rows are real."""
    longest = max(1, *(len(p) for p in points))
    padded = np.zeros((len(points), longest, 2), np.float32)
    present = np.zeros((len(points), longest), bool)
    for i, p in enumerate(points):
        padded[i, : len(p)], present[i, : len(p)] = p, True
    return torch.from_numpy(padded).to(device), torch.from_numpy(present).to(device)


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
    photometric = photometric_augmentation()

    def step(forward: Forward, batch: int, rng: np.random.Generator) -> Losses:
        pictures, corners = zip(*(shapes.draw(rng, size) for _ in range(batch)), strict=True)
        images = torch.from_numpy(np.stack(pictures)).to(fabric.device)[:, None].float() / 255
        points, present = _pad_points(list(corners), fabric.device)
        sizes = torch.tensor([size], device=fabric.device).expand(batch, 2)
        view_to_source = sample_homographies(settings.shapes_view, size, sizes)
        plain = torch.rand(batch, device=fabric.device) < 0.2
        view_to_source[plain] = torch.eye(3, device=fabric.device)
        views, valid = warp(images, view_to_source, size, sizes)
        points = transform(points, torch.linalg.inv(view_to_source))
        present = present & inside(points, sizes)
        logits, _ = forward(augment(views, photometric))
        target = detector_targets(points, present, size)
        loss = detector_loss(logits, target, valid, settings.joint.dustbin_weight)
        return {"loss": loss, "recall": _recall(logits, points, present)}

    detector = [*network.encoder.parameters(), *network.detector.parameters()]
    fit(fabric, network, detector, step, fit_settings, settings.seed, "magicpoint", out)


@torch.no_grad()
def _recall(logits: Tensor, points: Tensor, present: Tensor) -> Tensor:
    """Return the share of points with a heat above 0.1 in the 3x3 pixels around them."""
    heat = heat_map(logits)
    near = torch.nn.functional.max_pool2d(heat[:, None], 3, stride=1, padding=1)[:, 0]
    safe = points.where(present[..., None], torch.zeros_like(points)).round().long()
    row = torch.arange(len(points), device=points.device)[:, None]
    found = (near[row, safe[..., 1], safe[..., 0]] > 0.1) & present
    return found.sum() / present.sum().clamp_min(1)


def export_labels(
    fabric: Fabric, network: SuperPointNet, store: ImageStore, settings: Settings, out: Path
) -> None:
    """Write the pseudo-labels of the photographs, unless they are written already."""
    if not out.exists():
        network.eval().to(fabric.device)
        label_images(fabric, network, store, settings.adaptation, out)


def _pick_correspondences(
    points: Tensor,
    present: Tensor,
    first_to_second: Tensor,
    valid_second: Tensor,
    settings: JointSettings,
) -> tuple[Tensor, Tensor, Tensor]:
    """Choose corresponding points of two views: half labelled ones, half anywhere.

    Returns
    -------
    first, second : Tensor
        ``(B, N, 2)`` pixels of each view.
    usable : Tensor
        ``(B, N)`` bool.
    """
    batch, height, width = valid_second.shape
    half = settings.correspondences // 2
    priority = torch.rand(present.shape, device=points.device) * present
    if priority.shape[1] < half:
        priority = torch.nn.functional.pad(priority, (0, half - priority.shape[1]))
        points = torch.nn.functional.pad(points, (0, 0, 0, half - points.shape[1]))
    best, index = priority.topk(half, dim=1)
    labelled = points.gather(1, index[..., None].expand(-1, -1, 2))
    limit = torch.tensor([width - 1, height - 1], device=points.device)
    anywhere = torch.rand(batch, half, 2, device=points.device) * limit
    first = torch.cat([labelled, anywhere], dim=1)
    chosen = torch.cat([best > 0, torch.ones_like(best, dtype=torch.bool)], dim=1)
    second = transform(first, first_to_second)
    sizes = torch.tensor([[height, width]], device=points.device).expand(batch, 2)
    usable = chosen & inside(second, sizes)
    first, second = (p.where(usable[..., None], torch.zeros_like(p)) for p in (first, second))
    pixel = second.round().long()
    row = torch.arange(batch, device=points.device)[:, None]
    usable = usable & valid_second[row, pixel[..., 1], pixel[..., 0]]
    return first, second, usable


def train_joint(
    fabric: Fabric,
    network: SuperPointNet,
    store: ImageStore,
    labels: Path,
    settings: Settings,
    out: Path,
) -> None:
    """Train detector and descriptor on pairs of views (arXiv 1712.07629, section 3.4).

    Parameters
    ----------
    fabric
        Gives device, precision and processes.
    network
        Trained in place.
    store
        The photographs.
    labels
        Their pseudo-labels; images beyond those labelled are not used.
    settings
        Of the run.
    out
        Folder of checkpoints and curves.
    """
    fit_settings: FitSettings = settings.joint_fit
    joint = settings.joint
    size = (fit_settings.height, fit_settings.width)
    all_points = read_labels(labels)
    photometric = photometric_augmentation()

    def step(forward: Forward, batch: int, rng: np.random.Generator) -> Losses:
        device = fabric.device
        chosen = rng.choice(len(all_points), batch, replace=len(all_points) < batch)
        canvases, sizes = (t.to(device) for t in store.batch(chosen))
        images = canvases.float() / 255
        points, present = _pad_points([all_points[i] for i in chosen], device)
        view_sizes = torch.tensor([size], device=device).expand(batch, 2)
        to_source = [sample_homographies(r, size, sizes) for r in (joint.first, joint.second)]
        views, valids, view_points, view_present = [], [], [], []
        for view_to_source in to_source:
            view, valid = warp(images, view_to_source, size, sizes)
            mapped = transform(points, torch.linalg.inv(view_to_source))
            views.append(augment(view, photometric))
            valids.append(valid)
            view_points.append(mapped)
            view_present.append(present & inside(mapped, view_sizes))
        logits, maps = forward(torch.cat(views))
        valid = torch.cat(valids)
        target = detector_targets(torch.cat(view_points), torch.cat(view_present), size)
        detector = detector_loss(logits, target, valid, joint.dustbin_weight)

        first_to_second = torch.linalg.inv(to_source[1]) @ to_source[0]
        first, second, usable = _pick_correspondences(
            view_points[0], view_present[0], first_to_second, valids[1], joint
        )
        row = torch.arange(batch, device=device)[:, None]
        pixel = first.round().long()
        usable = usable & valids[0][row, pixel[..., 1], pixel[..., 0]]
        at_first, at_second = (
            torch.stack([sample_descriptors(m, xy) for m, xy in zip(half, xys, strict=True)])
            for half, xys in zip(maps.chunk(2), (first, second), strict=True)
        )
        matching, accuracy = info_nce_loss(
            at_first, at_second, usable, second, joint.temperature, joint.safe_radius
        )
        loss = detector + joint.descriptor_weight * matching
        return {"loss": loss, "detector": detector, "descriptor": matching, "accuracy": accuracy}

    everything = list(network.parameters())
    fit(fabric, network, everything, step, fit_settings, settings.seed, "joint", out)

"""The sheets that the stages write: what they draw and find, for a person to judge."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from pathlib import Path

import cv2
import numpy as np
import torch
from lightning_fabric import Fabric

from cv2_superpoint.apps.images import write_image
from cv2_superpoint.apps.matching import mutual_matches
from cv2_superpoint.extract.extractor import Extractor
from cv2_superpoint.model.network import SuperPointNet
from cv2_superpoint.runners.eager import EagerRunner
from cv2_superpoint.settings import DetectionSettings

from ..data.homography import sample_homographies, transform, warp
from ..data.images import ImageStore
from ..data.shapes import SHAPES, draw
from ..labels.adaptation import detector_logits, pseudo_labels, read_labels
from ..settings import Settings
from .sheets import adaptation_sheet, labels_sheet, matches_sheet, shapes_sheet

_COPIES = (1, 10, 100)  # the paper's N_h


def shapes_preview(out: Path, seed: int, size: tuple[int, int], columns: int = 4) -> None:
    """Draw every figure of Synthetic Shapes a few times and write the sheet.

    Parameters
    ----------
    out
        Such as ``shapes.png``.
    seed
        Of the drawing.
    size
        ``(height, width)`` of a picture.
    columns
        Pictures of each figure.
    """
    rng = np.random.default_rng(seed)
    pictures = {name: [draw(rng, size, name) for _ in range(columns)] for name in SHAPES}
    write_image(out, shapes_sheet(pictures))


def labels_preview(out: Path, store: ImageStore, labels: Path) -> None:
    """Write the pseudo-labels of the first photographs to a picture."""
    points = [labelled[:, :2] for labelled in read_labels(labels, store)[:12]]
    write_image(out, labels_sheet([store[i] for i in range(len(points))], points))


@torch.no_grad()
def adaptation_preview(
    out: Path, fabric: Fabric, network: SuperPointNet, store: ImageStore, settings: Settings
) -> None:
    """Write what Homographic Adaptation finds with N_h = 1, 10 and 100 copies, side by side.

    No more than ten times as many as labels are made with, which would take longer than labelling.
    """
    images = [store[i] for i in range(min(2, len(store)))]
    network.eval().to(fabric.device)
    points = {
        copies: [
            pseudo_labels(
                partial(detector_logits, network),
                image,
                replace(settings.adaptation, copies=copies),
                fabric.device,
            )
            for image in images
        ]
        for copies in _COPIES
        if copies <= 10 * settings.adaptation.copies
    }
    write_image(out, adaptation_sheet(images, points))


def matches_preview(
    out: Path, fabric: Fabric, network: SuperPointNet, store: ImageStore, settings: Settings
) -> None:
    """Match two views of the last photograph and write the matches to a picture."""
    size = (settings.joint_fit.height, settings.joint_fit.width)
    image = store[len(store) - 1]
    source = torch.from_numpy(image)[None, None].float().expand(2, -1, -1, -1)
    sizes = torch.tensor([image.shape, image.shape])
    with torch.random.fork_rng():
        torch.manual_seed(settings.seed)
        to_source = sample_homographies(settings.joint.second, size, sizes)
    pixels = warp(source, to_source, size, sizes)[0][:, 0].round().byte().numpy()
    runner = EagerRunner(network.eval(), fabric.device, "float32")
    extractor = Extractor(network, runner, network.architecture.descriptor_dim)
    wanted = DetectionSettings(nfeatures=200, nlevels=1)
    first, second = extractor.extract(list(pixels), [None, None], wanted)
    pairs = mutual_matches(first.descriptors, second.descriptors, cv2.NORM_L2)
    at_first, at_second = first.xy[pairs[:, 0]], second.xy[pairs[:, 1]]
    between = torch.linalg.inv(to_source[1]) @ to_source[0]
    moved = transform(torch.from_numpy(at_first)[None], between[None])[0].numpy()
    correct = np.linalg.norm(moved - at_second, axis=1) <= 3
    write_image(out, matches_sheet(pixels[0], pixels[1], at_first, at_second, correct))

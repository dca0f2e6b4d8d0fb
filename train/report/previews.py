"""The pictures that the stages leave behind: what they found, for a person to judge."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import torch
from lightning.fabric import Fabric

from cv2_superpoint.apps.matching import mutual_matches
from cv2_superpoint.extract.extractor import Extractor
from cv2_superpoint.model.network import SuperPointNet
from cv2_superpoint.settings import DetectionSettings

from ..data.homography import sample_homographies, transform, warp
from ..data.images import ImageStore
from ..labels.adaptation import pseudo_labels, read_labels
from ..settings import Settings
from .sheets import adaptation_sheet, labels_sheet, matches_sheet, write

_COPIES = (1, 10, 100)


def labels_preview(out: Path, store: ImageStore, labels: Path) -> None:
    """Write the pseudo-labels of the first photographs to a picture."""
    points = read_labels(labels)[:12]
    write(labels_sheet([store[i] for i in range(len(points))], points), out)


@torch.no_grad()
def adaptation_preview(
    out: Path, fabric: Fabric, network: SuperPointNet, store: ImageStore, settings: Settings
) -> None:
    """Write what Homographic Adaptation finds with N_h = 1, 10 and 100 copies, side by side."""
    images = [store[i] for i in range(min(2, len(store)))]
    network.eval().to(fabric.device)
    points = {
        copies: [
            pseudo_labels(
                lambda x: network.detect(network.encode(x)),
                image,
                replace(settings.adaptation, copies=copies),
                fabric.device,
            )
            for image in images
        ]
        for copies in _COPIES
    }
    write(adaptation_sheet(images, points), out)


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
    extractor = Extractor(network, fabric.device, "float32")
    first, second = extractor.detect(list(pixels), [None, None], DetectionSettings(nfeatures=200))
    pairs = mutual_matches(first.descriptors, second.descriptors, cv2.NORM_L2)
    at_first, at_second = first.xy[pairs[:, 0]], second.xy[pairs[:, 1]]
    between = torch.linalg.inv(to_source[1]) @ to_source[0]
    moved = transform(torch.from_numpy(at_first)[None], between[None])[0].numpy()
    correct = np.linalg.norm(moved - at_second, axis=1) <= 3
    write(matches_sheet(pixels[0], pixels[1], at_first, at_second, correct), out)

"""The binary code of descriptors: which directions, and which thresholds, 256 bits stand for.

Four thresholds on each of 64 projections measured better than one on each of 256, and put the
distances of correct matches where ORB's are. Rotations that quantise better (ITQ: Gong, Lazebnik,
"Iterative Quantization", CVPR 2011), or that were learned from correspondences, measured no better
than a random one.
"""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor

from cv2_superpoint.model.binary import BYTES, BinaryCode, tight_frame
from cv2_superpoint.model.network import DUSTBIN, SuperPointNet

from .shorten import principal_components, unit_rows

_THRESHOLDS = (-1.0, -0.3, 0.3, 1.0)  # in standard deviations
_DIRECTIONS = 8 * BYTES // len(_THRESHOLDS)


@torch.no_grad()
def learn_code(network: SuperPointNet, images: Iterable[Tensor]) -> BinaryCode:
    """Return a binary code for the descriptors of a network.

    The directions weigh the first 64 principal components equally, and the thresholds are relative
    to the standard deviation; both are measured where there are keypoints.

    Parameters
    ----------
    network
        In evaluation mode.
    images
        Each ``(B, 1, H, W)`` grey in [0, 1], H and W multiples of 8; a few dozen photographs.
    """
    rows = torch.cat([_descriptors(network, image) for image in images])
    components = principal_components([rows], _DIRECTIONS)
    # Components are unique but for their signs, which libraries choose differently.
    largest = components.gather(1, components.abs().argmax(1, keepdim=True))
    frame = torch.from_numpy(tight_frame(_DIRECTIONS, len(components))).double()
    directions = frame @ (components * largest.sign())
    deviation = (rows @ directions.T).square().mean().sqrt()
    thresholds = deviation * torch.tensor(_THRESHOLDS)
    return BinaryCode(directions.float().numpy(), thresholds.float().numpy())


def _descriptors(network: SuperPointNet, image: Tensor) -> Tensor:
    """Return the descriptors, ``(N, D)``, of cells that hold a keypoint; if none does, of all."""
    logits, maps = network(image)
    rows = unit_rows(maps)
    holds = (logits.softmax(1)[:, DUSTBIN] < 0.5).flatten()
    return rows[holds] if holds.any() else rows

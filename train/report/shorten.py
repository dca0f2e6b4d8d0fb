"""Descriptors of fewer numbers: the last layer turned so that the first numbers carry the most.

A rotation of all descriptors changes no angle between two of them. Turned to their principal
components, ordered by energy, any number of the first ones is the best linear summary of that
length (Jolliffe, "Principal Component Analysis", 2002; for local features: Ke, Sukthankar,
"PCA-SIFT", CVPR 2004).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

import torch
import torch.nn.functional as F
from torch import Tensor

from cv2_superpoint.model.network import SuperPointNet

from ..files import UserError


@torch.no_grad()
def shorten_descriptors(
    network: SuperPointNet, images: Iterable[Tensor], size: int
) -> SuperPointNet:
    """Return a network whose descriptors are the first principal components of the old ones.

    Parameters
    ----------
    network
        Without batch normalisation, in evaluation mode.
    images
        Each ``(B, 1, H, W)`` grey in [0, 1], H and W multiples of 8: what the energy is measured
        on.
    size
        Numbers to keep, ordered by energy; as many as there are: nothing is lost.

    Returns
    -------
    SuperPointNet
        In evaluation mode.

    Raises
    ------
    UserError
        If the descriptors are shorter already.
    """
    if size > network.architecture.descriptor_dim:
        raise UserError(f"descriptors of {network.architecture.descriptor_dim} have no {size}")
    described = (unit_rows(network.describe(network.encode(image))) for image in images)
    components = principal_components(described, size)
    shorter = SuperPointNet(replace(network.architecture, descriptor_dim=size)).eval()
    state = network.state_dict()
    weight, bias = (state[f"descriptor.1.conv.{name}"].double() for name in ("weight", "bias"))
    state["descriptor.1.conv.weight"] = torch.einsum("ij,jkyx->ikyx", components, weight).float()
    state["descriptor.1.conv.bias"] = (components @ bias).float()
    shorter.load_state_dict(state)
    return shorter


def unit_rows(maps: Tensor) -> Tensor:
    """Return ``(B, D, h, w)`` descriptors as ``(B h w, D)`` float64 of unit L2 norm."""
    return F.normalize(maps.permute(0, 2, 3, 1).flatten(0, 2).double(), dim=1)


def principal_components(rows: Iterable[Tensor], count: int) -> Tensor:
    """Return the directions of most energy, that of most first.

    Parameters
    ----------
    rows
        Parts, ``(N, D)`` float64 each; their mean is not subtracted.
    count
        How many directions at most.

    Returns
    -------
    Tensor
        ``(min(count, D), D)`` float64, orthonormal.
    """
    energy = sum(part.T @ part for part in rows)
    return torch.linalg.eigh(energy).eigenvectors.flip(1).T[:count]

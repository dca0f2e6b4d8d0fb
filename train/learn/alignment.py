"""Descriptors turned to those of a teacher before they learn from it.

A rotation of all descriptors changes no angle between two of them, so a network may begin in the
teacher's frame at no loss. The best rotation is that of the orthogonal Procrustes problem
(Schönemann, Psychometrika 1966), as in EdgePoint2 (arXiv 2504.17280), which solves it in each step.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from cv2_superpoint.model.network import SuperPointNet


@torch.no_grad()
def align_descriptors(network: SuperPointNet, teacher: Tensor, images: Tensor) -> None:
    """Turn a network's descriptors, in place, as near to the teacher's as a rotation can.

    Parameters
    ----------
    network
        Whose last layer of descriptors carries no normalisation.
    teacher
        ``(B, D, h, w)`` descriptors of `images`, not normalised; of more numbers than the
        network's, the first ones count.
    images
        ``(B, 1, 8 h, 8 w)`` grey in [0, 1].
    """
    was_training = network.training
    own = network.eval().describe(network.encode(images))
    network.train(was_training)
    wanted = teacher[:, : own.shape[1]]
    rotation = procrustes(*(F.normalize(m.double(), dim=1) for m in (own, wanted)))
    last = network.descriptor[1].get_submodule("conv")
    assert isinstance(last, torch.nn.Conv2d)
    assert last.bias is not None
    weight = torch.einsum("ij,jkyx->ikyx", rotation, last.weight.double())
    last.weight.copy_(weight), last.bias.copy_(rotation @ last.bias.double())


def procrustes(own: Tensor, wanted: Tensor) -> Tensor:
    """Return the ``(D, D)`` orthogonal matrix that takes ``(B, D, h, w)`` nearest to another."""
    left, _, right = torch.linalg.svd(torch.einsum("bihw,bjhw->ij", wanted, own))
    return left @ right

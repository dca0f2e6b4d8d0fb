"""Turned descriptors: the same angles, in the teacher's frame."""

from __future__ import annotations

import torch
import torch.nn.functional as F

from cv2_superpoint.model.network import Architecture, SuperPointNet
from train.learn.alignment import align_descriptors

SMALL = Architecture((3, 4, 5, 6), 8, 5, norm="before")


def _described(network: SuperPointNet, images: torch.Tensor) -> torch.Tensor:
    with torch.no_grad():
        return F.normalize(network.eval()(images)[1].permute(0, 2, 3, 1).flatten(0, 2), dim=1)


def test_a_turned_copy_is_turned_back():
    torch.manual_seed(0)
    network, images = SuperPointNet(SMALL), torch.rand(2, 1, 40, 48)
    before = _described(network, images)
    rotation = torch.linalg.qr(torch.randn(5, 5)).Q
    turned = torch.einsum("ij,bjhw->bihw", rotation, network.eval()(images)[1].detach())
    further = torch.cat([3 * turned, torch.randn(2, 4, 5, 6)], dim=1)  # longer, another length
    network.train()
    align_descriptors(network, further, images)
    assert network.training
    after = _described(network, images)
    assert torch.allclose(after, before @ rotation.T, atol=1e-4)


def test_angles_are_kept_and_the_teacher_comes_nearer():
    torch.manual_seed(1)
    network, images = SuperPointNet(SMALL), torch.rand(2, 1, 40, 48)
    teacher = torch.randn(2, 5, 5, 6)
    wanted = F.normalize(teacher.permute(0, 2, 3, 1).flatten(0, 2), dim=1)
    before = _described(network, images)
    align_descriptors(network, teacher, images)
    after = _described(network, images)
    assert torch.allclose(after @ after.T, before @ before.T, atol=1e-4)
    assert (after * wanted).sum() > (before * wanted).sum() + 1

"""Descriptors turned to their principal components."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from cv2_superpoint.model.network import Architecture, SuperPointNet
from train.files import UserError
from train.report.shorten import shorten_descriptors

IMAGES = [torch.rand(1, 1, 48, 64, generator=torch.Generator().manual_seed(i)) for i in range(4)]


@pytest.fixture(scope="module")
def network():
    torch.manual_seed(0)
    network = SuperPointNet(Architecture((4, 4, 8, 8), head_width=6, descriptor_dim=16)).eval()
    return network.requires_grad_(False)


def rows(network, size=None):
    maps = [network(image)[1] for image in IMAGES]
    flat = torch.cat([m.permute(0, 2, 3, 1).reshape(-1, m.shape[1]) for m in maps])
    return F.normalize(flat[:, :size], dim=1)


def test_all_components_keep_every_angle(network):
    before, after = rows(network), rows(shorten_descriptors(network, IMAGES, 16))
    torch.testing.assert_close(after @ after.T, before @ before.T, atol=1e-4, rtol=0)


def test_the_first_components_carry_the_most(network):
    energy = rows(shorten_descriptors(network, IMAGES, 16)).square().mean(0)
    assert (energy.diff() < 1e-6).all()
    # Six channels and a bias can make no more than seven numbers.
    assert energy[7:].max() < 1e-6 < energy[0]


def test_fewer_numbers_are_the_beginning_of_all(network):
    shorter = shorten_descriptors(network, IMAGES, 5)
    assert shorter.architecture.descriptor_dim == 5
    likeness = (rows(shorter) * rows(shorten_descriptors(network, IMAGES, 16), 5)).sum(1)
    assert likeness.min() > 0.9999
    assert torch.equal(network(IMAGES[0])[0], shorter(IMAGES[0])[0])


def test_more_than_there_are_is_refused(network):
    with pytest.raises(UserError, match="16"):
        shorten_descriptors(network, IMAGES, 17)

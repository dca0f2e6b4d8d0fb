"""Widening keeps what a network computes."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from cv2_superpoint.model.network import ARCHITECTURES, Architecture, SuperPointNet
from cv2_superpoint.model.weights import load_shipped
from train.files import UserError
from train.learn.widen import insert_batch_norm, widen

NARROW = Architecture((3, 5, 6, 7), 9, 8, stem_stride=2, detail_stages=3)
WIDE = Architecture((7, 6, 16, 12), 20, 8, stem_stride=2, detail_stages=3)


@pytest.fixture
def images():
    return torch.rand(2, 1, 48, 64, generator=torch.Generator().manual_seed(0))


@pytest.fixture
def narrow():
    torch.manual_seed(0)
    return SuperPointNet(NARROW).eval()


@torch.no_grad()
def test_the_shipped_network_widened_is_the_same_to_a_ten_thousandth(images):
    shipped = load_shipped("superpoint-lite").network
    wide = widen(shipped, ARCHITECTURES["superpoint"], noise=0)
    assert wide.architecture == ARCHITECTURES["superpoint"]
    for before, after in zip(shipped(images), wide(images), strict=True):
        torch.testing.assert_close(after[:, : before.shape[1]], before, rtol=1e-4, atol=1e-4)
        assert not after[:, before.shape[1] :].any()


@torch.no_grad()
def test_normalised_networks_are_folded_first(images):
    torch.manual_seed(0)
    narrow = SuperPointNet(replace(NARROW, norm="before"))
    narrow(images)  # moves the statistics
    narrow.eval()
    for before, after in zip(narrow(images), widen(narrow, WIDE, noise=0)(images), strict=True):
        torch.testing.assert_close(after, before)


@torch.no_grad()
def test_longer_descriptors_end_in_zeros(narrow, images):
    wide = widen(narrow, replace(WIDE, descriptor_dim=11), noise=0)
    torch.testing.assert_close(wide(images)[1][:, :8], narrow(images)[1])
    assert not wide(images)[1][:, 8:].any()


@torch.no_grad()
def test_copies_share_their_weights_unequally_and_noise_reaches_only_them(narrow):
    still, noisy = (widen(narrow, WIDE, noise) for noise in (0, 0.05))
    first = noisy.encoder[0][0].conv.weight
    torch.testing.assert_close(first[:3], narrow.encoder[0][0].conv.weight)
    assert not torch.isclose(first[3:], first[:3][[0]]).all(dim=(1, 2, 3)).any()
    reader = still.encoder[0][1].conv.weight[0]
    assert len(torch.unique(reader.abs().sum(dim=(1, 2)))) == len(reader)


@torch.no_grad()
def test_batch_normalisation_changes_nothing_in_evaluation_and_little_in_training(narrow, images):
    normalised = insert_batch_norm(narrow, images)
    assert normalised.architecture == replace(NARROW, norm="before")
    for mode in (False, True):
        for before, after in zip(narrow(images), normalised.train(mode)(images), strict=True):
            torch.testing.assert_close(after, before, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    "change", [{"widths": (2, 6, 16, 12)}, {"stem_stride": 1}, {"detail_stages": 2}]
)
def test_what_is_narrower_or_differs_is_refused(narrow, change):
    with pytest.raises(UserError, match="cannot be widened"):
        widen(narrow, replace(WIDE, **change))

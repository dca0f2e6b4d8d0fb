"""Light and noise change, and nothing else: corners stay where they are."""

from __future__ import annotations

import pytest
import torch

from train.data.photometric import (
    RandomIllumination,
    RandomNoise,
    RandomSaltAndPepper,
    RandomSpeckle,
    RandomTone,
    augment,
    photometric_augmentation,
)

OURS = [
    RandomTone(),
    RandomIllumination(1.0),
    RandomNoise(0.1, 1.0),
    RandomSpeckle(),
    RandomSaltAndPepper(1.0),
]


@pytest.mark.parametrize("harsh", [False, True])
def test_nothing_blurs_a_picture_to_one_side_or_darkens_its_border(harsh):
    torch.manual_seed(0)
    y, x = torch.meshgrid(torch.arange(49.0), torch.arange(49.0), indexing="ij")
    spot = torch.exp(-((x - 24) ** 2 + (y - 24) ** 2) / 18).expand(300, 1, -1, -1)
    for layer in photometric_augmentation(harsh):
        if "Blur" in type(layer).__name__:
            weight = layer(spot)[:, 0]
            total = weight.sum((1, 2))
            moved = [(weight * axis).sum((1, 2)) / total - 24 for axis in (x, y)]
            assert torch.stack(moved).abs().max() < 0.01
            assert layer(torch.ones_like(spot)).min() > 0.999


@pytest.mark.parametrize("layer", OURS, ids=lambda layer: type(layer).__name__)
def test_numbers_for_every_pixel_are_drawn_on_the_device(layer):
    """No GPU is needed to see it: a tensor of another device can't be mixed in."""
    assert layer(torch.rand(2, 1, 8, 8, device="meta")).device.type == "meta"


def test_gamma_contrast_and_brightness_have_their_ranges_and_shares():
    """Of three pixels the first shows the brightness, and their differences the rest."""
    torch.manual_seed(0)
    seen = RandomTone()(torch.tensor([0.0, 0.1, 0.2]).expand(4000, 1, 1, 3))[:, 0, 0]
    assert (seen >= 0).all()
    brighter = seen[:, 0] > 0  # the others may have lost what is below zero
    assert 0.27 < brighter.float().mean() < 0.33
    brightness, first, second = seen[brighter].T
    assert 0.24 < brightness.max() <= 0.25
    gamma = ((second - brightness) / (first - brightness)).log2()
    contrast = (first - brightness) / 0.1**gamma
    for factor, low, high, share in ((gamma, 0.6, 1.7, 0.5), (contrast, 0.5, 1.5, 0.6)):
        assert low - 0.01 < factor.min() < low + 0.05
        assert high - 0.05 < factor.max() < high + 0.01
        changed = (factor - 1).abs() > 1e-3
        assert share - 0.05 < changed.float().mean() < share + 0.05


def test_illumination_is_smooth_bounded_and_each_images_own():
    torch.manual_seed(0)
    grey = torch.full((200, 1, 24, 32), 0.5)
    change = RandomIllumination(1.0)(grey) - grey
    assert 0.2 < change.abs().max() <= 0.35
    assert change.diff(dim=2).abs().max() < 0.05
    assert change.diff(dim=3).abs().max() < 0.05
    assert len(change.amax((1, 2, 3)).unique()) > 150
    assert torch.equal(RandomIllumination(0.0)(grey), grey)


def test_noise_has_its_strength_and_leaves_the_other_images_alone():
    torch.manual_seed(0)
    grey = torch.full((200, 1, 24, 32), 0.5)
    deviation = RandomNoise(0.1, 0.3)(grey).std((1, 2, 3))
    noisy = deviation > 0
    assert 0.15 < noisy.float().mean() < 0.45
    assert torch.allclose(deviation[noisy], torch.tensor(0.1), atol=0.02)
    strength = RandomSpeckle()(grey).std((1, 2, 3)) / 0.5
    assert 0.35 < (strength == 0).float().mean() < 0.65
    assert 0.2 < strength.max() < 0.28


def test_salt_and_pepper_are_few_and_as_often_white_as_black():
    torch.manual_seed(0)
    pixels = RandomSaltAndPepper(1.0)(torch.full((100, 1, 48, 64), 0.5))
    white, black = (pixels == 1).float().mean(), (pixels == 0).float().mean()
    assert 0.003 < white < 0.005
    assert 0.003 < black < 0.005
    assert ((pixels == 0.5) | (pixels == 1) | (pixels == 0)).all()


@pytest.mark.parametrize("harsh", [False, True])
def test_what_the_network_sees_is_a_picture(harsh):
    torch.manual_seed(0)
    images = torch.rand(32, 1, 24, 32)
    seen = augment(images, photometric_augmentation(harsh))
    assert seen.shape == images.shape
    assert seen.min() >= 0
    assert seen.max() <= 1
    assert not torch.equal(seen, images)

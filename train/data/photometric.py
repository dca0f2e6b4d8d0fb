"""Random changes of light, noise and sharpness, on the device; none of them moves a corner."""

from __future__ import annotations

import kornia.augmentation as K
import torch
from torch import Tensor, nn

# Blurs are kornia's, which draws a few numbers per image on the CPU. The rest is as short as a call
# of it, and draws on the device, which need not wait then.


def _uniform(images: Tensor, low: float, high: float) -> Tensor:
    """Return ``(B, 1, 1, 1)``, one number per image."""
    return low + (high - low) * torch.rand(len(images), 1, 1, 1, device=images.device)


def _chosen(images: Tensor, share: float) -> Tensor:
    """Return ``(B, 1, 1, 1)`` bool: True for about so large a share of the images."""
    return _uniform(images, 0, 1) < share


class RandomTone(nn.Module):
    """Change gamma, contrast and brightness of images, each about every second time.

    In this order: half of the images to the power of 0.6 to 1.7, six in ten times 0.5 to 1.5, six
    in ten plus -0.25 to 0.25.
    """

    def forward(self, images: Tensor) -> Tensor:
        """Take ``(B, 1, H, W)`` in [0, 1], and return the same."""
        images = images ** torch.where(_chosen(images, 0.5), _uniform(images, 0.6, 1.7), 1)
        images = images * torch.where(_chosen(images, 0.6), _uniform(images, 0.5, 1.5), 1)
        images = images.clamp(0, 1)
        return (images + _chosen(images, 0.6) * _uniform(images, -0.25, 0.25)).clamp(0, 1)


class RandomIllumination(nn.Module):
    """Brighten or darken some images towards one side, and some around one place.

    Parameters
    ----------
    share
        Of the images, for each of the two.
    """

    def __init__(self, share: float) -> None:
        super().__init__()
        self.share = share

    def forward(self, images: Tensor) -> Tensor:
        """Take and return ``(B, 1, H, W)``."""
        y = torch.linspace(0, 1, images.shape[2], device=images.device)[:, None]
        x = torch.linspace(0, 1, images.shape[3], device=images.device)
        slope = torch.where(_chosen(images, 0.5), x, y)
        strength = _uniform(images, 0.01, 0.2) * self._signs(images)
        images = images + strength * slope
        dx = (x - _uniform(images, 0.1, 0.9)) / _uniform(images, 0.2, 1)
        dy = (y - _uniform(images, 0.1, 0.9)) / _uniform(images, 0.2, 1)
        spot = torch.exp(-dx.square() / 2) * torch.exp(-dy.square() / 2)
        strength = _uniform(images, 0.01, 0.15) * self._signs(images)
        return (images + strength * spot).clamp(0, 1)

    def _signs(self, images: Tensor) -> Tensor:
        """Return 1 or -1, or 0 for the images that are left alone."""
        return (2 * _chosen(images, 0.5) - 1) * _chosen(images, self.share)


class RandomNoise(nn.Module):
    """Add Gaussian noise to a share of the images.

    Parameters
    ----------
    deviation
        Standard deviation.
    share
        Of the images.
    """

    def __init__(self, deviation: float, share: float) -> None:
        super().__init__()
        self.deviation = deviation
        self.share = share

    def forward(self, images: Tensor) -> Tensor:
        """Take and return ``(B, 1, H, W)``."""
        return images + self.deviation * _chosen(images, self.share) * torch.randn_like(images)


class RandomSpeckle(nn.Module):
    """Multiply half of the images by noise of mean 1 and a deviation of up to 0.25."""

    def forward(self, images: Tensor) -> Tensor:
        """Take and return ``(B, 1, H, W)``."""
        deviation = _uniform(images, 0, 0.25) * _chosen(images, 0.5)
        return images * (1 + deviation * torch.randn_like(images))


class RandomSaltAndPepper(nn.Module):
    """Make up to 1.5% of the pixels of a share of the images white or black.

    Parameters
    ----------
    share
        Of the images.
    """

    def __init__(self, share: float) -> None:
        super().__init__()
        self.share = share

    def forward(self, images: Tensor) -> Tensor:
        """Take and return ``(B, 1, H, W)``."""
        amount = _uniform(images, 0.001, 0.015) * _chosen(images, self.share)
        chance = torch.rand_like(images)
        images = images.masked_fill(chance < amount / 2, 1)
        return images.masked_fill(chance > 1 - amount / 2, 0)


def photometric_augmentation(harsh: bool = False) -> nn.Module:
    """Return a module that changes each image of a batch on its own.

    Parameters
    ----------
    harsh
        Whether to add the noise of poor sensors as well, which MagicPoint has to see through, and
        to shade and blur more often.

    Returns
    -------
    nn.Module
        ``(B, 1, H, W)`` in [0, 1] to the same, with noise past the ends of the range.
    """
    light = [
        RandomTone(),
        RandomIllumination(0.5 if harsh else 0.2),
        K.RandomGaussianBlur((7, 7), (0.2, 1.8), p=0.3),
        # Another direction than 0, the same back and forth, would move the picture.
        K.RandomMotionBlur((3, 9), 90.0, 0.0, border_type="replicate", p=0.3 if harsh else 0.15),
        RandomNoise(0.03, 0.3),
    ]
    noise = [RandomSpeckle(), RandomNoise(0.08, 0.5), RandomSaltAndPepper(0.5)]
    return nn.Sequential(*light, *(noise if harsh else []))


def augment(images: Tensor, module: nn.Module) -> Tensor:
    """Apply `module` and keep the range [0, 1]."""
    return module(images).clamp(0, 1)

"""Random changes of light, noise and sharpness, on the device, with kornia."""

from __future__ import annotations

import kornia.augmentation as K
import torch
from torch import Tensor, nn


class RandomSpeckle(nn.Module):
    """Multiply half of the images by noise of mean 1 and a deviation of up to 0.25."""

    def forward(self, images: Tensor) -> Tensor:
        """Take and return ``(B, 1, H, W)``."""
        deviation = torch.rand(len(images), 1, 1, 1, device=images.device) - 0.5
        return images * (1 + 0.5 * deviation.clamp_min(0) * torch.randn_like(images))


def photometric_augmentation(harsh: bool = False) -> nn.Module:
    """Return a module that changes each image of a batch on its own.

    Parameters
    ----------
    harsh
        Whether to add the noise of poor sensors as well, which MagicPoint has to see through.

    Returns
    -------
    nn.Module
        ``(B, 1, H, W)`` in [0, 1] to the same, with noise past the ends of the range.
    """
    light = [
        K.RandomGamma((0.6, 1.7), p=0.5),
        K.RandomContrast((0.5, 1.5), p=0.6),
        K.RandomBrightness((0.75, 1.25), p=0.6),
        K.RandomLinearIllumination(p=0.2),
        K.RandomGaussianIllumination(p=0.2),
        K.RandomGaussianBlur((7, 7), (0.2, 1.8), p=0.3),
        K.RandomMotionBlur((3, 9), 90.0, 0.5, p=0.15),
        K.RandomGaussianNoise(std=0.03, p=0.3),
    ]
    noise = [
        RandomSpeckle(),
        K.RandomGaussianNoise(std=0.08, p=0.3),
        K.RandomSaltAndPepperNoise(amount=(0.001, 0.015), p=0.4),
    ]
    return nn.Sequential(*light, *(noise if harsh else []))


def augment(images: Tensor, module: nn.Module) -> Tensor:
    """Apply `module` and keep the range [0, 1]."""
    return module(images).clamp(0, 1)

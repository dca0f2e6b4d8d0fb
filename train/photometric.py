"""Random changes of light, noise and sharpness, on the device, with kornia."""

from __future__ import annotations

import kornia.augmentation as K
from torch import Tensor, nn


def photometric_augmentation() -> nn.Module:
    """Return a module that changes each image of a batch on its own.

    Returns
    -------
    nn.Module
        ``(B, 1, H, W)`` in [0, 1] to the same, with noise past the ends of the range.
    """
    return nn.Sequential(
        K.RandomGamma((0.6, 1.7), p=0.5),
        K.RandomContrast((0.5, 1.5), p=0.6),
        K.RandomBrightness((0.75, 1.25), p=0.6),
        K.RandomGaussianBlur((7, 7), (0.2, 1.8), p=0.3),
        K.RandomMotionBlur((3, 9), 90.0, 0.5, p=0.15),
        K.RandomGaussianNoise(std=0.03, p=0.4),
    )


def augment(images: Tensor, module: nn.Module) -> Tensor:
    """Apply `module` and keep the range [0, 1]."""
    return module(images).clamp(0, 1)

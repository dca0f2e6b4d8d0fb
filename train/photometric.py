"""Random changes of light, noise and sharpness, on the device, with kornia."""

from __future__ import annotations

import kornia.augmentation as K
from torch import Tensor, nn


def photometric_augmentation(strength: float = 1.0) -> nn.Module:
    """Return a module that changes each image of a batch on its own.

    Parameters
    ----------
    strength
        Scales the ranges of all changes; 1 is what we train with.

    Returns
    -------
    nn.Module
        ``(B, 1, H, W)`` in [0, 1] to the same.
    """
    s = strength
    return nn.Sequential(
        K.RandomGamma((1 - 0.4 * s, 1 + 0.7 * s), p=0.5),
        K.RandomContrast((1 - 0.5 * s, 1 + 0.5 * s), p=0.6),
        K.RandomBrightness((1 - 0.25 * s, 1 + 0.25 * s), p=0.6),
        K.RandomGaussianBlur((7, 7), (0.2, 0.2 + 1.6 * s), p=0.3),
        K.RandomMotionBlur((3, 9), 90.0, 0.5, p=0.15),
        K.RandomGaussianNoise(std=0.03 * s, p=0.4),
    )


def augment(images: Tensor, module: nn.Module) -> Tensor:
    """Apply `module` and keep the range [0, 1]."""
    return module(images).clamp(0, 1)

"""The interface of runners."""

from __future__ import annotations

from typing import NamedTuple, Protocol

import torch
from torch import Tensor


class Maps(NamedTuple):
    """A network's outputs for a batch of images.

    Attributes
    ----------
    logits
        ``(B, 65, H/8, W/8)`` float32; None if not asked for.
    features
        ``(B, C, H/8, W/8)`` float32, what descriptors are projected from
        (:meth:`SuperPointNet.descriptor_features`); None if not asked for.
    """

    logits: Tensor | None
    features: Tensor | None


class Runner(Protocol):
    """A network on a device, at some precision."""

    precision: str
    device: torch.device

    def __call__(self, pixels: Tensor, detect: bool, describe: bool) -> Maps:
        """Run the network.

        Parameters
        ----------
        pixels
            ``(B, 1, H, W)`` grey on the runner's device, H and W multiples of 8: uint8, or float32
            from 0 to 255.
        detect, describe
            Which outputs are wanted.
        """
        ...

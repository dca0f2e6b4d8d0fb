"""The network as :class:`~cv2_superpoint.runners.int8.Int8Runner` rounds it, in floating point.

Exported to ONNX, the rounding becomes pairs of QuantizeLinear and DequantizeLinear, which other
runtimes turn into arithmetic of 8-bit integers.
"""

from __future__ import annotations

import copy
from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

from ..model.network import ConvBlock, SuperPointNet
from .int8 import Ranges, activation_step, round_weights


class _QuantizeDequantize(nn.Module):
    """Rounds a convolution's weights to signed integers, with one scale per channel.

    It leaves what :func:`~cv2_superpoint.runners.int8.round_weights` has rounded as it is, and says
    so to those who run the network.
    """

    def __init__(self, scales: Tensor) -> None:
        super().__init__()
        self.scales = scales

    def forward(self, weight: Tensor) -> Tensor:
        zeros = torch.zeros(len(self.scales), dtype=torch.int32)
        return torch.fake_quantize_per_channel_affine(
            weight.detach(), self.scales, zeros, 0, -128, 127
        )


@torch.no_grad()
def simulate_int8(network: SuperPointNet, ranges: Ranges) -> SuperPointNet:
    """Return a copy of a network that rounds weights and activations.

    Parameters
    ----------
    network
        Without batch normalisation, in evaluation mode.
    ranges
        From :func:`~cv2_superpoint.runners.int8.measure_ranges`.

    Raises
    ------
    KeyError
        If a layer has no range.
    """
    rounded = copy.deepcopy(network)
    rounded.fold.register_forward_hook(_round_to(1.0))
    for path, block in rounded.named_modules():
        if not isinstance(block, ConvBlock) or path == "descriptor.1":  # applied to points alone
            continue
        conv = block.get_submodule("conv")
        assert isinstance(conv, nn.Conv2d)
        steps, scales = round_weights(conv.weight)
        conv.weight.data = steps * scales[:, None, None, None]
        parametrize.register_parametrization(conv, "weight", _QuantizeDequantize(scales))
        if hasattr(block, "relu") and path != "descriptor.0":
            block.register_forward_hook(_round_to(ranges[path]))
    return rounded


def _round_to(largest: float) -> Callable[[nn.Module, tuple[Tensor], Tensor], Tensor]:
    """Return a hook that rounds a layer's output to 256 steps up to the largest value."""
    step = activation_step(largest)

    def hook(layer: nn.Module, inputs: tuple[Tensor], output: Tensor) -> Tensor:
        return torch.fake_quantize_per_tensor_affine(output, step, 0, 0, 255)

    return hook

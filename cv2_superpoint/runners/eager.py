"""The network as PyTorch runs it, on any device, in float32, bfloat16 or float16."""

from __future__ import annotations

from contextlib import AbstractContextManager

import torch
from torch import Tensor

from ..model.network import SuperPointNet
from .maps import Maps

DTYPES: dict[str, torch.dtype] = {
    "float32": torch.float32,
    "bfloat16": torch.bfloat16,
    "float16": torch.float16,
}


def can_multiply_bfloat16(device: torch.device) -> bool:
    """Tell whether a device is a CPU that multiplies bfloat16 faster than float32."""
    probe = getattr(torch.cpu, "_is_avx512_bf16_supported", lambda: False)
    return device.type == "cpu" and bool(probe())


class EagerRunner:
    """Runs the network as it is.

    Parameters
    ----------
    network
        On the device, in evaluation mode, channels last.
    device
        To compute on.
    precision
        A key of :data:`DTYPES`: the arithmetic of the convolutions.
    """

    def __init__(self, network: SuperPointNet, device: torch.device, precision: str) -> None:
        self.network = network
        self.device = device
        self.precision = precision

    def __call__(self, pixels: Tensor, detect: bool, describe: bool) -> Maps:
        """Run the network; see :class:`Runner`."""
        with self._autocast():
            features = self.network.encode(pixels.float() / 255)
            logits = self.network.detect(features) if detect else None
            described = self.network.descriptor_features(features) if describe else None
        return Maps(
            None if logits is None else logits.float(),
            None if described is None else described.float(),
        )

    def _autocast(self) -> AbstractContextManager[object]:
        if self.precision == "float32":  # also when the caller's own code is under autocast
            return torch.autocast(self.device.type, enabled=False)
        # Weights are used once per call: keeping them converted gains nothing, and would keep a
        # CUDA graph from converting its own.
        return torch.autocast(self.device.type, DTYPES[self.precision], cache_enabled=False)

"""The network as PyTorch runs it, on any device, in float32, bfloat16 or float16."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode

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


class _OneDnnAlways(TorchFunctionMode):
    """Has oneDNN compute every convolution in float32 on a CPU.

    For few pixels, or on one thread, PyTorch takes other kernels. They round differently, so an
    image would not give the same alone as in a batch.
    """

    def __torch_function__(
        self, function: Any, types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        if function is not torch.conv2d:
            return function(*args, **(kwargs or {}))
        image, weight, bias, stride, padding, dilation, groups = args
        return torch.mkldnn_convolution(image, weight, bias, padding, stride, dilation, groups)


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
        with self._autocast(), self._kernels():
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

    def _kernels(self) -> AbstractContextManager[object]:
        one_dnn = torch.backends.mkldnn.is_available()  # in almost every build
        if one_dnn and self.device.type == "cpu" and self.precision == "float32":
            return _OneDnnAlways()
        return nullcontext()

"""Descriptors as numpy's arrays or PyTorch's tensors, whichever they are."""

from __future__ import annotations

import sys
from types import ModuleType
from typing import Any

import numpy as np
import numpy.typing as npt

Array = Any
"""``numpy.ndarray`` or ``torch.Tensor``."""


def is_tensor(value: object) -> bool:
    """Tell whether `value` is a ``torch.Tensor``, without importing PyTorch."""
    # Another thread may be importing it: then it has no Tensor yet.
    tensor = getattr(sys.modules.get("torch"), "Tensor", None)
    return tensor is not None and isinstance(value, tensor)


def namespace(array: Array) -> ModuleType:
    """Return the module with the functions for an array: numpy or torch."""
    return sys.modules["torch"] if is_tensor(array) else np


def to_host(value: Array) -> npt.NDArray[Any]:
    """Return an ``ndarray`` of an array or tensor; tensors of half precision become float32."""
    if is_tensor(value):
        half = value.dtype.is_floating_point and value.dtype.itemsize < 4
        value = (value.detach().float() if half else value.detach()).cpu().numpy()
    return np.asarray(value)

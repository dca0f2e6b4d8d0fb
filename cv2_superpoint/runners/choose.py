"""The choice of device and runner."""

from __future__ import annotations

import warnings

import torch

from ..model.network import SuperPointNet
from .cuda_graph import CudaGraphRunner
from .eager import EagerRunner, can_multiply_bfloat16
from .int8 import Int8Runner, Ranges, can_multiply_int8
from .maps import Runner

PRECISIONS = ("auto", "int8", "bfloat16", "float16", "float32")


def pick_device(name: str | torch.device | None) -> torch.device:
    """Return the named device; by default CUDA, else the CPU.

    A CUDA device without an index becomes the calling thread's current one, for good.

    Raises
    ------
    ValueError
        If there is no such device here.
    """
    try:
        device = torch.device(name or ("cuda" if torch.cuda.is_available() else "cpu"))
        torch.zeros(1, device=device).cpu()  # "meta" is a device that can't
    except (RuntimeError, AssertionError, NotImplementedError, ImportError) as error:
        reason = str(error).splitlines()[0]
        raise ValueError(f"cannot use device {str(name)!r}: {reason}") from error
    if device.type == "cuda" and device.index is None:
        device = torch.device("cuda", torch.cuda.current_device())
    return device


def auto_precision(device: torch.device, has_ranges: bool) -> tuple[str, str]:
    """Return what ``precision="auto"`` is, the fastest arithmetic that costs no accuracy, and why.

    Parameters
    ----------
    device
        To compute on.
    has_ranges
        Whether the weights come with the ranges of activations, which int8 needs.

    Returns
    -------
    precision, reason : str
    """
    if device.type == "cuda":
        return "float16", "GPUs multiply float16 faster than float32"
    if device.type != "cpu":
        return "float32", f"nothing else is tested on {device.type}"
    fast_int8 = can_multiply_int8()
    if fast_int8 and has_ranges:
        return "int8", "this CPU multiplies 8-bit integers faster than floats"
    reason = "these weights lack the ranges of activations, which int8 needs"
    if not fast_int8:
        reason = "int8 needs an x86 CPU with AVX2"
    if can_multiply_bfloat16(device):
        return "bfloat16", f"{reason}; bfloat16 is fast"
    return "float32", reason


def make_runner(
    network: SuperPointNet, ranges: Ranges | None, device: torch.device, precision: str
) -> Runner:
    """Return a runner of a network on a device, at some precision.

    Parameters
    ----------
    network
        Moved to the device, in evaluation mode.
    ranges
        Ranges of its activations; int8 needs them.
    device
        To compute on.
    precision
        One of :data:`PRECISIONS`; for ``"auto"`` see :func:`auto_precision`.

    Raises
    ------
    ValueError
        If int8 is asked for where it is impossible.
    """
    network = network.to(device).eval().requires_grad_(False)
    if precision == "auto":
        precision, _ = auto_precision(device, ranges is not None)
    if precision == "int8":
        if device.type != "cpu":
            raise ValueError(f"precision int8 is for the CPU, not {str(device)!r}")
        if ranges is None or network.architecture.norm != "none":
            raise ValueError("these weights do not say what int8 needs: the ranges of activations")
        try:
            return Int8Runner(network, ranges)
        except (RuntimeError, AttributeError, NotImplementedError) as error:
            reason = str(error).splitlines()[0]
            warnings.warn(
                f"this PyTorch cannot compute in int8, so float32 it is: {reason}",
                RuntimeWarning,
                stacklevel=2,
            )
            precision = "float32"
    network = network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    runner = EagerRunner(network, device, precision)
    return CudaGraphRunner(runner) if device.type == "cuda" else runner

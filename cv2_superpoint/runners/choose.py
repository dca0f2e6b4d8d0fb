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
        One of :data:`PRECISIONS`; ``"auto"`` is the fastest of those that cost no accuracy: float16
        on CUDA; on a CPU int8 where it is fast and there are ranges, else bfloat16 where that is
        fast, else float32.

    Raises
    ------
    ValueError
        If int8 is asked for where it is impossible.
    """
    network = network.to(device).eval().requires_grad_(False)
    if precision == "auto":
        int8 = device.type == "cpu" and ranges is not None and can_multiply_int8()
        if device.type == "cuda":
            precision = "float16"
        elif int8:
            precision = "int8"
        else:
            precision = "bfloat16" if can_multiply_bfloat16(device) else "float32"
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

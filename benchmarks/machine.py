"""The machine that times depend on, in words."""

import os
import platform
from pathlib import Path

import cv2
import torch

import cv2_superpoint


def describe_machine() -> dict[str, str]:
    """Name what the times depend on."""
    machine = {
        "CPU": f"{_processor()}, {count_cores()} cores",
        "versions": f"Python {platform.python_version()}, OpenCV {cv2.__version__}, "
        f"PyTorch {torch.__version__}, cv2_superpoint {cv2_superpoint.__version__}",
    }
    if hasattr(os, "getloadavg"):  # not on Windows
        machine["load"] = f"{os.getloadavg()[0]:.1f} processes wanted a core in the last minute"
    if torch.cuda.is_available():
        tf32 = "TF32" if torch.backends.cudnn.allow_tf32 else "float32"
        machine["GPU"] = f"{torch.cuda.get_device_name()}, float32 convolutions in {tf32}"
    return machine


def _processor() -> str:
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    names = [line.partition(": ")[2] for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()


def count_cores() -> int:
    """Count the logical processors that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1

"""What numbers depend on besides code and data: the machine and the versions of libraries."""

import os
import platform
import sys
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import cv2


def describe_machine() -> dict[str, str]:
    """Name the processor, how busy it is at this moment, and the GPU if PyTorch is in use."""
    machine = {"CPU": f"{processor()}, {count_cores()} cores, {platform.system()}"}
    if hasattr(os, "getloadavg"):  # not on Windows
        machine["load"] = f"{os.getloadavg()[0]:.1f} processes wanted a core in the minute before"
    if "torch" in sys.modules and has_cuda():
        torch = sys.modules["torch"]
        tf32 = "TF32" if torch.backends.cudnn.allow_tf32 else "float32"
        machine["GPU"] = f"{torch.cuda.get_device_name()}, float32 convolutions in {tf32}"
    return machine


def library_versions() -> dict[str, str]:
    """Versions of Python and of the libraries that results depend on."""
    ours = sys.modules.get("cv2_superpoint")  # it need not be installed to be imported
    return {
        "Python": platform.python_version(),
        "OpenCV": cv2.__version__,
        **{name: version_of(name) or "not installed" for name in ("numpy", "torch")},
        "cv2_superpoint": getattr(ours, "__version__", "not used"),
    }


def version_of(package: str) -> str | None:
    """Return the version of an installed distribution; None if it is not installed."""
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def count_cores() -> int:
    """Count the logical processors that this process may use."""
    if hasattr(os, "sched_getaffinity"):  # not on macOS and Windows
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def has_cuda() -> bool:
    """Tell whether PyTorch sees a CUDA device."""
    import torch  # here, because it takes seconds, and classical methods run without it

    return torch.cuda.is_available()


def processor() -> str:
    """Name the CPU."""
    info = Path("/proc/cpuinfo")
    lines = info.read_text(encoding="utf-8").splitlines() if info.exists() else []
    names = [line.partition(": ")[2] for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()

"""What an installation is made of, how fast it is, and what to change."""

from __future__ import annotations

import os
import platform
import re
import shutil
import sys
import time
import warnings
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
import torch

from .. import __version__
from ..model import weights
from ..opencv.feature2d import SuperPoint
from ..runners.choose import auto_precision, pick_device
from ..runners.threads import choose_threads, idle_cores
from .wheels import advise_wheels, opencv_wheels

OLDEST_OPENCV = (4, 8)

POINTS, ROUNDS = 1000, 7

THREAD_SETTINGS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OMP_THREAD_LIMIT")


@dataclass(frozen=True)
class Facts:
    """What is known about an installation.

    Attributes
    ----------
    cpu
        Its name, and the instructions that PyTorch uses.
    opencv
        Its version.
    wheels
        Those that provide it, with their versions.
    cores, idle
        That this process may use, and of these, that no other process is using now.
    quota
        Cores' worth of time that a container grants; infinite if it does not say.
    limit, threads
        Most threads that PyTorch would use, and how many our features use now.
    settings
        Environment variables that limit threads.
    gpu_build
        Whether PyTorch can use GPUs.
    gpu
        Name of the one that it uses, if any.
    driver
        Whether NVIDIA's driver is installed.
    auto, reason
        What ``precision="auto"`` takes, and why.
    precision
        What the default feature computes in.
    models
        A line for each whose weights ship.
    times
        Median milliseconds of a 640x480 frame, by feature.
    errors
        What failed.
    """

    cpu: str
    opencv: str
    wheels: list[str]
    cores: int
    idle: int
    quota: float
    limit: int
    threads: int
    settings: dict[str, str]
    gpu_build: bool
    gpu: str | None
    driver: bool
    auto: str
    reason: str
    precision: str
    models: list[str] = field(default_factory=list)
    times: dict[str, float] = field(default_factory=dict)
    errors: list[str] = field(default_factory=list)


def examine() -> Facts:
    """Find out what there is, and time it; takes a few seconds."""
    idle, threads = idle_cores(), choose_threads(None)  # before this process uses them
    errors: list[str] = []
    models, ranges = _examine_models(errors)
    precision, device, times = "none", torch.device("cpu"), {}
    try:
        device = pick_device(None)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # that int8 fails shows in what precision it became
            feature = SuperPoint(POINTS)
        precision = feature.getPrecision()
        times = time_frame(feature)
    except (cv2.error, ValueError, RuntimeError, MemoryError) as error:
        errors.append(f"SuperPoint fails: {str(error).strip()}")
    auto, reason = auto_precision(device, ranges)
    return Facts(
        cpu=f"{_processor()}; {_cpu_features()}",
        opencv=cv2.__version__,
        wheels=opencv_wheels(),
        cores=_count_cores(),
        idle=idle,
        quota=_cpu_quota(),
        limit=torch.get_num_threads(),
        threads=threads,
        settings={name: os.environ[name] for name in THREAD_SETTINGS if name in os.environ},
        gpu_build=torch.backends.cuda.is_built(),
        gpu=torch.cuda.get_device_name(device) if device.type == "cuda" else None,
        driver=shutil.which("nvidia-smi") is not None,
        auto=auto,
        reason=reason,
        precision=precision,
        models=models,
        times=times,
        errors=errors,
    )


def broken(facts: Facts) -> list[str]:
    """Return what must be mended, each with how."""
    found = [*facts.errors]
    if advice := advise_wheels(facts.wheels):
        found.append(advice)
    if tuple(map(int, re.findall(r"\d+", facts.opencv)[:2])) < OLDEST_OPENCV:
        oldest = ".".join(map(str, OLDEST_OPENCV))
        found.append(f"OpenCV {facts.opencv} is too old: install {oldest} or newer")
    return found


def advice(facts: Facts) -> list[str]:
    """Return what would make it faster."""
    return list(_advice(facts))


def _advice(facts: Facts) -> Iterator[str]:
    if facts.gpu is None and facts.gpu_build:
        yield (
            "PyTorch is a CUDA build but sees no GPU: if there is one, check its driver "
            "(nvidia-smi) and CUDA_VISIBLE_DEVICES; if not, the CPU build is gigabytes smaller"
        )
    if facts.driver and not facts.gpu_build:
        yield "there is an NVIDIA driver, but PyTorch is a CPU build: install one with CUDA"
    if facts.gpu is not None:
        return  # the rest is about CPUs
    if facts.precision != "none" and facts.precision != facts.auto:
        yield (
            f"this PyTorch has no kernels for {facts.auto}, so {facts.precision} is used: "
            "another version of PyTorch may be faster"
        )
    elif facts.precision == "float32":
        yield f"{facts.reason}: float32 is used; nlevels=1 halves the time"
    if facts.quota < facts.limit:
        count = max(1, int(facts.quota))
        yield (
            f"the container may use {facts.quota:g} cores, but PyTorch would start {facts.limit} "
            f"threads, which then wait for each other: pass threads={count}"
        )
    elif facts.limit > facts.cores:
        yield (
            f"PyTorch would start {facts.limit} threads on {facts.cores} cores: "
            f"set OMP_NUM_THREADS={facts.cores}"
        )
    if facts.limit < facts.cores and facts.settings:
        named = ", ".join(f"{name}={value}" for name, value in facts.settings.items())
        yield f"{named} is set, so at most {facts.limit} of {facts.cores} cores compute: unset it"
    elif facts.threads < facts.limit and not sys.platform.startswith("linux"):
        yield f"{sys.platform} does not tell which cores are idle: pass threads={facts.limit}"
    elif facts.threads < min(facts.limit, facts.cores):
        yield (
            f"other processes use {facts.cores - max(0, facts.idle)} of {facts.cores} cores: "
            "times are those of a busy machine"
        )


def report(facts: Facts) -> str:
    """Return all of it as text, the faults last."""
    settings = ", ".join(f"{name}={value}" for name, value in facts.settings.items())
    gpu = facts.gpu or f"none; PyTorch is a {'CUDA' if facts.gpu_build else 'CPU'} build"
    lines = [
        f"cv2-superpoint {__version__}, Python {platform.python_version()}, {platform.platform()}",
        f"PyTorch {torch.__version__}, numpy {np.__version__}",
        f"OpenCV {facts.opencv} from {', '.join(facts.wheels) or 'no wheel'}",
        "",
        f"CPU        {facts.cpu}; {facts.cores} cores",
        f"GPU        {gpu}",
        f"precision  {facts.precision}; auto is {facts.auto}: {facts.reason}",
        f"threads    {facts.threads} now; {max(0, facts.idle)} of {facts.cores} cores are idle, "
        f"PyTorch's limit is {facts.limit}; {settings or 'OMP_NUM_THREADS is not set'}",
    ]
    for i, model in enumerate(facts.models):
        lines.append(f"{'' if i else 'models':10} {model}")
    lines.append(f"{'':10} in {weights.FOLDER}, with their accuracy")
    if facts.times:
        lines += ["", f"A frame of 640x480, {POINTS} points, median of {ROUNDS} rounds:"]
        lines.append(f"{'':24}{'ms':>8}{'x ORB':>8}{'x SIFT':>8}")
        for name, ms in facts.times.items():
            ratios = "".join(f"{ms / facts.times[other]:8.2f}" for other in ("ORB", "SIFT"))
            lines.append(f"{name:24}{ms:8.1f}{ratios}")
    lines.append("")
    lines += [f"BROKEN: {text}" for text in broken(facts)]
    lines += [f"Advice: {text}" for text in advice(facts)]
    if not lines[-1]:
        lines.append("Nothing to change.")
    return "\n".join(lines)


def draw_frame(height: int = 480, width: int = 640) -> npt.NDArray[np.uint8]:
    """Return a grey picture with structure of all sizes, always the same.

    Quadrilaterals from large to small over noise of several scales: features find as many points as
    in photographs.
    """
    random = np.random.default_rng(0)
    noise = np.zeros((height, width), np.float32)
    for scale in (4, 8, 16, 32, 64):
        small = random.normal(0, scale**0.5, (height // scale + 1, width // scale + 1))
        noise += cv2.resize(
            small.astype(np.float32), (width, height), interpolation=cv2.INTER_CUBIC
        )
    picture = cv2.normalize(noise, None, 60, 190, cv2.NORM_MINMAX).astype(np.uint8)  # type: ignore[call-overload]
    for radius in np.geomspace(120, 6, 250):
        centre = random.uniform((0, 0), (width, height))
        angles = np.sort(random.uniform(0, 2 * np.pi, 4))
        corners = centre + radius * np.stack([np.cos(angles), np.sin(angles)], axis=1)
        grey = int(random.integers(256))
        cv2.fillPoly(picture, [corners.round().astype(np.int32)], [grey], cv2.LINE_AA)
    return np.asarray(cv2.GaussianBlur(picture, (0, 0), 0.8), np.uint8)


def time_frame(feature: SuperPoint) -> dict[str, float]:
    """Return the milliseconds that a frame takes: the feature, with one level, ORB and SIFT."""
    single = SuperPoint(POINTS, nlevels=1)
    features: dict[str, Any] = {
        "SuperPoint": feature,
        "SuperPoint, nlevels=1": single,
        "ORB": cv2.ORB_create(POINTS),
        "SIFT": cv2.SIFT_create(POINTS),
    }
    frame = draw_frame()
    times: dict[str, list[float]] = {name: [] for name in features}
    for _ in range(2 + ROUNDS):
        for name, one in features.items():
            start = time.perf_counter()
            one.detectAndCompute(frame, None)
            times[name].append(1e3 * (time.perf_counter() - start))
    return {name: float(np.median(spans[2:])) for name, spans in times.items()}


def _examine_models(errors: list[str]) -> tuple[list[str], bool]:
    """Return a line for each model whose weights ship, and whether the default can be int8."""
    lines, ranges = [], False
    for name in weights.shipped_models():
        size = (weights.FOLDER / f"{name}.safetensors").stat().st_size / 1e6
        default = " (default)" if name == weights.DEFAULT_MODEL else ""
        try:
            checkpoint = weights.load_shipped(name)
        except (OSError, ValueError) as error:
            errors.append(f"{error}: install cv2-superpoint again")
            continue
        count = sum(p.numel() for p in checkpoint.network.parameters()) / 1e6
        lines.append(f"{name}{default}: {count:.2f} M parameters, {size:.1f} MB")
        ranges |= bool(default) and "ranges" in checkpoint.metadata
    return lines, ranges


def _cpu_features() -> str:
    """Name the instructions that PyTorch finds."""
    probes = {n: re.fullmatch(r"_is_(\w+)_supported", n) for n in dir(torch.cpu)}
    found = [match[1] for name, match in probes.items() if match and getattr(torch.cpu, name)()]
    if platform.machine().lower() in ("arm64", "aarch64"):
        found.append("neon")
    return f"PyTorch's kernels {torch.backends.cpu.get_cpu_capability()}; {' '.join(found)}"


def _processor() -> str:
    info = Path("/proc/cpuinfo")
    text = info.read_text(encoding="utf-8") if info.exists() else ""
    named = re.search(r"^model name\s*: (.*)", text, re.M)
    return named[1] if named else platform.processor() or platform.machine()


def _count_cores() -> int:
    if hasattr(os, "sched_getaffinity"):  # not on macOS and Windows
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _cpu_quota() -> float:
    """Return how many cores' worth of time Linux grants this container."""
    try:
        quota, period = Path("/sys/fs/cgroup/cpu.max").read_text().split()
        return int(quota) / int(period)
    except (OSError, ValueError):  # there is none, or it is "max"
        return float("inf")

"""What is timed: a method at a size, with so many points, threads and images per call.

PyTorch is imported only for the methods that need it, so that the memory of the others is theirs.
"""

import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from ..common import detectors
from ..common.datasets import Image
from ..common.detectors import is_ours, settings_of

METHODS = (
    *("ORB", "AKAZE", "SIFT"),
    *("SuperPoint[nlevels=1]", "SuperPoint", "SuperPoint-full[nlevels=1]", "PlainSuperPoint"),
)

REFERENCES = ("ORB", "SIFT")
"""In multiples of whose times others are given."""

PRECISIONS = ("auto", "int8", "bfloat16", "float16", "float32")
"""Those of the package, named here because it imports PyTorch."""


@dataclass(frozen=True)
class Case:
    """One thing to time.

    Attributes
    ----------
    method : str
        A name that `detectors.find_factory` knows.
    size : tuple of int
        (height, width) of the images.
    points : int
        To keep at most.
    threads : int
        Of OpenCV and of PyTorch on the CPU.
    device : str
        Where it computes.
    precision : str
        Of our methods; ``""``: what they have by default, or by their name.
    batch : int
        Images per call.
    """

    method: str
    size: tuple[int, int]
    points: int
    threads: int
    device: str = "cpu"
    precision: str = ""
    batch: int = 1

    def __str__(self) -> str:
        height, width = self.size
        precision = f" {self.precision}" if self.precision else ""
        return (
            f"{self.method} {width}x{height} {self.points} points, batch {self.batch}, "
            f"{self.threads} threads, {self.device}{precision}"
        )


def make(case: Case) -> Any:
    """Make the detector of a case.

    Raises
    ------
    MethodError
    """
    if not is_ours(case.method):
        return detectors.make(case.method, case.points)
    settings: dict[str, Any] = {"device": case.device}
    if case.precision:
        settings["precision"] = case.precision
    model = unshipped(case.method)
    if model is None:
        return detectors.make(case.method, case.points, **settings)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "random.safetensors"
        path.write_bytes(random_weights(model))
        return detectors.make(case.method, case.points, **settings, weights=str(path))


def unshipped(method: str) -> str | None:
    """Return the architecture of a method of ours whose weights are not in the package, if so."""
    settings = settings_of(method) or {}
    if "model" not in settings or "weights" in settings:
        return None
    from cv2_superpoint.model.weights import shipped_models

    return None if settings["model"] in shipped_models() else settings["model"]


def random_weights(model: str) -> bytes:
    """Return a file of weights as PyTorch draws them, always the same, of an architecture.

    They take the network as long as trained ones. Their heat map is noise, without peaks, so the
    time of detection is not that of a trained network.
    """
    import torch

    from cv2_superpoint.model.network import ARCHITECTURES, SuperPointNet
    from cv2_superpoint.model.weights import Checkpoint, serialise

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return serialise(Checkpoint(SuperPointNet(ARCHITECTURES[model]).eval()))


def make_matcher(method: str, norm: int) -> Any:
    """Make the brute-force matcher that goes with a method, of mutual nearest neighbours."""
    ours = import_module("cv2_superpoint") if is_ours(method) else None
    matcher = getattr(ours, "BFMatcher", cv2.BFMatcher)
    return matcher(norm, crossCheck=True)


def setting_of(row: Mapping[str, Any]) -> str:
    """Say under which conditions a row of the report of ``speed`` was measured."""
    plural = "s" * (row["threads"] > 1)
    return f"{row['size']}, {row['points']} points, {row['threads']} thread{plural}"


def set_threads(threads: int) -> None:
    """Set the threads of OpenCV, and of PyTorch where it has been imported."""
    cv2.setNumThreads(threads)
    if "torch" in sys.modules:
        sys.modules["torch"].set_num_threads(threads)


def choose(images: Sequence[Image], batch: int, turn: int) -> list[Image]:
    """Return the images of a call; each turn goes on where the one before ended."""
    return [images[(turn * batch + i) % len(images)] for i in range(batch)]


def next_frame(image: Image) -> Image:
    """Show an image a moment later: the camera has turned by 2 degrees and come a little closer."""
    height, width = image.shape
    move = cv2.getRotationMatrix2D((width / 2, height / 2), 2, 1.03)
    moved = cv2.warpAffine(image, move, (width, height), borderMode=cv2.BORDER_REFLECT_101)
    noise = np.random.default_rng(0).normal(0, 2, image.shape)
    return np.clip(moved + noise, 0, 255).astype(np.uint8)


def detect(detector: Any, images: Sequence[Image]) -> int:
    """Detect and describe, and return the mean number of keypoints, rounded down.

    One image goes through detectAndCompute; several go through extract, which makes a batch of
    them and returns arrays instead of cv2.KeyPoint.
    """
    if len(images) == 1:
        return len(detector.detectAndCompute(images[0], None)[0])
    return sum(map(len, detector.extract(list(images)))) // len(images)

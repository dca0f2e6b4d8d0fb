"""What is timed: a method at a size, with so many points, threads and images per call.

PyTorch is imported only for the methods that need it, so that the memory of the others is theirs.
"""

import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2

from ..common import detectors
from ..common.datasets import Image

NETWORKS = {"SuperPoint-full": "superpoint", "SuperPoint-lite": "superpoint-lite"}
"""Methods that are timed on every device and precision, and their architectures."""

PRECISIONS = ("float32", "float16", "bfloat16")
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
        Of `NETWORKS`; ``""`` for other methods.
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
    if case.method not in NETWORKS:
        return detectors.make(case.method, case.points)
    from cv2_superpoint import SuperPoint_create

    model = NETWORKS[case.method]
    settings = {"device": case.device, "precision": case.precision}
    with tempfile.TemporaryDirectory() as folder:
        if ships(model):
            settings["model"] = model
        else:
            path = Path(folder) / "random.safetensors"
            path.write_bytes(random_weights(model))
            settings["weights"] = str(path)
        try:
            return SuperPoint_create(case.points, **settings)
        except cv2.error as error:
            raise detectors.MethodError(f"cannot make {case}: {error}") from error


def ships(model: str) -> bool:
    """Tell whether the package has weights of an architecture."""
    from cv2_superpoint.model import weights as checkpoint

    return model in checkpoint.shipped_models()


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


def set_threads(threads: int) -> None:
    """Set the threads of OpenCV, and of PyTorch where it has been imported."""
    cv2.setNumThreads(threads)
    if "torch" in sys.modules:
        sys.modules["torch"].set_num_threads(threads)


def choose(images: Sequence[Image], batch: int, turn: int) -> list[Image]:
    """Return the images of a call; each turn goes on where the one before ended."""
    return [images[(turn * batch + i) % len(images)] for i in range(batch)]


def detect(detector: Any, images: Sequence[Image]) -> int:
    """Detect and describe, and return the mean number of keypoints, rounded down.

    One image goes through detectAndCompute; several go through extract, which makes a batch of
    them and returns arrays instead of cv2.KeyPoint.
    """
    if len(images) == 1:
        return len(detector.detectAndCompute(images[0], None)[0])
    return sum(map(len, detector.extract(list(images)))) // len(images)

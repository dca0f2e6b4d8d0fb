"""Keypoints and descriptors of images: computed by a detector, or read from the cache on disk."""

import hashlib
import io
import zipfile
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from time import perf_counter
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from . import outputs
from .datasets import Image
from .detectors import DetectionOnly, Detector


@dataclass(frozen=True, eq=False)
class Features:
    """What a method found in one image, in the method's own order.

    Attributes
    ----------
    points : (N, 2) float64 array
        Pixels (x, y) of the image.
    descriptors : (N, D) array
        D is 0 if the method describes nothing.
    milliseconds : float
        The call of the method, or its share of a batch.
    norm : int or None
        To compare descriptors in, such as cv2.NORM_L2; None if the method describes nothing.
    workers : int
        Processes that computed side by side while the time was taken.
    """

    points: NDArray[np.float64]
    descriptors: NDArray[Any]
    milliseconds: float
    norm: int | None = cv2.NORM_L2
    workers: int = 1


def extract(detector: Detector, image: Image, count: int, workers: int = 1) -> Features:
    """Detect and describe, and keep the `count` keypoints of the largest response.

    A detector may return more than it was asked for (SIFT does where responses tie), and methods
    are comparable only at the same number of points.
    """
    start = perf_counter()
    keypoints, descriptors = detector.detectAndCompute(image, None)
    milliseconds = 1000 * (perf_counter() - start)
    points = np.array([k.pt for k in keypoints], np.float64).reshape(-1, 2)
    if descriptors is None:
        descriptors = np.empty((len(points), 0), np.uint8)
    # RANSAC draws by position, so the detector's own order is left as it is.
    kept = np.sort(_strongest([k.response for k in keypoints], count))
    norm = None if isinstance(detector, DetectionOnly) else detector.defaultNorm()
    return Features(points[kept], np.asarray(descriptors)[kept], milliseconds, norm, workers)


def extract_batch(detector: Any, images: Sequence[Image], count: int) -> list[Features]:
    """Do as `extract` for several images at once, by the `extract` of `cv2_superpoint`."""
    start = perf_counter()
    found = detector.extract(list(images))
    milliseconds = 1000 * (perf_counter() - start) / len(images)
    results = []
    for features in found:
        kept = np.sort(_strongest(features.score, count))
        points = features.xy[kept].astype(np.float64)
        norm = detector.defaultNorm()
        results.append(Features(points, features.descriptors[kept], milliseconds, norm))
    return results


def _strongest(responses: Any, count: int) -> NDArray[np.intp]:
    return np.argsort(-np.asarray(responses, np.float64), kind="stable")[:count]


def cached(
    folder: Path,
    fingerprint: str,
    images: Sequence[Image],
    count: int,
    compute: Callable[[list[Image]], list[Features]],
) -> list[Features]:
    """Read the features of images from the cache, and compute and store those that it lacks.

    Parameters
    ----------
    folder : Path
        Of the cache; made if it is missing. It holds one npz file per image and method.
    fingerprint : str
        Of everything in the method that the result depends on (`detectors.fingerprint`).
    images : sequence of (H, W) uint8 arrays
    count : int
        Number of points the method was asked for.
    compute : callable
        Takes the images that are missing, in order, and returns their features.
    """
    paths = [folder / f"{_key(image, fingerprint, count)}.npz" for image in images]
    found = [load(path) for path in paths]
    missing = [i for i, features in enumerate(found) if features is None]
    if missing:
        for i, features in zip(missing, compute([images[i] for i in missing]), strict=True):
            save(paths[i], features)
            found[i] = features
    return [features for features in found if features is not None]


def save(path: Path, features: Features) -> None:
    """Write features to an npz file, whose folder is made if it is missing."""
    path.parent.mkdir(parents=True, exist_ok=True)
    fields = {name: value for name, value in asdict(features).items() if value is not None}
    content = io.BytesIO()
    np.savez(content, **fields)
    outputs.write(path, content.getbuffer())


def load(path: Path) -> Features | None:
    """Read features; None if the file is missing or damaged, so that it is computed anew."""
    try:
        with np.load(path) as data:
            norm = int(data["norm"]) if "norm" in data else None
            features = Features(
                data["points"],
                data["descriptors"],
                float(data["milliseconds"]),
                norm,
                int(data["workers"]),
            )
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile):
        return None
    return features if len(features.points) == len(features.descriptors) else None


def _key(image: Image, fingerprint: str, count: int) -> str:
    digest = hashlib.sha256(f"{fingerprint} {count} {image.shape} ".encode())
    digest.update(image.tobytes())
    return digest.hexdigest()

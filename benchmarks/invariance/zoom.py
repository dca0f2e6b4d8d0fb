"""Overviews of photographs matched with close-ups of them: records, and shares of success."""

import zlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import cv2
import numpy as np
from tqdm import tqdm

from ..common import detectors
from ..common.datasets import Image
from ..common.detectors import Detector
from ..common.features import extract
from ..common.photographs import PhotographError, change_light
from ..common.processes import worker_pool
from .steps import Protocol, compare
from .views import View, zoom_in

ZOOMS = (1.0, 1.4, 2.0, 2.8, 4.0)
ROTATIONS = (0.0, 15.0, 45.0, 90.0, 135.0, 180.0)
"""Degrees, counter-clockwise."""

SIZE = (480, 640)
"""(height, width) of the views; of photographs in portrait format (width, height)."""

LIGHT = 0.5
QUALITY = (70, 95)
"""How much the close-up's light differs (`change_light`), and its range of JPEG qualities."""

ENLARGEMENT = 1.5
"""By so much at most may the closest view enlarge the pixels of a photograph."""


@dataclass(frozen=True)
class ZoomRecord:
    """A method's result on one photograph, zoom and rotation.

    Attributes
    ----------
    corner_errors : list of float
        Pixels of the overview, one per order of the matches.
    """

    method: str
    photograph: str
    zoom: float
    rotation: float
    matches: int
    correct: int
    corner_errors: list[float]


@dataclass(frozen=True)
class ZoomSummary:
    """The share of a method's homographies that are correct, at a zoom and rotation."""

    method: str
    zoom: float
    rotation: float
    share: float


def run_zooms(
    methods: Sequence[str],
    photographs: Mapping[str, Image],
    protocol: Protocol,
    workers: int = 1,
) -> list[ZoomRecord]:
    """Match every photograph, seen as a whole, with its close-ups.

    Parameters
    ----------
    methods : sequence of str
        Names that `detectors.find_factory` knows, of methods with descriptors.
    photographs : mapping of str to (H, W) uint8 array
    protocol : Protocol
    workers : int
        Processes side by side, with one thread each; 1: this process.

    Raises
    ------
    PhotographError
        If a photograph is too small for the closest view.
    """
    for name, photograph in photographs.items():
        _check(name, photograph)
    jobs = [(methods, name, photograph, protocol) for name, photograph in photographs.items()]
    with tqdm(total=len(jobs), unit="photograph") as bar:

        def note(records: list[ZoomRecord]) -> list[ZoomRecord]:
            bar.update()
            return records

        if workers == 1:
            return [record for job in jobs for record in note(_match(*job))]
        with worker_pool(min(workers, len(jobs))) as pool:
            futures = [pool.submit(_match, *job) for job in jobs]
            return [record for future in futures for record in note(future.result())]


def _check(name: str, photograph: Image) -> None:
    short, least = min(photograph.shape), max(ZOOMS) * SIZE[0] / ENLARGEMENT
    if short < least:
        raise PhotographError(
            f"{name} is too small to zoom in on: its short side has {short} pixels, and at least "
            f"{least:.0f} are needed"
        )


@cache  # networks are slow to load
def _make(method: str, points: int) -> Detector:
    return detectors.make(method, points)


def _match(
    methods: Sequence[str], name: str, photograph: Image, protocol: Protocol
) -> list[ZoomRecord]:
    size = size_of_views(photograph)
    made = {method: _make(method, protocol.points) for method in methods}
    overview = zoom_in(photograph, 1, 0, size).image
    wholes = {m: extract(detector, overview, protocol.points) for m, detector in made.items()}
    records = []
    for zoom in ZOOMS:
        for rotation in ROTATIONS:
            close = close_up(name, photograph, zoom, rotation)
            for method, detector in made.items():
                found = extract(detector, close.image, protocol.points)
                result = compare(found, wholes[method], close.homography, size, protocol)
                records.append(ZoomRecord(method, name, zoom, rotation, *result))
    return records


def size_of_views(photograph: Image) -> tuple[int, int]:
    """Return (height, width) of the views of a photograph."""
    height, width = photograph.shape
    return SIZE if width >= height else SIZE[::-1]


def close_up(name: str, photograph: Image, zoom: float, rotation: float) -> View:
    """Show a photograph zoomed and turned, photographed again.

    Parameters
    ----------
    name : str
        Of the photograph; light and noise depend on it.
    photograph : (H, W) uint8 array
    zoom : float
        Magnification relative to the overview.
    rotation : float
        Degrees, counter-clockwise.

    Returns
    -------
    View
        Its homography is from pixels of the close-up to those of the overview, the other way than
        in the other views.
    """
    view = zoom_in(photograph, zoom, rotation, size_of_views(photograph))
    image = _photograph_again(view.image, f"{name} {zoom} {rotation}")
    return View(image, np.linalg.inv(view.homography).astype(np.float64))


def _photograph_again(image: Image, seed: str) -> Image:
    """Change light, add noise and compress as JPEG; the same way for the same seed."""
    random = np.random.default_rng(zlib.crc32(seed.encode()))
    lit = change_light(image, LIGHT, random)
    quality = int(random.integers(*QUALITY, endpoint=True))
    _, code = cv2.imencode(".jpg", lit, [cv2.IMWRITE_JPEG_QUALITY, quality])
    return np.asarray(cv2.imdecode(code, cv2.IMREAD_GRAYSCALE), np.uint8)


def summarise_zooms(records: Sequence[ZoomRecord], protocol: Protocol) -> list[ZoomSummary]:
    """Summarise the photographs, per method, zoom and rotation."""
    errors: dict[tuple[str, float, float], list[list[float]]] = {}
    for record in records:
        key = (record.method, record.zoom, record.rotation)
        errors.setdefault(key, []).append(record.corner_errors)
    return [
        ZoomSummary(*key, float(np.mean(np.array(same) <= protocol.corner_threshold)))
        for key, same in errors.items()
    ]


def mean_share(summaries: Iterable[ZoomSummary], **chosen: Any) -> float:
    """Average the share of those whose fields have the chosen values."""
    return float(
        np.mean([s.share for s in summaries if all(getattr(s, k) == v for k, v in chosen.items())])
    )

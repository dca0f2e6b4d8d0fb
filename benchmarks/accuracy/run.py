"""Methods over sequences: one record per image and per pair."""

from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from tqdm import tqdm

from ..common import datasets, detectors, features
from ..common.datasets import Image
from ..common.detectors import Detector
from ..common.features import Features
from ..common.processes import worker_pool
from . import scoring
from .alignment import align
from .protocol import Protocol
from .scoring import View


@dataclass(frozen=True)
class ImageRecord:
    """What a method did on one image at the size of the homography protocol."""

    method: str
    sequence: str
    image: str
    keypoints: int
    milliseconds: float
    workers: int = 1


@dataclass(frozen=True)
class PairRecord:
    """A method's result on image 1 and another image of a sequence.

    What needs descriptors is None, or empty, for a method that only detects. `error_of_data` is the
    corner error of the homography of the data, 0 unless they are aligned.
    """

    method: str
    sequence: str
    image: str
    repeatability: float
    localisation_error: float
    matches: int | None
    corner_errors: list[float]
    matching_accuracy: dict[int, float]
    matching_score: float | None
    average_precision: float | None
    error_of_data: float = 0.0


@dataclass(frozen=True)
class Job:
    """One method on one sequence: what a worker process is given."""

    method: str
    fingerprint: str
    sequence: datasets.Sequence
    protocol: Protocol
    cache: Path
    workers: int


Records = tuple[list[ImageRecord], list[PairRecord]]


def plan(
    methods: Sequence[str],
    sequences: Sequence[datasets.Sequence],
    protocol: Protocol,
    cache: Path,
    workers: int = 1,
) -> list[Job]:
    """List what is to be done: every method on every sequence.

    Parameters
    ----------
    methods : sequence of str
        Names that `detectors.find_factory` knows.
    sequences : sequence of datasets.Sequence
    protocol : Protocol
    cache : Path
        Folder of features; those that are there already are not computed again.
    workers : int
        Number of processes side by side, if there are as many jobs.

    Raises
    ------
    MethodError
    """
    for method in methods:
        detectors.find_factory(method)
    fingerprints = {method: detectors.fingerprint(method) for method in methods}
    workers = min(workers, len(methods) * len(sequences))
    return [
        Job(method, fingerprints[method], sequence, protocol, cache, workers)
        for sequence in sequences
        for method in methods
    ]


def run(jobs: Sequence[Job]) -> Records:
    """Evaluate every method on every pair (image 1, image k) of every sequence.

    With one worker everything runs in this process, with as many threads as the libraries take;
    with more each has one thread. What runs on a GPU runs in this process, in batches.

    Returns
    -------
    images : list of ImageRecord
    pairs : list of PairRecord

    Raises
    ------
    DatasetError
        For an image that cannot be read.
    MethodError
        For a method that cannot be made.
    """
    with tqdm(total=len(jobs), desc="methods x sequences", unit="job") as bar:
        if jobs[0].workers == 1:
            results = []
            for job in jobs:
                results.append(evaluate(job))
                bar.update()
        else:
            results = _run_in_processes(jobs, bar.update)
    images, pairs = zip(*results, strict=True)
    return [record for part in images for record in part], [r for part in pairs for r in part]


def _run_in_processes(jobs: Sequence[Job], tick: Callable[[], Any]) -> list[Records]:
    batched = set(filter(detectors.runs_on_gpu, {job.method for job in jobs}))
    futures: dict[int, Future[Records]] = {}
    with worker_pool(jobs[0].workers) as pool:
        for i in sorted(range(len(jobs)), key=lambda i: jobs[i].method in batched):
            if jobs[i].method in batched:
                find_features(jobs[i])  # the worker finds them in the cache
            futures[i] = pool.submit(evaluate, jobs[i])
            futures[i].add_done_callback(lambda future: None if future.cancelled() else tick())
        return [futures[i].result() for i in range(len(jobs))]


@cache  # networks are slow to load, and no run has many methods
def _make(method: str, points: int) -> Detector:
    return detectors.make(method, points)


def find_features(job: Job) -> tuple[View, View]:
    """Return the sequence at the size for homographies and at that for repeatability."""
    protocol = job.protocol
    return (
        find_view(job, protocol.size, protocol.points),
        find_view(job, protocol.repeatability_size, protocol.repeatability_points),
    )


def find_view(job: Job, size: tuple[int, int] | None, points: int) -> View:
    """Load a sequence at a size, with its features from the cache or the method."""

    def compute(images: list[Image]) -> list[Features]:
        detector = _make(job.method, points)
        if hasattr(detector, "extract") and detectors.runs_on_gpu(job.method):
            return features.extract_batch(detector, images, points)
        return [features.extract(detector, image, points, job.workers) for image in images]

    images, given = job.sequence.load(size)
    found = features.cached(job.cache, job.fingerprint, images, points, compute)
    homographies = given
    if job.protocol.aligned:
        pairs = zip(images[1:], given[1:], strict=True)
        homographies = [given[0], *(align(images[0], image, h) for image, h in pairs)]
    return View(images, given, homographies, found)


def evaluate(job: Job) -> Records:
    """Compute the records of one method on one sequence."""
    large, small = find_features(job)
    names = [path.name for path in job.sequence.images]
    images = [
        ImageRecord(
            job.method,
            job.sequence.name,
            name,
            len(found.points),
            found.milliseconds,
            found.workers,
        )
        for name, found in zip(names, large.features, strict=True)
    ]
    pairs = [
        PairRecord(
            job.method,
            job.sequence.name,
            name,
            *scoring.score_detection(small, k, job.protocol),
            **scoring.score_matches(large, k, job.protocol),
            error_of_data=scoring.error_of_data(large, k),
        )
        for k, name in enumerate(names)
        if k
    ]
    return images, pairs

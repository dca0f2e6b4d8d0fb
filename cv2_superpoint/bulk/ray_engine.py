"""Extraction on a cluster, by Ray Data."""

from __future__ import annotations

import logging
import pickle
from collections.abc import Iterator
from itertools import islice
from typing import Any

import numpy as np
import ray

from ..opencv.feature2d import SuperPoint
from .decode import decode_item
from .pipeline import Engine, Extracted, ahead, extract
from .sources import Item

_IMAGES, _BYTES = 5_000, 1 << 28  # that are handed out at once: so many for each worker, and in all
_DECODERS = 2  # threads of each worker


def ray_engine(feature: SuperPoint, batch: int, workers: int) -> Engine:
    """Return what extracts on the workers of a Ray cluster.

    The cluster is that of the environment variable ``RAY_ADDRESS``, or the one running on this
    machine; without one, it is started, of this machine alone. Files must have the same path
    everywhere; archives and videos are read here. What a worker has when it dies is done again by
    another.

    Parameters
    ----------
    feature
        Each worker makes its own from it, on a GPU if the cluster has some.
    batch
        Images to extract from at once, and to do again if a worker dies.
    workers
        How many of them, each with one core or one GPU.
    """
    if not ray.is_initialized():
        ray.init(log_to_driver=False, logging_level="error")
    ray.data.DataContext.get_current().enable_progress_bars = False  # there is one already
    logging.getLogger("ray.data").setLevel(logging.ERROR)

    def engine(items: Iterator[Item]) -> Iterator[Extracted]:
        gpus = 1 if ray.cluster_resources().get("GPU") else 0
        for rows in _parts(items, batch, workers):
            found = ray.data.from_items(rows, override_num_blocks=len(rows)).map_batches(
                _Worker,
                fn_constructor_args=[feature, batch],
                batch_size=1,
                compute=ray.data.ActorPoolStrategy(size=min(workers, len(rows))),
                num_cpus=1,
                num_gpus=gpus,
            )
            for row in found.iter_rows():
                yield from pickle.loads(row["found"])

    return engine


def _parts(items: Iterator[Item], batch: int, workers: int) -> Iterator[list[dict[str, bytes]]]:
    """Yield as many batches of items at a time as memory has room for, a row each."""
    rows: list[dict[str, bytes]] = []
    size = 0
    while some := list(islice(items, batch)):
        rows.append({"items": pickle.dumps(some)})
        size += len(rows[-1]["items"])
        if len(rows) * batch >= _IMAGES * workers or size > _BYTES:
            yield rows
            rows, size = [], 0
    if rows:
        yield rows


class _Worker:
    """Holds a network between batches."""

    def __init__(self, feature: SuperPoint, batch: int) -> None:
        self._feature, self._batch = feature, batch

    def __call__(self, rows: dict[str, Any]) -> dict[str, Any]:
        """Extract from a row of items."""
        [items] = map(pickle.loads, rows["items"])
        decoded = ahead(decode_item, items, _DECODERS, self._batch)
        found = list(extract(decoded, self._feature, self._batch))
        return {"found": np.array([pickle.dumps(found)], object)}

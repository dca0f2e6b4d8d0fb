"""Nearest neighbours of descriptors by one matrix product, with OpenCV's results to the bit.

By a matrix product, distances cost a fraction of a loop over pairs; but it rounds, and worst where
descriptors are nearly equal. So the product only proposes: it keeps each pair that could be a
match, given a bound of its rounding error (and of OpenCV's). The distances of these few are
OpenCV's own, and they decide. Ties go to the lower index.

Arrays may be numpy's, or PyTorch tensors: the product is then made on their device.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any, NamedTuple

import cv2
import numpy as np
import numpy.typing as npt

from .arrays import Array, is_tensor, namespace, to_host
from .scores import Block, Indices, is_bfloat16_faster, score_blocks

_FEW = 2**12  # pairs that may always be measured
_CHUNK = 32  # pairs at a time: OpenCV looks at the square of it


class TooManyError(Exception):
    """So many pairs are too close to call that to measure all, one by one, is faster."""


class Pairs(NamedTuple):
    """Pairs of descriptors, ordered by query, then distance, then train index.

    Attributes
    ----------
    query, train
        ``(P,)`` int64, rows of the descriptors.
    distance
        ``(P,)`` float32.
    """

    query: npt.NDArray[np.int64]
    train: npt.NDArray[np.int64]
    distance: npt.NDArray[np.float32]


def nearest(
    query: Array, train: Array, k: int = 1, mask: Array | None = None, norm: int = cv2.NORM_L2
) -> Pairs:
    """Return the `k` nearest train descriptors of each query descriptor.

    Parameters
    ----------
    query, train
        ``(N, D)`` and ``(M, D)`` float32, at least one row each, no value beyond `LARGEST`.
    k
        At least 1.
    mask
        ``(N, M)``, zero for pairs that may not match.
    norm
        ``cv2.NORM_L2``, or ``cv2.NORM_L2SQR`` for its square.

    Returns
    -------
    Pairs
        At most `k` of each query descriptor.

    Raises
    ------
    TooManyError
        If a loop over all pairs would be faster.
    """
    k = min(k, len(train))

    def propose(blocks: Iterable[Block]) -> Iterator[Indices]:
        for block in blocks:
            yield block.above(block.margin.floor(_kth_largest(block.scores, k)))

    pairs = _measured(query, train, mask, propose, norm)
    return _take(pairs, _rank(pairs.query) < k)


def within(
    query: Array, train: Array, radius: float, mask: Array | None = None, norm: int = cv2.NORM_L2
) -> Pairs:
    """Return all pairs of descriptors no farther from each other than `radius`.

    Parameters
    ----------
    query, train, mask, norm
        As for :func:`nearest`.
    radius
        In the unit of `norm`.

    Returns
    -------
    Pairs
        Any number of each query descriptor.

    Raises
    ------
    TooManyError
        As for :func:`nearest`.
    """
    radius = float(np.float32(radius))
    square = radius if norm == cv2.NORM_L2SQR else radius * radius

    def propose(blocks: Iterable[Block]) -> Iterator[Indices]:
        for block in blocks:
            yield block.above(block.margin.floor(-square / 2))

    pairs = _measured(query, train, mask, propose, norm)
    return _take(pairs, pairs.distance <= radius)


def mutual(query: Array, train: Array, norm: int = cv2.NORM_L2) -> Pairs:
    """Return the pairs of descriptors that are each other's nearest neighbour.

    Parameters
    ----------
    query, train, norm
        As for :func:`nearest`.

    Returns
    -------
    Pairs
        At most one of each query and of each train descriptor.

    Raises
    ------
    TooManyError
        As for :func:`nearest`.
    """
    pairs = _measured(query, train, None, _propose_mutual, norm)
    nearest_train = _rank(pairs.query) == 0
    by_train = np.lexsort((pairs.distance, pairs.train))  # ties stay in the order of the query
    nearest_query = np.empty_like(nearest_train)
    nearest_query[by_train] = _rank(pairs.train[by_train]) == 0
    return _take(pairs, nearest_train & nearest_query)


# Proposals by scores ------------------------------------------------------------------------------


def _propose_mutual(blocks: Iterable[Block]) -> Iterator[Indices]:
    """Yield the pairs that may be the nearest of their row, and those of their column."""
    best = None
    for block in blocks:
        xp = namespace(block.scores)
        rows = xp.amax(block.scores, axis=1)
        columns = xp.amax(block.scores, axis=0)
        best = columns if best is None else xp.maximum(best, columns)
        near = block.scores >= block.margin.floor(rows)[:, None]
        near |= block.scores >= block.train_margin.floor(best)[None]
        yield block.pairs(near)


def _kth_largest(scores: Array, k: int) -> Array:
    """Return the k-th largest of each row."""
    if is_tensor(scores):
        return scores.topk(k, dim=1).values[:, -1]
    if k > 4:
        return np.partition(scores, -k, axis=1)[:, -k]
    # Much faster than partition: strike out the largest, k - 1 times. In place, since fresh memory
    # of this size costs more than all the rest.
    rows, struck = np.arange(len(scores)), []
    for _ in range(k - 1):
        best = scores.argmax(axis=1)
        struck.append((best, scores[rows, best]))
        scores[rows, best] = -np.inf
    largest = scores.max(axis=1)
    for best, values in reversed(struck):
        scores[rows, best] = values
    return largest


# Decisions by OpenCV's distances ------------------------------------------------------------------


def _measured(
    query: Array,
    train: Array,
    mask: Array | None,
    propose: Callable[[Iterable[Block]], Iterable[Indices]],
    norm: int,
) -> Pairs:
    """Return the pairs that scores propose, with their distances, in order."""
    # To measure a pair by itself costs, with all that follows, as much as 2^14 dimensions cost in
    # OpenCV's loop over all pairs, where one pair costs its width and some 32 more.
    limit = _FEW + len(query) * len(train) * (query.shape[1] + 32) / 2**14
    found = None
    if is_bfloat16_faster(query, train):
        found = _at_most(limit, propose(score_blocks(query, train, mask, bfloat16=True)))
    if found is None:  # not tried, or too coarse for descriptors so alike
        found = _at_most(limit, propose(score_blocks(query, train, mask)))
    if found is None:
        shape = f"{len(query)} x {len(train)}"
        raise TooManyError(f"over {limit:.0f} pairs of {shape} are to be measured")
    rows, columns = found
    distance = _distances(to_host(query), to_host(train), rows, columns, norm)
    order = np.lexsort((distance, rows))  # ties stay in the order of proposals, that of columns
    return _take(Pairs(rows, columns, distance), order)


def _at_most(limit: float, proposals: Iterable[Indices]) -> Indices | None:
    """Return all pairs proposed; None if they are more than `limit`."""
    found, count = [], 0
    for indices in proposals:
        found.append(indices)
        count += len(indices[0])
        if count > limit:
            return None
    rows, columns = (np.concatenate(part) for part in zip(*found, strict=True))
    return rows, columns


def _distances(
    query: npt.NDArray[np.float32],
    train: npt.NDArray[np.float32],
    rows: npt.NDArray[np.int64],
    columns: npt.NDArray[np.int64],
    norm: int,
) -> npt.NDArray[np.float32]:
    """Return OpenCV's distances of the pairs ``(query[rows], train[columns])``."""
    distance = np.empty(len(rows), np.float32)
    diagonal = np.eye(_CHUNK, dtype=np.uint8)
    for start in range(0, len(rows), _CHUNK):
        part = slice(start, start + _CHUNK)
        left, right = query[rows[part]], train[columns[part]]
        mask = diagonal[: len(left), : len(left)]
        found, _ = cv2.batchDistance(left, right, cv2.CV_32F, normType=norm, K=1, mask=mask)
        distance[part] = found[:, 0]
    return distance


def _rank(groups: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """Return the place of each element within its group; `groups` is sorted."""
    return np.arange(len(groups)) - np.searchsorted(groups, groups)


def _take(pairs: Pairs, which: npt.NDArray[Any]) -> Pairs:
    return Pairs(*(column[which] for column in pairs))

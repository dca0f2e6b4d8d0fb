"""Nearest neighbours of descriptors by one matrix product, with OpenCV's results to the bit.

Since ``|q - t|^2 = |q|^2 + |t|^2 - 2 q.t``, all distances are one matrix product, many times faster
than pair by pair; but it rounds, and worst where descriptors are nearly equal. So the product only
proposes: it keeps each pair that could be a match, given a bound of its rounding error (and of
OpenCV's). The distances of these few are OpenCV's own, and they decide. Ties go to the lower index.

Arrays may be numpy's, or PyTorch tensors: the product is then made on their device. Its precision
may be that of TF32, as PyTorch can be set to, but not less.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager, nullcontext
from types import ModuleType
from typing import Any, NamedTuple

import cv2
import numpy as np
import numpy.typing as npt

Array = Any
"""``numpy.ndarray`` or ``torch.Tensor``."""

Indices = tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]
"""``(P,)`` each: rows of query and of train descriptors."""

LARGEST = 1e15
"""Magnitude of values up to which squared distances are sure to be finite in float32."""

_BLOCK = 2**22  # scores at a time: 16 MB
_FEW = 2**12  # pairs that may always be measured
_CHUNK = 32  # pairs at a time: OpenCV looks at the square of it
_LOWEST = -np.finfo(np.float32).max


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


def is_tensor(value: object) -> bool:
    """Tell whether `value` is a ``torch.Tensor``, without importing PyTorch."""
    torch = sys.modules.get("torch")
    return torch is not None and isinstance(value, torch.Tensor)


def to_host(value: Array) -> npt.NDArray[Any]:
    """Return an ``ndarray`` of an array or tensor; tensors of half precision become float32."""
    if is_tensor(value):
        half = value.dtype.is_floating_point and value.dtype.itemsize < 4
        value = (value.detach().float() if half else value.detach()).cpu().numpy()
    return np.asarray(value)


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
    proposals = (
        block.above(_kth_largest(block.scores, k) - block.tolerance)
        for block in _blocks(query, train, mask)
    )
    pairs = _measured(query, train, proposals, norm)
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
    proposals = (
        block.above(-square / 2 - block.tolerance) for block in _blocks(query, train, mask)
    )
    pairs = _measured(query, train, proposals, norm)
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
    pairs = _measured(query, train, _mutual_proposals(query, train), norm)
    nearest_train = _rank(pairs.query) == 0
    by_train = np.lexsort((pairs.query, pairs.distance, pairs.train))
    nearest_query = np.empty_like(nearest_train)
    nearest_query[by_train] = _rank(pairs.train[by_train]) == 0
    return _take(pairs, nearest_train & nearest_query)


# Proposals by the product -------------------------------------------------------------------------


class _Block(NamedTuple):
    """Some query descriptors against all train descriptors.

    If OpenCV's distance of a pair is no larger than that of another of the same row or column, then
    its score is no smaller than the other's less the tolerance.
    """

    start: int
    scores: Array  # (rows, M): minus half the squared distance, -inf where masked
    tolerance: Array  # (rows,)
    train_tolerance: Array  # (M,)

    def above(self, thresholds: Array) -> Indices:
        """Return the pairs, masked ones apart, whose scores reach the threshold of their row."""
        return self.pairs(self.scores >= thresholds.clip(min=_LOWEST)[:, None])

    def pairs(self, chosen: Array) -> Indices:
        """Return the indices of the chosen pairs of query and train descriptors."""
        flat = to_host(_namespace(chosen).where(chosen.reshape(-1))[0])
        rows, columns = np.divmod(flat, chosen.shape[1])
        return rows + self.start, columns


def _blocks(query: Array, train: Array, mask: Array | None = None) -> Iterator[_Block]:
    """Yield all query descriptors; the scores of a block are overwritten by those of the next."""
    xp = _namespace(query)
    if is_tensor(query):
        query, train = query.detach(), train.detach()
        mask = None if mask is None else xp.as_tensor(mask, device=query.device)
    with _full_precision(query):
        # Distances from a middle are smaller than from the origin, and so is the rounding.
        middle = train.mean(0)
        query, train = query - middle, train - middle
        halves = [xp.einsum("ij,ij->i", rows, rows)[:, None] / 2 for rows in (query, train)]
        ones = [xp.ones_like(half) for half in halves]
        left = xp.concatenate((query, -halves[0], ones[0]), axis=1)
        right = xp.concatenate((train, ones[1], -halves[1]), axis=1)
        norms = [xp.sqrt(2 * half[:, 0]) for half in halves]
        error = _relative_error(query)
        tolerance = (norms[0] + norms[1].max()) ** 2 * error + 1e-30
        train_tolerance = (norms[1] + norms[0].max()) ** 2 * error + 1e-30
    # One memory for all blocks. It is of full size even where few rows are needed: what is not
    # touched costs nothing, and glibc, used to this size, keeps small temporaries for reuse.
    shape = (max(1, _BLOCK // len(train)), len(train))
    memory = query.new_empty(shape) if is_tensor(query) else np.empty(shape, np.float32)
    for start in range(0, len(query), shape[0]):
        part = slice(start, start + shape[0])
        with _full_precision(query):
            scores = _multiply(left[part], right.T, memory[: len(left[part])])
        if mask is not None:
            scores[mask[part] == 0] = -np.inf
        yield _Block(start, scores, tolerance[part], train_tolerance)


def _multiply(left: Array, right: Array, out: Array) -> Array:
    """Return the product of two matrices, written to `out`.

    Where PyTorch is loaded anyway, by its kernels and on one thread: numpy's go on spinning on all
    cores for a while, and slowed the detection of the next frame more than they hastened this.
    """
    torch = sys.modules.get("torch")
    if torch is None:
        return np.matmul(left, right, out=out)
    if is_tensor(left):
        return torch.matmul(left, right, out=out)
    from ..runners.threads import threads  # needs PyTorch

    with torch.inference_mode(), torch.autocast("cpu", enabled=False), threads(1):
        torch.matmul(*map(torch.from_numpy, (left, right)), out=torch.from_numpy(out))
    return out


def _mutual_proposals(query: Array, train: Array) -> Iterator[Indices]:
    """Yield the pairs that may be the nearest of their row, and those of their column."""
    best = None
    for block in _blocks(query, train):
        xp = _namespace(block.scores)
        rows = xp.amax(block.scores, axis=1) - block.tolerance
        columns = xp.amax(block.scores, axis=0)
        best = columns if best is None else xp.maximum(best, columns)
        near = block.scores >= rows[:, None]
        near |= block.scores >= (best - block.train_tolerance)[None]
        yield block.pairs(near)


def _relative_error(query: Array) -> float:
    """Return how far two scores may be from the order of OpenCV's distances.

    In units of the square of the sum of both norms. A sum of n products is off by at most n
    roundings of the sum of their magnitudes, in whatever order it is made (Higham, Accuracy and
    Stability of Numerical Algorithms, 3.1). There are three such sums: the product, the norms, and
    OpenCV's own. The fourth n is for all else: the shift, the square root, and this very bound.
    """
    error = 4 * (query.shape[1] + 4) * 2.0**-24
    if is_tensor(query):
        error += 4 * 2.0**-11  # factors may be rounded to TF32 before they are multiplied
    return error


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


def _namespace(array: Array) -> ModuleType:
    return sys.modules["torch"] if is_tensor(array) else np


def _full_precision(array: Array) -> AbstractContextManager[Any]:
    if not is_tensor(array):
        return nullcontext()
    return sys.modules["torch"].autocast(array.device.type, enabled=False)


# Decisions by OpenCV's distances ------------------------------------------------------------------


def _measured(query: Array, train: Array, proposals: Iterable[Indices], norm: int) -> Pairs:
    """Return the proposed pairs with their distances, in order."""
    # To measure a pair by itself costs, with all that follows, as much as 2^14 dimensions cost in
    # OpenCV's loop over all pairs, where one pair costs its width and some 32 more.
    limit = _FEW + len(query) * len(train) * (query.shape[1] + 32) / 2**14
    found, count = [], 0
    for indices in proposals:
        found.append(indices)
        count += len(indices[0])
        if count > limit:
            raise TooManyError(f"{count} pairs of {len(query)} x {len(train)} are to be measured")
    rows, columns = (np.concatenate(part) for part in zip(*found, strict=True))
    distance = _distances(to_host(query), to_host(train), rows, columns, norm)
    order = np.lexsort((columns, distance, rows))
    return _take(Pairs(rows, columns, distance), order)


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

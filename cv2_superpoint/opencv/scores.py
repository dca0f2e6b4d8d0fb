"""Scores of all pairs of descriptors by one matrix product, and how far they may be wrong.

The score of a pair is minus half its squared distance, and ``|q - t|^2 = |q|^2 + |t|^2 - 2 q.t``.
The product is made in float32, or in TF32 where PyTorch is set to that, but not less; or in
bfloat16, four times as fast on CPUs made for it. Then descriptors are rounded first. How far that
moves each of them is computed, and a distance changes by no more than its two ends moved.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from .arrays import Array, is_tensor, namespace, to_host

Indices = tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]
"""``(P,)`` each: rows of query and of train descriptors."""

LARGEST = 1e15
"""Magnitude of values up to which squared distances are sure to be finite in float32."""

_BLOCK = 2**22  # scores at a time: 16 MB
_MANY, _WIDE = 512, 64  # descriptors on either side, and their width, from which bfloat16 pays
_LOWEST = -np.finfo(np.float32).max


class Margin(NamedTuple):
    """How far the scores of some descriptors may be from the order of OpenCV's distances."""

    error: Array  # (rows,): of a score, by rounding in float32 or TF32
    moved: Array  # (rows,): of a distance, by rounding of descriptors to bfloat16
    rounding: float  # relative, of a score, by rounding to bfloat16

    def floor(self, score: Array) -> Array:
        """Return the least score of a pair that OpenCV may find as near as one of this score."""
        half_square = (self.error - score * (1 + self.rounding)).clip(min=0)
        distance = (2 * half_square) ** 0.5 + 2 * self.moved
        return -(distance**2 / 2 + self.error) * (1 + self.rounding)


class Block(NamedTuple):
    """Some query descriptors against all train descriptors."""

    start: int
    scores: Array  # (rows, M) float32, -inf where masked
    margin: Margin  # of a row
    train_margin: Margin  # of a column

    def above(self, thresholds: Array) -> Indices:
        """Return the pairs, masked ones apart, whose scores reach the threshold of their row."""
        return self.pairs(self.scores >= thresholds.clip(min=_LOWEST)[:, None])

    def pairs(self, chosen: Array) -> Indices:
        """Return the indices of the chosen pairs of query and train descriptors."""
        flat = to_host(namespace(chosen).where(chosen.reshape(-1))[0])
        rows, columns = np.divmod(flat, chosen.shape[1])
        return rows + self.start, columns


def is_bfloat16_faster(query: Array, train: Array) -> bool:
    """Tell whether to try the product in bfloat16 first: PyTorch is loaded, this CPU is fit."""
    pays = min(len(query), len(train)) >= _MANY and query.shape[1] >= _WIDE
    if not pays or is_tensor(query) or "torch" not in sys.modules:
        return False
    from ..runners.eager import can_multiply_bfloat16  # needs PyTorch

    return can_multiply_bfloat16(sys.modules["torch"].device("cpu"))


def score_blocks(
    query: Array, train: Array, mask: Array | None = None, bfloat16: bool = False
) -> Iterator[Block]:
    """Yield all query descriptors; the scores of a block are overwritten by those of the next.

    Parameters
    ----------
    query, train
        ``(N, D)`` and ``(M, D)`` float32, no value beyond `LARGEST`.
    mask
        ``(N, M)``, zero for pairs that may not match.
    bfloat16
        Whether to multiply in bfloat16; only for ndarrays, and where PyTorch is loaded.
    """
    if is_tensor(query):
        xp = namespace(query)
        query, train = query.detach(), train.detach()
        mask = None if mask is None else xp.as_tensor(mask, device=query.device)
    with _full_precision(query):
        left, right, margin, train_margin = _factors(query, train, bfloat16)
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
        rows = margin._replace(error=margin.error[part], moved=margin.moved[part])
        yield Block(start, scores, rows, train_margin)


def _factors(query: Array, train: Array, bfloat16: bool) -> tuple[Array, Array, Margin, Margin]:
    """Return two matrices, the first times the second transposed being all scores; the margins."""
    xp = namespace(query)
    # Distances from a middle are smaller than from the origin, and so is the rounding.
    middle = train.mean(0)
    sides = [_side(query - middle, bfloat16), _side(train - middle, bfloat16)]
    (query, query_halves, *_), (train, train_halves, *_) = sides
    left = xp.concatenate((query, -query_halves, xp.ones_like(query_halves)), axis=1)
    right = xp.concatenate((train, xp.ones_like(train_halves), -train_halves), axis=1)
    if bfloat16:
        left, right = _to_bfloat16(left), _to_bfloat16(right)
    share = _relative_error(query)
    margins = [
        Margin(
            error=(side.norms + other.norms.max()) ** 2 * share + 1e-30,
            moved=side.moved + other.moved.max(),
            rounding=2.0**-8 if bfloat16 else 0,
        )
        for side, other in (sides, sides[::-1])
    ]
    return left, right, *margins


class _Side(NamedTuple):
    """The query or the train descriptors, rounded as the product needs them."""

    rows: Array  # (N, D)
    halves: Array  # (N, parts): they add up to half the squared norm
    norms: Array  # (N,)
    moved: Array  # (N,): distance from where they were


def _side(rows: Array, bfloat16: bool) -> _Side:
    rounded = _round(rows) if bfloat16 else rows
    squares = _dot(rounded, rounded)
    norms, halves = squares**0.5, squares[:, None] / 2
    if not bfloat16:
        return _Side(rows, halves, norms, 0 * norms)
    first = _round(halves)
    second = _round(halves - first)
    parts = np.concatenate((first, second, halves - first - second), axis=1)  # 8 bits each
    moves = rows - rounded
    return _Side(rounded, parts, norms, _dot(moves, moves) ** 0.5)


def _dot(left: Array, right: Array) -> Array:
    """Return the products of rows, ``(N,)``."""
    return namespace(left).einsum("ij,ij->i", left, right)


def _round(values: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Return the nearest values of bfloat16, the upper half of the bits of a float32."""
    bits = values.view(np.uint32) + 2**15
    bits &= 0xFFFF0000
    return bits.view(np.float32)


def _to_bfloat16(values: npt.NDArray[np.float32]) -> Array:
    """Return a tensor of bfloat16."""
    with _one_thread() as torch:
        return torch.from_numpy(values).bfloat16()


def _multiply(left: Array, right: Array, out: Array) -> Array:
    """Return the product of two matrices, written to `out`.

    Where PyTorch is loaded anyway, by its kernels and on one thread: numpy's go on spinning on all
    cores for a while, and slowed the detection of the next frame more than they hastened this.
    """
    if "torch" not in sys.modules:
        return np.matmul(left, right, out=out)
    if is_tensor(out):
        return namespace(out).matmul(left, right, out=out)
    with _one_thread() as torch:
        left, right, product = (torch.as_tensor(x, device="cpu") for x in (left, right, out))
        if left.dtype == product.dtype:
            torch.matmul(left, right, out=product)
        else:
            product.copy_(torch.matmul(left, right))
    return out


@contextmanager
def _one_thread() -> Iterator[Any]:
    """Yield PyTorch, computing on one thread of the CPU as it is told, whatever the caller set."""
    from ..runners.threads import threads  # needs PyTorch

    torch = sys.modules["torch"]
    with torch.inference_mode(), torch.autocast("cpu", enabled=False), threads(1):
        yield torch


def _relative_error(query: Array) -> float:
    """Return how far a score may be from the order of OpenCV's distances.

    In units of the square of the sum of both norms. A sum of n products is off by at most n
    roundings of the sum of their magnitudes, in whatever order it is made (Higham, Accuracy and
    Stability of Numerical Algorithms, 3.1). There are three such sums: the product, the norms, and
    OpenCV's own. The fourth n is for all else: the shift, the square root, and this very bound.
    """
    error = 2 * (query.shape[1] + 4) * 2.0**-24
    if is_tensor(query):
        error += 2 * 2.0**-11  # factors may be rounded to TF32 before they are multiplied
    return error


def _full_precision(array: Array) -> AbstractContextManager[Any]:
    if not is_tensor(array):
        return nullcontext()
    return namespace(array).autocast(array.device.type, enabled=False)

"""Binary descriptors: 256 bits that say between which thresholds the values of a descriptor lie.

A descriptor is projected onto some directions, and each projection is compared with a few
thresholds, one bit each: a thermometer code. The Hamming distance of two such codes counts the
thresholds between the projections, so it grows as their L1 distance does. With a single threshold
of zero, it grows with the angle (Charikar, "Similarity Estimation Techniques from Rounding
Algorithms", STOC 2002).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

BYTES = 32
"""Of a binary descriptor, as many as ORB's."""


@dataclass(frozen=True, eq=False)
class BinaryCode:
    """How descriptors become bits.

    Attributes
    ----------
    directions
        ``(K, D)`` float32.
    thresholds
        ``(n,)`` float32: what each projection is compared with; K n is 256.

    Raises
    ------
    ValueError
        If shapes do not fit, or numbers are not finite.
    """

    directions: npt.NDArray[np.float32]
    thresholds: npt.NDArray[np.float32]

    def __post_init__(self) -> None:
        directions, thresholds = self.directions, self.thresholds
        shapes = f"{directions.shape}, {thresholds.shape}"
        if directions.ndim != 2 or thresholds.ndim != 1:
            raise ValueError(f"no matrix of directions and list of thresholds: {shapes}")
        if len(directions) * len(thresholds) != 8 * BYTES:
            raise ValueError(f"directions times thresholds do not make {8 * BYTES} bits: {shapes}")
        if not (np.isfinite(directions).all() and np.isfinite(thresholds).all()):
            raise ValueError("not all numbers are finite")

    def encode(self, rows: npt.NDArray[np.float32]) -> npt.NDArray[np.uint8]:
        """Turn ``(N, D)`` float32 of unit norm into ``(N, 32)`` uint8."""
        bits = (rows @ self.directions.T)[..., None] > self.thresholds
        return np.packbits(bits.reshape(len(rows), 8 * BYTES), axis=1)


def tight_frame(count: int, dim: int) -> npt.NDArray[np.float32]:
    """Return `count` directions, ``(count, dim)``, that weigh all of space equally.

    At random, but always the same. More directions than dimensions make orthonormal columns, fewer
    make orthonormal rows.
    """
    shape = (max(count, dim), min(count, dim))
    orthonormal = np.linalg.qr(np.random.default_rng(0).normal(size=shape))[0].astype(np.float32)
    return orthonormal if count >= dim else np.ascontiguousarray(orthonormal.T)


def sign_code(dim: int) -> BinaryCode:
    """Return a code for descriptors of which nothing is known: the signs of 256 projections."""
    return BinaryCode(tight_frame(8 * BYTES, dim), np.zeros(1, np.float32))

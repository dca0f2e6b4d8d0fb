"""From float descriptors to bits."""

from __future__ import annotations

import numpy as np
import pytest

from cv2_superpoint.model.binary import BinaryCode, sign_code, tight_frame


def unit_rows(size: int, near: float) -> np.ndarray:
    """Return 40 unit vectors, the first 20 of them near the first."""
    random = np.random.default_rng(0)
    rows = random.normal(size=(40, size)).astype(np.float32)
    rows[1:20] = rows[0] + random.normal(size=(19, size)) * near
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def bits_that_differ(bits: np.ndarray) -> np.ndarray:
    return np.unpackbits(bits[0] ^ bits, axis=1).sum(1)


@pytest.mark.parametrize("size", [8, 64, 256, 300])
def test_signs_differ_as_angles_do(size):
    rows = unit_rows(size, near=0.4)
    bits = sign_code(size).encode(rows)
    assert (bits.shape, bits.dtype) == ((40, 32), np.uint8)
    assert np.array_equal(sign_code(size).encode(-rows), ~bits)
    angles = np.arccos(np.clip(rows @ rows[0], -1, 1)) / np.pi
    assert np.abs(bits_that_differ(bits) / 256 - angles).max() < 0.1


def test_bits_count_the_thresholds_between_projections():
    directions = tight_frame(64, 64)
    thresholds = np.float32([-0.125, -0.04, 0.04, 0.125])
    rows = unit_rows(64, near=0.4)
    steps = np.searchsorted(thresholds, rows @ directions.T)
    wanted = np.abs(steps - steps[0]).sum(1)
    assert np.array_equal(bits_that_differ(BinaryCode(directions, thresholds).encode(rows)), wanted)
    assert wanted[1:20].max() < wanted[20:].min()


@pytest.mark.parametrize(("count", "dim"), [(256, 64), (64, 64), (64, 256), (64, 7)])
def test_a_tight_frame_weighs_all_of_space_equally(count, dim):
    frame = tight_frame(count, dim)
    assert (frame.shape, frame.dtype) == ((count, dim), np.float32)
    product = frame.T @ frame if count >= dim else frame @ frame.T
    np.testing.assert_allclose(product, np.eye(min(count, dim)), atol=1e-5)
    assert np.array_equal(frame, tight_frame(count, dim))


def test_no_descriptors_have_no_bits():
    bits = sign_code(64).encode(np.zeros((0, 64), np.float32))
    assert (bits.shape, bits.dtype) == ((0, 32), np.uint8)

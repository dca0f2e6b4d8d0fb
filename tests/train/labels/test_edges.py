"""How a corner is told from an edge."""

import numpy as np
import pytest

from train.labels.edges import LEAST_ROUNDNESS, roundness


@pytest.fixture
def square():
    image = np.full((96, 96), 40, np.uint8)
    image[24:72, 24:72] = 200
    return image


def test_corners_are_round_and_edges_are_not(square):
    found = roundness(square)
    assert found[24, 24] > 0.8
    assert found[24, 48] < 0.01
    assert found[48, 24] < 0.01


def test_flat_pixels_are_not_round():
    assert (roundness(np.full((32, 40), 127, np.uint8)) == 0).all()


def test_a_weak_corner_is_as_round_as_a_strong_one(square):
    weak = (square // 8 + 90).astype(np.uint8)
    assert roundness(weak)[24, 24] == pytest.approx(roundness(square)[24, 24], abs=0.05)


@pytest.mark.parametrize("degrees", [0, 17, 45, 80])
def test_edges_of_any_direction_are_dropped(degrees):
    y, x = np.mgrid[-30:31, -30:31]
    distance = x * np.cos(np.radians(degrees)) + y * np.sin(np.radians(degrees))
    edge = np.uint8(128 + 100 * np.tanh(distance))
    assert roundness(edge)[30, 30] < LEAST_ROUNDNESS / 4

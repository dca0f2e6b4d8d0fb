"""Patches show what a point says, at its scale and angle."""

import cv2
import numpy as np
import pytest
import torch

from cv2_superpoint.extract.patches import MIDDLE, SIDE, cut_patches, reduced


def patch(pixels, size, x, y, scale, angle):
    values = (torch.tensor([v], dtype=torch.float32) for v in ((x, y), scale, angle))
    return cut_patches(torch.from_numpy(pixels)[None, None], size, *values)[0, 0].numpy()


@pytest.fixture(scope="module")
def image():
    """Smooth, so that interpolation hardly changes it."""
    noise = np.random.default_rng(0).integers(0, 256, (30, 40), np.uint8)
    return cv2.resize(noise, (400, 300), interpolation=cv2.INTER_CUBIC)


@pytest.mark.parametrize(("scale", "angle"), [(1, 0), (1, 90), (0.5, 200), (1.4, 33)])
def test_patches_are_opencvs_warps(image, scale, angle):
    x, y = 200.25, 140.5
    matrix = cv2.getRotationMatrix2D((x, y), angle, 1 / scale)  # it counts the other way round
    matrix[:, 2] += MIDDLE - x, MIDDLE - y
    wanted = cv2.warpAffine(image, matrix, (SIDE, SIDE))
    got = patch(image, image.shape, x, y, scale, angle)
    assert np.abs(got - wanted).max() < 4  # OpenCV interpolates in 1/32 of a pixel


def test_patches_of_a_smaller_image_show_the_same(image):
    wanted = patch(image, image.shape, 200, 140, 2, 10)
    smaller = cv2.resize(image, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA)
    got = patch(smaller, image.shape, 200, 140, 2, 10)
    assert np.abs(got - wanted).mean() < 2


def test_beyond_the_border_its_pixels_are_repeated():
    image = np.full((50, 60), 7, np.uint8)
    np.testing.assert_allclose(patch(image, image.shape, 0, 49, 3, 45), 7, atol=1e-4)


def test_the_image_is_reduced_as_far_as_needs_be():
    scale = np.array([0.25, 1, 1.41, 1.42, 2, 64], np.float32)
    found = {
        tuple(pixels.shape[2:]): members.tolist()
        for pixels, members in reduced(torch.zeros(1, 1, 32, 40), scale)
    }
    assert found == {(32, 40): [0, 1, 2], (23, 28): [3], (16, 20): [4], (1, 1): [5]}

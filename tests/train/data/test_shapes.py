"""Synthetic Shapes: labels lie on corners of what is drawn."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from train.data.shapes import SHAPES, draw

SIZE = (120, 160)


@pytest.mark.parametrize("name", SHAPES)
def test_points_lie_inside_and_pictures_repeat(name):
    for seed in range(5):
        image, points = draw(np.random.default_rng(seed), SIZE, name)
        again, _ = draw(np.random.default_rng(seed), SIZE, name)
        assert image.shape == SIZE
        assert image.dtype == np.uint8
        assert np.array_equal(image, again)
        assert points.dtype == np.float32
        assert ((points >= 0) & (points <= (SIZE[1] - 1, SIZE[0] - 1))).all()


@pytest.mark.parametrize("name", ["ellipses", "noise"])
def test_figures_without_corners_have_no_points(name):
    assert all(len(draw(np.random.default_rng(i), SIZE, name)[1]) == 0 for i in range(5))


@pytest.mark.parametrize("name", ["checkerboard", "polygons", "cube", "star"])
def test_a_corner_detector_answers_at_the_points(name):
    """Harris answers far more at labels than elsewhere: they are where the corners are."""
    at_points, everywhere = [], []
    for seed in range(20):
        image, points = draw(np.random.default_rng(seed), SIZE, name)
        response = cv2.dilate(cv2.cornerMinEigenVal(np.float32(image), 3), np.ones((3, 3)))
        x, y = points.round().astype(int).T
        at_points += response[y, x].tolist()
        everywhere.append(response.mean())
    assert np.median(at_points) > 5 * np.mean(everywhere)


def test_points_are_exact_below_the_pixel():
    """OpenCV's own refinement, started at the labels of checkerboards, barely moves them."""
    moved = []
    for seed in range(20):
        image, points = draw(np.random.default_rng(seed), SIZE, "checkerboard")
        inner = points[((points > 8) & (points < (SIZE[1] - 9, SIZE[0] - 9))).all(1)]
        if len(inner):
            stop = (cv2.TERM_CRITERIA_EPS + cv2.TERM_CRITERIA_MAX_ITER, 40, 0.001)
            refined = cv2.cornerSubPix(image, inner.copy(), (3, 3), (-1, -1), stop)
            moved += np.linalg.norm(refined - inner, axis=1).tolist()
    assert np.median(moved) < 0.15

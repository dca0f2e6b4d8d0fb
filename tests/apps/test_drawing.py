"""Pictures show what they are given."""

from __future__ import annotations

import numpy as np

from cv2_superpoint.apps.drawing import (
    GREEN,
    RED,
    caption,
    draw_keypoints,
    draw_matches,
    draw_tracks,
    grid,
)


def _has(picture, colour):
    return (picture == colour).all(axis=2)


def test_a_match_joins_its_two_points():
    first, second = np.zeros((40, 60), np.uint8), np.zeros((50, 30, 3), np.uint8)
    points = np.array([[10.0, 20]])
    picture = draw_matches(first, second, points, points, np.array([True]))
    columns = _has(picture, GREEN)[20].nonzero()[0]
    assert columns.min() < 10
    assert columns.max() > picture.shape[1] - 60 + 10  # cells are as wide as the widest image
    assert not _has(picture, RED).any()


def test_wrong_matches_are_red_and_below_right_ones():
    image, points = np.zeros((40, 60), np.uint8), np.array([[10.0, 20], [10.0, 20]])
    picture = draw_matches(image, image, points, points, np.array([True, False]))
    assert _has(picture, GREEN).any()
    assert not _has(picture, RED).any()
    picture = draw_matches(image, image, points, points, np.array([False, False]))
    assert _has(picture, RED).any()


def test_images_are_not_drawn_into():
    image = np.zeros((40, 60, 3), np.uint8)
    picture = draw_keypoints(image, np.array([[10.0, 20]], np.float32))
    assert picture.any()
    assert not image.any()


def test_a_caption_is_a_bar_above():
    picture = np.zeros((40, 200, 3), np.uint8)
    captioned = caption(picture, "text")
    assert captioned.shape[1] == 200
    assert (captioned[-40:] == picture).all()
    assert captioned[:-40].max() > 200


def test_a_grid_of_one_column_pads_to_the_widest():
    pictures = [np.full((9, w, 3), 255, np.uint8) for w in (9, 20)]
    sheet = grid(pictures, 1)
    assert sheet.shape[1] == 20
    assert (sheet == 255).all(2).sum() == 9 * 29


def test_tracks_end_in_a_dot_and_need_two_places():
    frame = np.zeros((40, 60), np.uint8)
    picture = draw_tracks(
        frame, [[(5.0, 10.0), (25.0, 10.0)], [(50.0, 30.0)], [(5.0, 20), (9, 20)]]
    )
    green, red = picture[..., 1] > 150, picture[..., 2] > 200
    assert green[10, 6:20].all()
    assert red[[10, 20], [25, 9]].all()
    assert not picture[25:].any()  # seen once only
    assert not draw_tracks(frame, [[(50.0, 30.0)]]).any()

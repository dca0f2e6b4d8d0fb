"""Sheets show every picture, with marks where the points are."""

from __future__ import annotations

import sys

import cv2
import numpy as np
import pytest

from train.__main__ import main
from train.data.shapes import SHAPES
from train.report import previews, sheets


def _green(picture):
    b, g, r = picture.astype(int).transpose(2, 0, 1)
    return (g > b + 60) & (g > r + 60)


def _red(picture):
    b, g, r = picture.astype(int).transpose(2, 0, 1)
    return (r > b + 60) & (r > g + 60)


def _centre(mask):
    y, x = mask.nonzero()
    return x.mean(), y.mean()


@pytest.mark.parametrize("zoom", [2, 3])
@pytest.mark.parametrize("shade", [0, 128, 255])
def test_a_mark_is_around_its_point_below_the_pixel(zoom, shade):
    image = np.full((40, 60), shade, np.uint8)
    picture = sheets.mark_points(image, np.array([[20.25, 11.5]]), zoom)
    assert picture.shape == (40 * zoom, 60 * zoom, 3)
    # The middle of pixel i is at zoom * i + (zoom - 1) / 2 of the enlarged one.
    expected = (zoom * 20.25 + (zoom - 1) / 2, zoom * 11.5 + (zoom - 1) / 2)
    assert _centre(_green(picture)) == pytest.approx(expected, abs=0.3)
    assert not _green(picture)[round(expected[1]), round(expected[0])]  # the corner stays visible


def test_no_points_no_marks():
    image = np.full((40, 60), 128, np.uint8)
    assert not _green(sheets.mark_points(image, np.zeros((0, 2)))).any()


def test_a_grid_holds_pictures_of_any_sizes_in_order():
    pictures = [np.full((h, w, 3), 200 + i, np.uint8) for i, (h, w) in enumerate([(9, 9), (5, 20)])]
    pictures.append(np.full((3, 3, 3), 202, np.uint8))
    sheet = sheets.grid(pictures, 2)
    assert [(sheet == 200 + i).all(2).sum() for i in range(3)] == [81, 100, 9]
    first, second, third = (_centre((sheet == 200 + i).all(2)) for i in range(3))
    assert first[0] < second[0]
    assert first[1] < third[1]
    assert sheets.grid(pictures[:1], 5).shape == (9, 9, 3)


def test_adaptation_is_a_row_per_image_and_a_column_per_number_of_copies():
    images = [np.full((24, 32), 128, np.uint8)] * 2
    points = {1: [np.array([[8.0, 8]]), np.zeros((0, 2))], 10: [np.zeros((0, 2))] * 2}
    sheet = sheets.adaptation_sheet(images, points, zoom=2)
    height, width = sheet.shape[0] // 2, sheet.shape[1] // 2
    corner = _green(sheet[:height, :width]).sum()
    assert corner > 0
    assert _green(sheet).sum() == corner


def test_labels_count_in_every_cell():
    images = [np.full((30, 40), 128, np.uint8), np.full((40, 30), 128, np.uint8)]
    points = [np.array([[10.0, 20]]), np.array([[10.0, 10], [20.0, 30]])]
    sheet = sheets.labels_sheet(images, points, columns=2, zoom=3)
    one, two = (_green(half).sum() for half in np.array_split(sheet, 2, axis=1))
    assert two == pytest.approx(2 * one, rel=0.1)
    with pytest.raises(ValueError, match="zip"):
        sheets.labels_sheet(images, points[:1])


def test_right_matches_are_green_and_wrong_ones_red():
    first, second = np.full((40, 60), 128, np.uint8), np.full((50, 40), 128, np.uint8)
    points = np.array([[10.0, 10], [30.0, 30]])
    for correct in ([True, True], [False, False], [True, False]):
        picture = sheets.matches_sheet(first, second, points, points, np.array(correct))
        assert _green(picture).any() == any(correct)
        assert _red(picture).any() == (not all(correct))


def test_no_matches():
    image, nothing = np.full((40, 60), 128, np.uint8), np.zeros((0, 2))
    picture = sheets.matches_sheet(image, image, nothing, nothing, np.zeros(0, bool))
    assert not (_green(picture) | _red(picture)).any()


def test_shapes_preview_writes_all_figures_and_repeats(tmp_path):
    path = tmp_path / "shapes.png"
    previews.shapes_preview(path, 1, (64, 96), columns=2)
    sheet = cv2.imread(str(path))
    assert sheet.shape[0] > len(SHAPES) * 64 * 3
    assert 2 * 96 * 3 < sheet.shape[1] < 3 * 96 * 3
    assert _green(sheet).any()
    previews.shapes_preview(tmp_path / "again.png", 1, (64, 96), columns=2)
    assert (tmp_path / "again.png").read_bytes() == path.read_bytes()


def test_one_command_shows_synthetic_shapes(tmp_path, monkeypatch):
    command = ["train", "shapes", "--preset", "smoke", "--out", str(tmp_path)]
    monkeypatch.setattr(sys, "argv", command)
    main()
    assert cv2.imread(str(tmp_path / "shapes.png")) is not None

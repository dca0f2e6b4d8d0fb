"""Random homographies and warps of images and points agree with one another."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
import torch
import torch.nn.functional as F
from skimage import data

from train.data.homography import (
    HomographyRange,
    inside,
    mip_level,
    sample_homographies,
    sample_zoom_pairs,
    transform,
    warp,
)

SIZE = (96, 128)
RANGES = HomographyRange(rotation=30, wide_rotation=90, wide_share=0.5)


def _views(count: int) -> tuple[torch.Tensor, ...]:
    torch.manual_seed(0)
    image = torch.from_numpy(data.camera()[100:300, 100:360]).float()[None, None] / 255
    image = F.avg_pool2d(image, 5, stride=1, padding=2)
    sizes = torch.tensor([[200, 260]]).expand(count, 2)
    homographies = sample_homographies(RANGES, SIZE, sizes)
    views, valid = warp(image.expand(count, -1, -1, -1), homographies, SIZE, sizes)
    return image, homographies, views, valid


def _sample(images: torch.Tensor, xy: torch.Tensor) -> torch.Tensor:
    size = torch.tensor([images.shape[3], images.shape[2]])
    grid = ((xy + 0.5) / size * 2 - 1)[:, None]
    return F.grid_sample(images, grid, align_corners=False)[:, 0, 0]


def test_a_view_shows_at_a_point_what_the_source_shows_at_its_image():
    image, homographies, views, _ = _views(8)
    points = torch.rand(8, 50, 2) * torch.tensor([SIZE[1] - 1, SIZE[0] - 1])
    mapped = transform(points, homographies)
    seen = inside(mapped, torch.tensor([[200, 260]]).expand(8, 2))
    difference = _sample(views, points) - _sample(image.expand(8, -1, -1, -1), mapped)
    assert seen.float().mean() > 0.3
    assert difference[seen].abs().mean() < 0.01


def test_identity_returns_the_image():
    image = torch.rand(1, 1, *SIZE)
    views, valid = warp(image, torch.eye(3)[None], SIZE, torch.tensor([SIZE]))
    assert torch.allclose(views, image, atol=1e-4)
    assert valid.all()


def test_valid_is_where_the_canvas_holds_image():
    canvas = torch.ones(1, 1, *SIZE)
    _, valid = warp(canvas, torch.eye(3)[None], SIZE, torch.tensor([[40, 50]]))
    assert valid[0, :40, :50].all()
    assert valid.sum() == 40 * 50


def test_points_behind_the_horizon_are_infinite():
    homography = torch.tensor([[[1.0, 0, 0], [0, 1, 0], [-0.1, 0, 1]]])
    mapped = transform(torch.tensor([[[5.0, 0.0], [20.0, 0.0]]]), homography)
    assert torch.allclose(mapped[0, 0], torch.tensor([10.0, 0.0]))
    assert mapped[0, 1].isinf().all()


def test_ranges_bound_rotation_and_zoom():
    ranges = HomographyRange(
        rotation=10, scale_min=0.5, scale_max=2.0, stretch=0.0, perspective=0.0, translation=0.0
    )
    linear = sample_homographies(ranges, SIZE, torch.tensor([[200, 260]]).expand(500, 2))[:, :2, :2]
    angle = torch.atan2(linear[:, 1, 0], linear[:, 0, 0]).rad2deg()
    zoom = torch.linalg.det(linear).rsqrt()
    assert angle.abs().max() <= 10.001
    assert angle.abs().max() > 8
    assert 4 < angle.std() < 4.8  # 10 / 2, less what the truncation takes: 4.4
    assert 0.4999 <= zoom.min() < 0.7
    assert 1.5 < zoom.max() <= 2.001


def test_stretch_is_along_any_axis():
    ranges = HomographyRange(
        rotation=0, scale_min=1.0, scale_max=1.0, stretch=1.5, perspective=0.0, translation=0.0
    )
    linear = sample_homographies(ranges, SIZE, torch.tensor([[200, 260]]).expand(900, 2))[:, :2, :2]
    ratio = torch.linalg.svdvals(linear)[:, 0] / torch.linalg.svdvals(linear)[:, 1]
    assert 2.5 < ratio.max() <= 2**1.5 + 1e-3
    assert torch.allclose(torch.linalg.det(linear), torch.ones(900), atol=1e-4)
    _, axes = torch.linalg.eigh(linear)  # without rotation they are symmetric
    degrees = torch.atan2(axes[:, 1, 1], axes[:, 0, 1]).rad2deg() % 180
    assert torch.histc(degrees, bins=6, min=0, max=180).min() > 100  # 150 expected


def _reduced(image: np.ndarray, zoom: float) -> tuple[np.ndarray, np.ndarray]:
    """Return a view at a zoom below 1, and OpenCV's reduction of the same picture."""
    height, width = round(image.shape[0] * zoom), round(image.shape[1] * zoom)
    shift = (1 / zoom - 1) / 2  # middle of the first pixel
    to_source = torch.tensor([[1 / zoom, 0, shift], [0, 1 / zoom, shift], [0, 0, 1]])[None].float()
    source = torch.from_numpy(image)[None, None].float()
    view, _ = warp(source, to_source, (height, width), torch.tensor([image.shape]))
    expected = cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA)
    return view[0, 0].numpy(), expected.astype(np.float32)


@pytest.mark.parametrize(("zoom", "tolerance"), [(0.5, 0.51), (0.25, 0.51), (0.4, 3.5), (0.7, 4)])
def test_a_smaller_view_is_what_area_interpolation_gives(zoom, tolerance):
    view, expected = _reduced(data.brick()[:400, :400], zoom)
    assert np.abs(view - expected).mean() < tolerance
    assert view.std() == pytest.approx(expected.std(), rel=0.1)


def test_a_warped_smaller_view_is_the_warp_of_a_blurred_picture():
    image = data.grass()[:400, :400]
    angle, zoom = 0.5, 0.4
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]) / zoom
    to_source = np.eye(3)
    to_source[:2, :2], to_source[:2, 2] = turn, 200 - turn @ [50, 50]
    to_source[2, 0] = 4e-4
    view, valid = warp(
        torch.from_numpy(image)[None, None].float(),
        torch.from_numpy(to_source)[None].float(),
        (100, 100),
        torch.tensor([image.shape]),
    )
    blurred = cv2.GaussianBlur(image.astype(np.float32), (0, 0), 0.5 / zoom)
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    expected, aliased = (
        cv2.warpPerspective(source.astype(np.float32), to_source, (100, 100), flags=flags)
        for source in (blurred, image)
    )
    inner = cv2.erode(valid[0].numpy().astype(np.uint8), np.ones((5, 5))).astype(bool)
    error = np.abs(view[0, 0].numpy() - expected)[inner].mean()
    assert error < 0.3 * np.abs(aliased - expected)[inner].mean()


def test_what_surrounds_the_image_on_its_canvas_does_not_leak_in():
    canvas = torch.zeros(1, 1, *SIZE)
    canvas[..., :41, :53] = 1
    to_source = torch.diag(torch.tensor([3.0, 3.0, 1.0]))[None]
    view, _ = warp(canvas, to_source, (20, 20), torch.tensor([[41, 53]]))
    assert torch.allclose(view, torch.ones_like(view), atol=1e-5)


def test_zoom_pairs_overlap_and_their_zooms_differ_by_up_to_four():
    torch.manual_seed(0)
    view, sizes = (160, 224), torch.tensor([[840, 1100], [900, 840]]).repeat(500, 1)
    detail, overview = sample_zoom_pairs(RANGES, RANGES, view, sizes)
    centre = torch.tensor([(view[1] - 1) / 2, (view[0] - 1) / 2]).expand(len(sizes), 1, 2)
    zooms = [2 ** -mip_level(centre, to_source)[:, 0] for to_source in (detail, overview)]
    for zoom in zooms:
        assert (zoom > 0.2499).all()
        assert (zoom < 1.1001).all()
    ratio = zooms[0] / zooms[1]
    assert (ratio > 0.999).all()
    assert 3.5 < ratio.max() < 4.001
    # The middle of the overview is inside the detail, and shows the photograph.
    between = torch.linalg.inv(detail) @ overview
    assert inside(transform(centre, between), torch.tensor(view).expand(len(sizes), 2)).all()
    assert inside(transform(centre, overview), sizes).all()
    # Most of what the detail shows, the overview shows as well.
    corners = torch.rand(len(sizes), 50, 2) * torch.tensor([view[1] - 1.0, view[0] - 1.0])
    moved = transform(corners, torch.linalg.inv(between))
    assert inside(moved, torch.tensor(view).expand(len(sizes), 2)).float().mean() > 0.7

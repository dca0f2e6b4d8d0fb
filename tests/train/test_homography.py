"""Random homographies and warps of images and points agree with one another."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from skimage import data

from train.homography import HomographyRange, inside, sample_homographies, transform, warp

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

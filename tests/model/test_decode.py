"""`cv2_superpoint.model.decode` against slow references that are obvious."""

import numpy as np
import pytest
import scipy.ndimage
import torch
from maps import peak, random_map

from cv2_superpoint.model.decode import heat_map, point_scores, refine_subpixel, sample_descriptors


def test_heat_map_by_loops():
    logits = torch.randn(2, 65, 3, 4, generator=torch.Generator().manual_seed(0)) * 3
    wanted = np.zeros((2, 24, 32))
    for b in range(2):
        for i in range(3):
            for j in range(4):
                cell = logits[b, :, i, j].double().numpy()
                share = np.exp(cell) / np.exp(cell).sum()
                for channel in range(64):  # row by row within the cell; 64 is the dustbin
                    wanted[b, 8 * i + channel // 8, 8 * j + channel % 8] = share[channel]
    np.testing.assert_allclose(heat_map(logits), wanted, atol=1e-6)


def test_heat_map_of_half_precision_is_float32():
    logits = torch.randn(1, 65, 2, 2) * 30
    heat = heat_map(logits.half())
    assert heat.dtype == torch.float32
    np.testing.assert_allclose(heat, heat_map(logits.half().float()))


@pytest.mark.parametrize("sigma", [0.6, 0.8, 1.0])
@pytest.mark.parametrize("offset", [(0, 0), (0.25, -0.1), (-0.4, 0.4), (0.49, 0.49)])
@pytest.mark.parametrize("start", [(0, 0), (1, 0), (-1, 1)])
def test_refine_finds_the_middle_of_a_peak(offset, sigma, start):
    x, y = 12 + offset[0], 10 + offset[1]
    begin = torch.tensor([[0, 10 + start[1], 12 + start[0]]])
    found = refine_subpixel(peak(x, y, sigma), begin)
    error = np.hypot(*(found[0].numpy() - (x, y)))
    # Nearer than the whole pixel is, by far.
    assert error < 0.12
    assert error <= 0.25 * np.hypot(*offset) + 1e-6


def test_refine_by_loops():
    heat = random_map(4, (3, 12, 15), None).double()
    random = np.random.default_rng(5)
    index = random.integers(0, (3, 12, 15), (60, 3))
    wanted = []
    for b, y, x in index:
        near = [(v, u) for v in range(y - 1, y + 2) for u in range(x - 1, x + 2)]
        near = [(v, u) for v, u in near if 0 <= v < 12 and 0 <= u < 15]
        top, left = max(near, key=lambda p: float(heat[b, p[0], p[1]]))
        total = sum_x = sum_y = 0.0
        for v in range(max(0, top - 2), min(12, top + 3)):
            for u in range(max(0, left - 2), min(15, left + 3)):
                weight = float(heat[b, v, u])
                total, sum_x, sum_y = total + weight, sum_x + weight * u, sum_y + weight * v
        wanted.append((sum_x / total, sum_y / total))
    got = refine_subpixel(heat, torch.from_numpy(index))
    np.testing.assert_allclose(got, wanted, atol=1e-5)


@pytest.mark.parametrize(("x", "y"), [(0, 0), (24, 0), (0, 20), (24, 20), (24, 10), (12, 0)])
def test_refine_stays_inside(x, y):
    found = refine_subpixel(peak(x, y, 1.0), torch.tensor([[0, y, x]]))[0]
    assert 0 <= found[0] <= 24
    assert 0 <= found[1] <= 20
    assert np.hypot(*(found.numpy() - (x, y))) < 1.2


def test_refine_of_a_map_of_one_pixel_and_of_no_peaks():
    assert refine_subpixel(torch.ones(1, 1, 1), torch.tensor([[0, 0, 0]])).tolist() == [[0, 0]]
    none = torch.zeros(0, 3, dtype=torch.long)
    assert refine_subpixel(torch.ones(1, 5, 5), none).shape == (0, 2)
    assert refine_subpixel(torch.zeros(1, 5, 5), torch.tensor([[0, 2, 3]])).tolist() == [[3, 2]]


def test_the_score_is_the_heat_of_the_pixels_around():
    heat = random_map(8, (2, 6, 7), None)
    wanted = scipy.ndimage.uniform_filter(heat.numpy(), (1, 3, 3), mode="constant") * 9
    np.testing.assert_allclose(point_scores(heat), wanted, atol=1e-6)


def interpolate(grid: np.ndarray, x: float, y: float) -> np.ndarray:
    """Bilinear, at a pixel: the middle of cell (i, j) is at pixel (8 j + 3.5, 8 i + 3.5)."""
    _, height, width = grid.shape
    u = min(max((x + 0.5) / 8 - 0.5, 0), width - 1)
    v = min(max((y + 0.5) / 8 - 0.5, 0), height - 1)
    j, i = min(int(u), max(width - 2, 0)), min(int(v), max(height - 2, 0))
    right, below = min(j + 1, width - 1), min(i + 1, height - 1)
    a, b = u - j, v - i
    upper = (1 - a) * grid[:, i, j] + a * grid[:, i, right]
    lower = (1 - a) * grid[:, below, j] + a * grid[:, below, right]
    return (1 - b) * upper + b * lower


@pytest.mark.parametrize(("height", "width"), [(1, 1), (1, 4), (3, 1), (5, 6)])
def test_sample_descriptors_by_hand(height, width):
    grid = torch.randn(16, height, width, generator=torch.Generator().manual_seed(6))
    random = np.random.default_rng(7)
    corners = [(0, 0), (8 * width - 1, 8 * height - 1), (3.5, 3.5), (8 * width - 1, 0)]
    points = np.concatenate([random.uniform(0, (8 * width - 1, 8 * height - 1), (50, 2)), corners])
    wanted = np.array([interpolate(grid.double().numpy(), x, y) for x, y in points])
    wanted /= np.linalg.norm(wanted, axis=1, keepdims=True)
    got = sample_descriptors(grid[None], torch.from_numpy(points)[None])[0]
    assert got.dtype == torch.float32
    np.testing.assert_allclose(got, wanted, atol=2e-5)


def test_a_linear_ramp_is_sampled_exactly():
    # Three planes, linear in the pixel; the first is constant, to undo the normalisation.
    i, j = np.mgrid[:7, :9]
    planes = np.stack([np.full((7, 9), 50.0), 8 * j + 3.5, 8 * i + 3.5]).astype(np.float32)
    points = np.random.default_rng(8).uniform(3.5, (8 * 9 - 4.5, 8 * 7 - 4.5), (100, 2))
    got = sample_descriptors(torch.from_numpy(planes)[None], torch.from_numpy(points)[None])[0]
    got = got.numpy()
    np.testing.assert_allclose(50 * got[:, 1:] / got[:, :1], points, atol=1e-3)


def test_the_middle_of_a_cell_gives_the_cell():
    grid = torch.randn(8, 4, 5)
    got = sample_descriptors(grid[None], torch.tensor([[[8 * 3 + 3.5, 8 * 2 + 3.5]]]))[0, 0]
    np.testing.assert_allclose(got, grid[:, 2, 3] / grid[:, 2, 3].norm(), atol=1e-5)


def test_no_points_give_no_descriptors():
    assert sample_descriptors(torch.randn(2, 8, 4, 5), torch.zeros(2, 0, 2)).shape == (2, 0, 8)


def test_each_image_of_a_batch_is_sampled_in_its_own_map():
    grid, xy = torch.randn(3, 8, 4, 5), torch.rand(3, 6, 2) * 30
    got = sample_descriptors(grid, xy)
    for i in range(3):
        torch.testing.assert_close(got[i], sample_descriptors(grid[i : i + 1], xy[i : i + 1])[0])

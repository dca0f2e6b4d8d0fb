"""`cv2_superpoint.model.decode` against slow references that are obvious."""

import numpy as np
import pytest
import scipy.ndimage
import torch

from cv2_superpoint.model.decode import (
    find_points,
    heat_map,
    max_filter,
    non_maximum_suppression,
    point_scores,
    refine_subpixel,
    sample_descriptors,
)

RADII = range(6)


def random_map(seed: int, shape: tuple[int, ...], levels: int | None) -> torch.Tensor:
    """In [0, 1]; with few levels there are many ties and plateaus."""
    random = np.random.default_rng(seed)
    if levels is None:
        return torch.from_numpy(random.random(shape, np.float32))
    return torch.from_numpy(random.integers(0, levels, shape).astype(np.float32) / levels)


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


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.uint8, torch.int32])
@pytest.mark.parametrize("shape", [(1, 1), (1, 9), (13, 1), (2, 3), (17, 23), (2, 11, 10)])
def test_window_max_is_scipys(shape, dtype):
    values = (random_map(1, shape, None) * 200 - 100 * dtype.is_signed).to(dtype)
    for radius in (*RADII, 40):
        size = [1] * (len(shape) - 2) + [2 * radius + 1] * 2
        wanted = scipy.ndimage.maximum_filter(values.numpy(), size, mode="nearest")
        got = max_filter(values, radius)
        assert got.dtype == dtype
        np.testing.assert_array_equal(got, wanted)


def greedy(heat: np.ndarray, threshold: float, radius: int) -> np.ndarray:
    """Visit the strongest first, equal ones row by row; drop what is near to one kept."""
    height, width = heat.shape
    kept = np.zeros((height, width), bool)
    for index in np.argsort(-heat, axis=None, kind="stable"):
        y, x = divmod(int(index), width)
        near = kept[max(0, y - radius) : y + radius + 1, max(0, x - radius) : x + radius + 1]
        if heat[y, x] > threshold and not near.any():
            kept[y, x] = True
    return kept


@pytest.mark.parametrize("radius", RADII)
@pytest.mark.parametrize("levels", [None, 50, 5, 2, 1], ids="levels {}".format)
@pytest.mark.parametrize("shape", [(1, 1), (1, 30), (23, 2), (31, 29)], ids=str)
def test_suppress_is_greedy(shape, levels, radius):
    heat = random_map(2, (2, *shape), levels)
    if levels == 1:
        heat += 0.5  # one plateau
    threshold = 0.23  # no level of the maps: equality would depend on rounding
    wanted = [greedy(one.numpy(), threshold, radius) for one in heat]
    np.testing.assert_array_equal(non_maximum_suppression(heat, threshold, radius), wanted)


@pytest.mark.parametrize("radius", [1, 3, 4])
@pytest.mark.parametrize(
    "make",
    [
        lambda y, x: x / 40,  # a ramp: each is stronger than the one before
        lambda y, x: (40 - x + y) / 80,
        lambda y, x: (x // 8 + y // 8) % 2 / 2 + 0.25,  # a board of plateaus
        lambda y, x: (np.hypot(x - 20, y - 15) < 9) * 1.0,  # a disc
        lambda y, x: ((x % 4 == 0) & (y % 4 == 0)) * 1.0,  # equal points at the very radius
        lambda y, x: ((x % 5 == 0) & (y % 5 == 0)) * 1.0,
    ],
    ids=["ramp", "slope", "board", "disc", "grid of 4", "grid of 5"],
)
def test_suppress_of_patterns_is_greedy(make, radius):
    y, x = np.mgrid[:32, :40]
    heat = make(y, x).astype(np.float32)
    got = non_maximum_suppression(torch.from_numpy(heat)[None], 0.11, radius)[0]
    np.testing.assert_array_equal(got, greedy(heat, 0.11, radius))


def test_suppress_keeps_only_what_is_strictly_above_the_threshold():
    heat = torch.tensor([[[0.5, 0.0, 0.0, 0.25]]])
    assert non_maximum_suppression(heat, 0.25, 1).tolist() == [[[True, False, False, False]]]
    assert non_maximum_suppression(heat, 0.0, 0).tolist() == [[[True, False, False, True]]]
    assert not non_maximum_suppression(torch.zeros(1, 5, 5), 0.0, 2).any()


def test_a_pixel_that_is_no_number_takes_nothing_from_the_others():
    heat = torch.zeros(2, 9, 9)
    heat[0, 1, 1], heat[0, 7, 7], heat[1, 4, 4] = torch.nan, 0.5, 0.6
    assert non_maximum_suppression(heat, 0.1, 4).nonzero().tolist() == [[0, 7, 7], [1, 4, 4]]


def test_suppress_leaves_the_heat_map_alone():
    heat = random_map(3, (1, 20, 20), 4)
    before = heat.clone()
    non_maximum_suppression(heat, 0.1, 3)
    assert torch.equal(heat, before)


def peak(x: float, y: float, sigma: float, height: int = 21, width: int = 25) -> torch.Tensor:
    rows, columns = np.mgrid[:height, :width]
    squares = (columns - x) ** 2 + (rows - y) ** 2
    return torch.from_numpy(np.exp(-squares / (2 * sigma**2)))[None]


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


def slow_points(heat, threshold, radius, limit, keep):
    """Greedy suppression of all scores; then positions, what may be kept, and the limit."""
    score = point_scores(heat[None])
    index = torch.from_numpy(greedy(score[0].numpy(), threshold, radius)).nonzero()
    index = torch.cat([torch.zeros(len(index), 1, dtype=torch.long), index], dim=1)
    xy, values = refine_subpixel(heat[None], index), score[index.unbind(1)]
    xy, values = xy[keep(xy)], values[keep(xy)]
    order = values.argsort(descending=True, stable=True)
    order = order[:limit] if limit > 0 else order
    return xy[order], values[order]


@pytest.mark.parametrize("limit", [0, 1, 7, 40, 10_000])
@pytest.mark.parametrize("radius", [0, 1, 4])
@pytest.mark.parametrize(("shape", "levels"), [((40, 57), None), ((40, 57), 3), ((9, 9), 2)])
def test_the_strongest_points_are_those_of_greedy_suppression(shape, levels, radius, limit):
    for seed in range(3):
        heat = random_map(seed, shape, levels)
        heat = heat * (random_map(seed + 9, shape, None) > 0.3)

        def keep(xy):
            return (xy[:, 0] > 3) & (xy[:, 1] > 2)

        wanted = slow_points(heat, 0.8, radius, limit, keep)
        got = find_points(heat, 0.8, radius, limit, keep)
        assert torch.equal(got[1], wanted[1])
        torch.testing.assert_close(got[0], wanted[0])


@pytest.mark.parametrize("threshold", [0.0, 0.3, 5.0])
def test_points_of_a_few_peaks(threshold):
    heat = peak(20.3, 11.1, 0.8, 300, 400)[0].float() + peak(200, 150.4, 0.7, 300, 400)[0].float()
    xy, score = find_points(heat, threshold, 4, 2)
    assert len(score) == (2 if threshold < 5 else 0)
    if threshold < 5:
        np.testing.assert_allclose(xy, [[20.3, 11.1], [200, 150.4]], atol=0.05)
        assert score[0] > score[1] > threshold


def test_no_points_where_there_is_no_heat_or_no_number():
    assert len(find_points(torch.zeros(20, 30), 0.0, 4)[1]) == 0
    heat = peak(12, 10, 0.8)[0].float()
    heat[3, 3] = torch.nan
    assert len(find_points(heat, 0.5, 4)[1]) == 1


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

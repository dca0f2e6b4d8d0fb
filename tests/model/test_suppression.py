"""`cv2_superpoint.model.suppression` against slow references that are obvious."""

import numpy as np
import pytest
import scipy.ndimage
import torch
from maps import peak, random_map

from cv2_superpoint.model.decode import point_scores, refine_subpixel
from cv2_superpoint.model.suppression import find_points, max_filter, non_maximum_suppression

RADII = range(6)


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


@pytest.mark.parametrize("radius", [25, 70, 1 << 15])
def test_a_large_radius_takes_little_memory(radius):
    resource = pytest.importorskip("resource")  # not on Windows
    heat = torch.rand(120, 160, generator=torch.Generator().manual_seed(0))
    heat[::8, ::8] = 1  # many equal ones
    score = point_scores(heat[None])
    kept = non_maximum_suppression(score, 0.1, min(radius, 160))[0]
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    found = find_points(heat, 0.1, radius)
    assert len(found[1]) == kept.sum() >= 1
    assert torch.equal(found[1], score[0][kept].sort(descending=True).values)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 400_000  # KiB

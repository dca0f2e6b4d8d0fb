"""Which labels count: worlds of a few cells, in which it is plain who is found again."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from cv2_superpoint.model.network import CELL, DUSTBIN
from train.data.views import View
from train.learn.ranking import PEAK_RADIUS, distance_of_peaks, find_each_other, label_weights

HEIGHT, WIDTH = 24, 32
ROWS, COLUMNS = HEIGHT // CELL, WIDTH // CELL
MIDDLES = torch.tensor(
    [[CELL * j + 3.5, CELL * i + 3.5] for i in range(ROWS) for j in range(COLUMNS)]
)


def _maps(order: list[int]) -> Tensor:
    """Return descriptors of all cells, each a unit vector of its own, in an order."""
    return torch.eye(ROWS * COLUMNS)[order].T.reshape(1, -1, ROWS, COLUMNS)


def _logits(pixels: list[tuple[int, int]]) -> Tensor:
    """Return logits of a heat map that is hot at some pixels ``(x, y)`` only."""
    logits = torch.zeros(1, DUSTBIN + 1, ROWS, COLUMNS)
    logits[:, DUSTBIN] = 20
    for x, y in pixels:
        logits[0, y % CELL * CELL + x % CELL, y // CELL, x // CELL] = 30
    return logits


def _view(points: Tensor, present: Tensor | None = None) -> View:
    shown = torch.ones(points.shape[:2], dtype=torch.bool) if present is None else present
    valid = torch.ones(len(points), HEIGHT, WIDTH, dtype=torch.bool)
    images = torch.zeros(len(points), 1, HEIGHT, WIDTH)
    return View(images, valid, points, shown, torch.eye(3)[None])


def test_points_of_confused_cells_do_not_find_each_other():
    same = list(range(12))
    swapped = [0, 2, 1, *range(3, 12)]
    points = (MIDDLES[None, :4], MIDDLES[None, :4])
    assert find_each_other((_maps(same), _maps(same)), points, 6).all()
    found = find_each_other((_maps(same), _maps(swapped)), points, 6)
    assert found.tolist() == [[True, False, False, True]]


@pytest.mark.parametrize("twin_in", [0, 1])
def test_a_twin_in_either_view_is_a_rival_unless_it_is_near(twin_in):
    maps = [_maps(list(range(12))), _maps(list(range(12)))]
    maps[twin_in][0, :, 0, 1] = maps[twin_in][0, :, 0, 0]
    points = (MIDDLES[None, :1], MIDDLES[None, :1])
    assert not find_each_other((maps[0], maps[1]), points, 6)[0, 0]
    assert find_each_other((maps[0], maps[1]), points, 9)[0, 0]


def test_peaks_apart_are_measured_where_they_are_nearer():
    # The second view is twice as large: 3 of its pixels are 1.5 of the first's.
    first, second = _logits([(10, 10)]), _logits([(23, 20)])
    points = (torch.tensor([[[10.0, 10.0]]]), torch.tensor([[[22.0, 20.0]]]))
    double = torch.diag(torch.tensor([2.0, 2.0, 1.0]))[None]
    half = torch.diag(torch.tensor([0.5, 0.5, 1.0]))[None]
    assert distance_of_peaks((first, second), points, double).item() == pytest.approx(1.5, abs=1e-3)
    points = (points[1], points[0])
    assert distance_of_peaks((second, first), points, half).item() == pytest.approx(1.5, abs=1e-3)


def test_labels_count_as_they_are_found_again():
    # Found in place; found a pixel off; confused; seen in one view only.
    points = torch.tensor([[[4.0, 4.0], [12, 4], [20, 4], [28, 20]]])
    present = torch.tensor([[True, True, True, False]])
    logits = (_logits([(4, 4), (12, 4), (20, 4)]), _logits([(4, 4), (13, 4), (20, 4)]))
    swapped = [0, 1, 10, 3, 4, 5, 6, 7, 8, 9, 2, 11]
    maps = (_maps(list(range(12))), _maps(swapped))
    weights = label_weights(logits, maps, _view(points), _view(points, present), 0.25, 6)[0]
    off = 0.25 + 0.75 * (1 - 1 / PEAK_RADIUS)
    expected = torch.tensor([1.0, off, 0.25, (1 + off + 0.25) / 3])
    assert torch.allclose(weights, expected, atol=1e-3)


def test_labels_that_no_view_shares_have_a_weight():
    points = torch.full((1, 2, 2), 5.0)
    absent = torch.zeros(1, 2, dtype=torch.bool)
    logits, maps = _logits([]), _maps(list(range(12)))
    weights = label_weights(
        (logits, logits), (maps, maps), _view(points), _view(points, absent), 0.3, 6
    )
    assert (weights == 1).all()

"""Pairs of views: the points that are compared correspond, and both views show them."""

from __future__ import annotations

import pytest
import torch

from train.data.datasets import Batch
from train.data.views import View, join, look, pick_correspondences

SIZE = (48, 64)


def _view(points, shift):
    """A view of two pictures that are as large; moved by whole pixels."""
    to_source = torch.eye(3).repeat(2, 1, 1)
    to_source[:, 0, 2] = shift
    valid = torch.ones(2, *SIZE, dtype=torch.bool)
    moved = torch.tensor(points, dtype=torch.float32).expand(2, -1, 2) - torch.tensor([shift, 0.0])
    return View(torch.zeros(2, 1, *SIZE), valid, moved, moved[..., 0] >= 0, to_source)


@pytest.mark.parametrize("count", [8, 9])
def test_correspondences_are_as_many_as_asked_for_and_show_the_same(count):
    torch.manual_seed(0)
    points = [[30.0, 20.0], [40.0, 8.0], [2.0, 3.0]]  # of which the second view lacks the last
    first, second = _view(points, 0.0), _view(points, 5.0)
    at_first, at_second, usable = pick_correspondences(first, second, count)
    assert at_first.shape == at_second.shape == (2, count, 2)
    assert torch.allclose((at_first - at_second)[usable], torch.tensor([5.0, 0.0]), atol=1e-4)
    for found, shown in zip(at_first, usable, strict=True):
        labelled = {tuple(point) for point in found[: count // 2][shown[: count // 2]].tolist()}
        assert labelled == {(30.0, 20.0), (40.0, 8.0)}
        assert shown[count // 2 :].sum() >= 2  # chance decides how many of these lie outside


@pytest.mark.parametrize(("zoom", "level"), [(1.1, 0), (0.8, 1), (0.5, 2), (0.37, 3), (0.1, 4)])
def test_a_view_has_the_labels_of_the_scale_nearest_to_its_zoom(zoom, level):
    points = torch.full((1, 5, 2), 420.0) + torch.arange(5.0)[:, None]
    batch = Batch(
        torch.zeros(1, 1, 840, 840, dtype=torch.uint8),
        torch.tensor([[840, 840]]),
        points,
        torch.arange(5.0)[None],
        torch.ones(1, 5, dtype=torch.bool),
    )
    to_source = torch.tensor([[[1 / zoom, 0, 400], [0, 1 / zoom, 400], [0, 0, 1]]])
    view = look(batch, to_source, SIZE, torch.nn.Identity())
    assert view.present[0].nonzero().flatten().tolist() == [level]
    assert torch.allclose(view.points[0, level], (points[0, level] - 400) * zoom, atol=1e-3)


def test_a_small_photograph_has_one_scale_at_any_zoom():
    batch = Batch(
        torch.zeros(1, 1, 256, 352, dtype=torch.uint8),
        torch.tensor([[256, 352]]),
        torch.full((1, 1, 2), 10.0),
        torch.zeros(1, 1),
        torch.ones(1, 1, dtype=torch.bool),
    )
    for zoom in (0.2, 0.5, 1.0, 2.0):
        view = look(batch, torch.diag(torch.tensor([1 / zoom, 1 / zoom, 1]))[None], SIZE,
                    torch.nn.Identity())  # fmt: skip
        assert view.present.all()


def test_views_of_different_pictures_are_joined():
    first, second = _view([[30.0, 20.0]], 0.0), _view([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]], 0.0)
    both = join([first, second])
    assert both.images.shape == (4, 1, *SIZE)
    assert both.present.sum(1).tolist() == [1, 1, 3, 3]
    assert torch.equal(both.points[2:], second.points)
    assert torch.equal(both.points[:2, :1], first.points)

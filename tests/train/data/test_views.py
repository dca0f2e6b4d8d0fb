"""Pairs of views: the points that are compared correspond, and both views show them."""

from __future__ import annotations

import pytest
import torch

from train.data.views import View, pick_correspondences

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

"""Losses against slow, obvious references."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from cv2_superpoint.model.network import CELL
from train.learn.losses import (
    detector_loss,
    detector_targets,
    distillation_losses,
    hinge_loss,
    info_nce_loss,
    reprojection_loss,
)

SIZE = (24, 32)


def test_target_of_a_point_on_a_pixel():
    target = detector_targets(torch.tensor([[[13.0, 10.0]]]), torch.tensor([[True]]), SIZE)
    assert target[0, (10 % CELL) * CELL + 13 % CELL, 1, 1] == 1
    assert target.sum(1).allclose(torch.ones(1, 3, 4))
    assert target[0, -1].sum() == 11  # dustbins of all other cells


def test_expectation_of_a_target_is_the_point():
    point = torch.tensor([12.3, 9.6])
    target = detector_targets(point[None, None], torch.tensor([[True]]), SIZE)[0, :-1]
    heat = torch.nn.functional.pixel_shuffle(target[None], CELL)[0, 0]
    y, x = torch.meshgrid(torch.arange(24.0), torch.arange(32.0), indexing="ij")
    assert torch.allclose(torch.stack([(heat * x).sum(), (heat * y).sum()]), point, atol=1e-5)


def test_absent_points_and_points_outside_leave_no_trace():
    points = torch.tensor([[[-5.0, 3.0], [500.0, 3.0], [4.0, 4.0]]])
    target = detector_targets(points, torch.tensor([[True, True, False]]), SIZE)
    assert target[:, -1].eq(1).all()


def test_a_crowded_cell_is_still_a_distribution():
    points = torch.tensor([[[1.0, 1.0], [2.0, 2.0], [5.0, 5.0]]])
    target = detector_targets(points, torch.ones(1, 3, dtype=torch.bool), SIZE)
    assert torch.allclose(target[0, :, 0, 0].sum(), torch.tensor(1.0))
    assert torch.allclose(target[0, 1 * CELL + 1, 0, 0], torch.tensor(1 / 3))
    assert target[0, -1, 0, 0] == 0


def test_a_quarter_of_a_point_leaves_the_rest_to_the_dustbin():
    points, weight = torch.tensor([[[3.0, 2.0]]]), torch.tensor([[0.25]])
    target = detector_targets(points, torch.tensor([[True]]), SIZE, weight)
    assert target[0, 2 * CELL + 3, 0, 0] == 0.25
    assert target[0, -1, 0, 0] == 0.75


def test_detector_loss_is_the_mean_cross_entropy_of_valid_cells():
    torch.manual_seed(0)
    logits = torch.randn(2, 65, 3, 4)
    target = torch.rand(2, 65, 3, 4).softmax(1)
    valid = torch.ones(2, *SIZE, dtype=torch.bool)
    valid[0, 9, 9] = False  # spoils cell (1, 1) of the first image
    expected, count = 0.0, 0
    for b in range(2):
        for i in range(3):
            for j in range(4):
                if (b, i, j) == (0, 1, 1):
                    continue
                count += 1
                log_p = logits[b, :, i, j].log_softmax(0)
                weights = torch.ones(65)
                weights[-1] = 0.5
                expected -= float((weights * target[b, :, i, j] * log_p).sum())
    assert math.isclose(detector_loss(logits, target, valid, 0.5), expected / count, rel_tol=1e-5)


def test_info_nce_of_few_descriptors_by_hand():
    torch.manual_seed(1)
    first, second = (torch.nn.functional.normalize(torch.randn(1, 4, 8), dim=2) for _ in "ab")
    present = torch.tensor([[True, True, True, False]])
    positions = torch.tensor([[[0.0, 0.0], [3.0, 0.0], [50.0, 0.0], [9.0, 9.0]]])
    loss, accuracy = info_nce_loss(first, second, present, positions, 0.1, 6.0)
    # Points 0 and 1 are too close to be each other's negatives; point 3 does not exist.
    rivals = {0: [0, 2], 1: [1, 2], 2: [0, 1, 2]}
    similarity = (first[0] @ second[0].T / 0.1).tolist()
    terms = []
    for i, others in rivals.items():
        for row in ([similarity[i][j] for j in others], [similarity[j][i] for j in others]):
            terms.append(math.log(sum(map(math.exp, row))) - similarity[i][i])
    right = [max(js, key=lambda j, i=i: similarity[i][j]) == i for i, js in rivals.items()]
    assert math.isclose(loss, sum(terms) / 6, rel_tol=1e-4)
    assert math.isclose(accuracy, sum(right) / 3, rel_tol=1e-6)


def test_info_nce_without_correspondences_is_finite():
    rows = torch.zeros(2, 3, 8)
    loss, accuracy = info_nce_loss(
        rows, rows, torch.zeros(2, 3, dtype=torch.bool), torch.zeros(2, 3, 2), 0.1, 6.0
    )
    assert loss == 0
    assert accuracy == 0


def shift(x: float, y: float) -> torch.Tensor:
    return torch.tensor([[1, 0, x], [0, 1, y], [0, 0, 1]], dtype=torch.float32)[None]


def test_hinge_loss_by_hand():
    # Two cells side by side; the second view shows the same ones.
    first = torch.tensor([[[[1.0, 0.0]], [[0.0, 2.0]]]])  # unit vectors e1, e2 once normalised
    second = torch.tensor([[[[3.0, 1.0]], [[0.0, 0.0]]]])  # e1, e1
    valid = torch.ones(1, 8, 16, dtype=torch.bool)
    # Centres of neighbouring cells are 8 pixels apart, which still corresponds: all pairs do.
    loss = hinge_loss((first, second), (valid, valid), torch.eye(3)[None], positive_weight=10)
    assert float(loss) == pytest.approx((0 + 0 + 10 + 10) / 4)
    # Moved by two cells, (0, 0) falls outside, and (0, 1) corresponds to none.
    loss = hinge_loss((first, second), (valid, valid), shift(24, 0), positive_weight=10)
    assert float(loss) == pytest.approx((0.8 + 0.8 + 0 + 0) / 4)


def test_hinge_loss_by_brute_force():
    torch.manual_seed(0)
    first, second = torch.randn(2, 2, 5, 3, 4)
    valid = torch.rand(2, 2, 24, 32) < 0.999
    homography = torch.eye(3).repeat(2, 1, 1) + 0.1 * torch.randn(2, 3, 3) * torch.tensor(
        [[1, 1, 50], [1, 1, 50], [1e-3, 1e-3, 0]]
    )
    loss = hinge_loss((first, second), (valid[0], valid[1]), homography, 7.0, 0.9, 0.1)
    total, count = 0.0, 0
    whole = valid.reshape(2, 2, 3, 8, 4, 8).all(5).all(3)
    for b, i, j, m, n in np.ndindex(2, 3, 4, 3, 4):
        if not (whole[0, b, i, j] and whole[1, b, m, n]):
            continue
        x, y, w = homography[b].numpy() @ [8 * j + 3.5, 8 * i + 3.5, 1]
        near = np.hypot(x / w - (8 * n + 3.5), y / w - (8 * m + 3.5)) <= 8
        d = torch.nn.functional.cosine_similarity(first[b, :, i, j], second[b, :, m, n], dim=0)
        total += float(7 * max(0, 0.9 - d) if near else max(0, d - 0.1))
        count += 1
    assert 0 < count < 2 * 144
    assert float(loss) == pytest.approx(total / count, rel=1e-4)


def bump(x: float, y: float, size=(32, 40)) -> torch.Tensor:
    """A heat map with one smooth peak."""
    rows, columns = np.mgrid[: size[0], : size[1]]
    heat = 0.9 * np.exp(-((columns - x) ** 2 + (rows - y) ** 2) / 1.5)
    return torch.tensor(heat, dtype=torch.float32)[None]


def test_reprojection_loss_is_the_distance_of_the_peaks_and_draws_them_together():
    valid = torch.ones(1, 32, 40, dtype=torch.bool)
    first, second = bump(12, 15), bump(21.6, 17.2)
    loss = reprojection_loss((first, second), (valid, valid), shift(9, 2), count=4)
    assert float(loss) == pytest.approx(np.hypot(0.6, 0.2), abs=0.05)
    parameter = first.clone().requires_grad_()
    loss = reprojection_loss((parameter, second), (valid, valid), shift(9, 2), count=4)
    loss.backward()
    assert parameter.grad[0, 15, 13] < 0 < parameter.grad[0, 15, 11]


def test_reprojection_loss_leaves_out_what_has_no_partner():
    valid = torch.ones(1, 32, 40, dtype=torch.bool)
    views = (bump(12, 15), bump(20, 15))
    assert reprojection_loss(views, (valid, valid), shift(4, 0)) == 0  # 4 pixels apart
    hidden = valid.clone()
    hidden[:, :, 18:] = False
    assert reprojection_loss(views, (valid, hidden), shift(7, 0)) == 0
    assert reprojection_loss(views, (valid, valid), shift(7, 0)) > 0
    nothing = torch.zeros(1, 32, 40)
    assert reprojection_loss((nothing, nothing), (valid, valid), shift(0, 0)) == 0


def test_distillation_compares_what_both_say_of_each_valid_cell():
    torch.manual_seed(0)
    logits, better = torch.randn(2, 2, 65, 3, 4)
    maps, wanted = torch.randn(2, 5, 3, 4), torch.randn(2, 8, 3, 4)
    valid = torch.ones(2, *SIZE, dtype=torch.bool)
    valid[1, 0, 31] = False  # spoils the last cell of the second image's first row
    detector, descriptor = distillation_losses((logits, maps), (better, wanted), valid, 0.5)
    entropies, angles = [], []
    for b in range(2):
        for i in range(3):
            for j in range(4):
                if (b, i, j) == (1, 0, 3):
                    continue
                says, should = logits[b, :, i, j].softmax(0), better[b, :, i, j].softmax(0)
                weight = torch.tensor([1.0] * 64 + [0.5])
                entropies.append(-(weight * should * says.log()).sum())
                row, first = maps[b, :, i, j], wanted[b, :5, i, j]
                angles.append(1 - row @ first / row.norm() / first.norm())
    assert detector.item() == pytest.approx(np.mean(entropies), rel=1e-5)
    assert descriptor.item() == pytest.approx(np.mean(angles), rel=1e-5)


def test_distillation_ends_at_the_teachers_descriptors():
    teacher = torch.randn(1, 65, 3, 4), torch.randn(1, 8, 3, 4)
    valid = torch.ones(1, *SIZE, dtype=torch.bool)
    _, distance = distillation_losses((teacher[0], 3 * teacher[1][:, :4]), teacher, valid, 0.5)
    assert distance.item() == pytest.approx(0, abs=1e-6)

"""Losses against slow, obvious references."""

from __future__ import annotations

import math

import torch

from cv2_superpoint.network import CELL
from train.losses import detector_loss, detector_targets, info_nce_loss

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

"""The implementation that times are compared with."""

import numpy as np
import torch
import torch.nn.functional as F

from benchmarks.speed.plain import BORDER, RADIUS, PlainSuperPoint, suppress


def test_keypoints_and_descriptors() -> None:
    image = np.random.default_rng(0).integers(0, 256, (64, 96), np.uint8)
    keypoints, descriptors = PlainSuperPoint(20).detectAndCompute(image, None)
    assert (descriptors.shape, descriptors.dtype) == ((20, 256), np.float32)
    np.testing.assert_allclose(np.linalg.norm(descriptors, axis=1), 1, rtol=1e-4)
    xy = np.array([k.pt for k in keypoints])
    assert (xy >= BORDER).all()
    assert (xy < np.array([96, 64]) - BORDER).all()
    apart = np.abs(xy[:, None] - xy).max(axis=2) + 99 * np.eye(20)
    assert apart.min() > RADIUS
    again = PlainSuperPoint(20).detectAndCompute(image, None)[1]
    np.testing.assert_array_equal(descriptors, again)


def test_suppression_by_hand() -> None:
    heat = torch.zeros(9, 40)
    # The third is too near the second, which is too near the first, and so comes back.
    heat[4, [4, 8, 12, 30]] = torch.tensor([0.9, 0.8, 0.7, 0.1])
    assert suppress(heat).nonzero()[:, 1].tolist() == [4, 12, 30]


def test_parameters_are_the_papers() -> None:
    plain = PlainSuperPoint(1)
    parts = (plain._encoder, plain._detector, plain._descriptor)
    shapes = [tuple(p.shape[:2]) for part in parts for p in part.parameters() if p.ndim == 4]
    assert shapes == [
        *((64, 1), (64, 64), (64, 64), (64, 64), (128, 64), (128, 128), (128, 128), (128, 128)),
        *((256, 128), (65, 256), (256, 128), (256, 256)),
    ]


def test_descriptors_are_sampled_at_their_pixels() -> None:
    # A keypoint in the middle of a cell has that cell's descriptor.
    grid = (2 * torch.tensor([[3.5, 11.5]]) + 1) / torch.tensor([32, 24]) - 1
    cells = torch.arange(12.0).reshape(1, 1, 3, 4)
    assert F.grid_sample(cells, grid[None, None], align_corners=False).item() == 4

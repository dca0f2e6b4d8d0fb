"""Matches, and which of them are right."""

from __future__ import annotations

import cv2
import numpy as np
from dots import SHIFT, BlindDetector, DotDetector

from cv2_superpoint.apps.example import disparity_inliers, stereo_pair
from cv2_superpoint.apps.matching import homography_inliers, match_pair, mutual_matches


def test_only_mutual_nearest_neighbours_match():
    first = np.array([[0], [10], [11]], np.float32)
    second = np.array([[10.2], [0.1]], np.float32)
    pairs = mutual_matches(first, second, cv2.NORM_L2)
    assert sorted(map(tuple, pairs)) == [(0, 1), (1, 0)]


def test_nothing_matches_nothing():
    rows = np.ones((3, 4), np.float32)
    for first, second in ((None, rows), (rows, None), (rows[:0], rows), (None, None)):
        assert mutual_matches(first, second, cv2.NORM_L2).shape == (0, 2)


def test_a_pair_is_matched_row_by_row():
    image = np.zeros((60, 90), np.uint8)
    image[[10, 20, 30], [40, 50, 60]] = 50, 60, 70
    found = match_pair(DotDetector(10), image, np.roll(image, -SHIFT[0], axis=1))
    assert found.keypoints == (3, 3)
    np.testing.assert_array_equal(found.first - found.second, [SHIFT] * 3)


def test_a_pair_without_keypoints():
    image = np.zeros((60, 90), np.uint8)
    found = match_pair(BlindDetector(10), image, image)
    assert found.keypoints == (0, 0)
    assert found.first.shape == found.second.shape == (0, 2)
    assert homography_inliers(found.first, found.second).shape == (0,)


def test_inliers_agree_with_one_homography():
    x, y = np.meshgrid(np.arange(0, 200, 40.0), np.arange(0, 200, 40.0))
    first = np.stack([x.ravel(), y.ravel()], axis=1).astype(np.float32)
    second = first + np.float32([30, -20])
    second[3] += 50
    assert (homography_inliers(first, second) == (np.arange(len(first)) != 3)).all()
    assert not homography_inliers(first[:3], second[:3]).any()


def test_the_measured_disparity_judges_matches():
    left, right, disparity = stereo_pair()
    assert left.shape == right.shape == (*disparity.shape, 3)
    y, x = (c[::1000] for c in np.nonzero(np.isfinite(disparity)))
    at_left = np.stack([x, y], axis=1).astype(np.float32)
    at_right = at_left - np.stack([disparity[y, x], 0 * x], axis=1)
    assert disparity_inliers(at_left, at_right, disparity).all()
    assert not disparity_inliers(at_left, at_right + np.float32([0, 4]), disparity).any()
    # It is no other direction: the photographs show the same there.
    inside = at_right[:, 0] >= 2
    colours = (
        im[p[inside, 1].astype(int), np.round(p[inside, 0]).astype(int)].astype(int)
        for im, p in ((left, at_left), (right, at_right))
    )
    assert np.median(np.abs(np.subtract(*colours))) < 10
    y, x = (c[:5] for c in np.nonzero(np.isinf(disparity)))
    unknown = np.stack([x, y], axis=1).astype(np.float32)
    assert not disparity_inliers(unknown, unknown, disparity).any()
    assert disparity_inliers(unknown[:0], unknown[:0], disparity).shape == (0,)

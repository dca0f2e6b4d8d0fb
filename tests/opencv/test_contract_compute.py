"""Descriptors at given keypoints: ORB, SIFT and SuperPoint alike."""

import cv2
import numpy as np
import pytest
from contract import (
    CREATE,
    IMAGE,
    POINTS,
    all_fields,
    assert_same,
)

from cv2_superpoint import SuperPoint_create


def test_compute_keeps_order_and_fields(feature):
    random = np.random.default_rng(0)
    points = [
        cv2.KeyPoint(
            float(x), float(y), 31, float(a), float(r), 0, class_id
        )
        for class_id, (x, y, a, r) in enumerate(random.uniform(50, 150, (20, 4)))
    ]  # fmt: skip
    kept, descriptors = feature.compute(IMAGE, points)
    assert all_fields(kept) == all_fields(points)
    assert len(descriptors) == 20
    backwards, rows = feature.compute(IMAGE, points[::-1])
    assert all_fields(backwards) == all_fields(points[::-1])
    np.testing.assert_allclose(rows[::-1], descriptors, atol=1e-5)


def test_compute_takes_all_sequences(feature):
    wanted = feature.compute(IMAGE, POINTS)
    assert_same(feature.compute(IMAGE, tuple(POINTS)), wanted)
    assert_same(feature.compute(IMAGE, np.array(POINTS, object)), wanted)


def test_compute_takes_the_same_point_twice(feature):
    kept, descriptors = feature.compute(IMAGE, [POINTS[0], POINTS[1], POINTS[0]])
    assert len(kept) == 3
    assert np.array_equal(descriptors[0], descriptors[2])


def test_compute_returns_copies_of_the_keypoints(feature):
    points = [cv2.KeyPoint(100, 90, 31, 10)]
    kept, _ = feature.compute(IMAGE, points)
    kept[0].pt = (1, 2)  # as code does that scales what it got
    assert points[0].pt == (100, 90)


@pytest.mark.parametrize("name", ["ORB", "SuperPoint", "our ORB"])
def test_compute_drops_points_outside(name):
    feature = CREATE[name]()
    width, height = IMAGE.shape[::-1]
    outside = [(-1, 90), (-1e9, 90), (90, -0.75), (width, 90), (90, height), (1e9, 1e9)]
    inside = [(100, 90), (120.25, 100.5), (60, 60)]
    points = [
        cv2.KeyPoint(*p, 31, 0) for pair in zip(outside, inside * 2, strict=True) for p in pair
    ]
    kept, descriptors = feature.compute(IMAGE, points)
    assert [p.pt for p in kept] == inside * 2
    assert len(descriptors) == 6
    assert feature.compute(IMAGE, points[::2]) == ((), None)


@pytest.mark.parametrize("where", [(np.nan, 90), (90, np.nan), (np.inf, 90), (90, -np.inf)])
def test_compute_drops_points_that_are_nowhere(where):
    kept, rows = SuperPoint_create().compute(IMAGE, [cv2.KeyPoint(*where, 31), POINTS[0]])
    assert [p.pt for p in kept] == [POINTS[0].pt]
    assert len(rows) == 1


@pytest.mark.parametrize(
    ("name", "by"),  # not SIFT by ORB: SIFT's octaves are packed bits, and others crash it
    [("SuperPoint", "ORB"), ("SuperPoint", "SIFT"), ("ORB", "SuperPoint"), ("SIFT", "SuperPoint")],
)
def test_each_describes_what_another_detected(name, by):
    points = CREATE[by](50).detect(IMAGE)
    kept, descriptors = CREATE[name]().compute(IMAGE, points)
    assert 0 < len(kept) == len(descriptors)
    assert set(all_fields(kept)) <= set(all_fields(points))


@pytest.mark.parametrize("nlevels", [1, 4])
@pytest.mark.parametrize("name", ["ORB", "SuperPoint", "our ORB"])
def test_detect_then_compute_is_detect_and_compute(name, nlevels):
    feature = CREATE[name](200, nlevels=nlevels)
    keypoints = feature.detect(IMAGE)
    assert len({p.octave for p in keypoints}) == nlevels
    wanted = feature.detectAndCompute(IMAGE, None)
    assert_same(feature.compute(IMAGE, keypoints), wanted)
    assert all_fields(keypoints) == all_fields(wanted[0])

"""The checks that OpenCV's own tests make of its features, made of ORB and of ours.

Facts and bars are those of the directory modules/features2d/test of OpenCV 4 (opencv/opencv):
test_keypoints.cpp, test_descriptors_regression.impl.hpp (empty data),
test_detectors_invariance.* and test_descriptors_invariance.*. The code is written afresh.
"""

import math
from collections.abc import Callable
from typing import Any

import cv2
import numpy as np
import pytest
from angles import apart

import cv2_superpoint
from cv2_superpoint import SuperPoint_create

CREATE: dict[str, Callable[[], Any]] = {
    "ORB": cv2.ORB_create,  # 500 points, 8 levels of 1.2
    "SuperPoint": lambda: SuperPoint_create(500, 1.2, 8, device="cpu"),
}
SCALES = (1.5, 2.0, 2.5)
PHOTOGRAPHS = ("astronaut", "brick", "camera", "chelsea", "coffee", "rocket")


@pytest.fixture(scope="module", params=list(CREATE))
def feature(request: pytest.FixtureRequest) -> Any:
    return CREATE[request.param]()


# Keypoints: test_keypoints.cpp -----------------------------------------------------------------


@pytest.mark.parametrize("photograph", PHOTOGRAPHS)
def test_keypoints_are_valid(feature, photographs, photograph):
    image = photographs[photograph]
    height, width = image.shape
    keypoints = feature.detect(image)
    assert keypoints
    for point in keypoints:
        assert 0 <= point.pt[0] < width
        assert 0 <= point.pt[1] < height
        assert point.size > 0
        assert point.angle == -1 or 0 <= point.angle < 360


@pytest.mark.parametrize("photograph", PHOTOGRAPHS)
def test_our_keypoints_are_valid(photographs, photograph):
    for point in CREATE["SuperPoint"]().detect(photographs[photograph]):
        assert 0 < point.response <= 4  # of four cells; ORB's may be negative
        assert 0 <= point.octave < 8
        assert point.size == pytest.approx(8 * 1.2**point.octave)
        assert point.class_id == -1


# Empty data: test_descriptors_regression.impl.hpp ----------------------------------------------


@pytest.mark.parametrize("image", [None, np.zeros((0, 0), np.uint8), np.zeros((0, 7, 3), np.uint8)])
def test_no_image_and_no_keypoints(feature, image):
    assert feature.detect(image) == ()
    assert feature.compute(image, []) == ((), None)


def test_noise_without_keypoints(feature):
    noise = np.random.default_rng(0).integers(0, 255, (50, 50, 3), dtype=np.uint8)
    assert feature.compute(noise, []) == ((), None)


def test_no_images_at_all(feature):
    assert feature.detect([]) == ()
    assert feature.compute([], []) == ((), ())


def test_one_of_several_images_is_empty(feature, photographs):
    image, empty = photographs["camera"], np.zeros((0, 0), np.uint8)
    found = feature.detect([image, empty, image])
    assert [len(keypoints) for keypoints in found][1] == 0
    assert len(found[0]) == len(found[2]) > 100
    kept, descriptors = feature.compute([image, empty, image], [found[0], (), found[2]])
    assert [len(keypoints) for keypoints in kept] == [len(found[0]), 0, len(found[2])]
    assert descriptors[1] is None
    assert np.array_equal(descriptors[0], descriptors[2])


# Scale: test_detectors_invariance.*, test_descriptors_invariance.* -----------------------------


def circles(keypoints: Any, scale: float = 1) -> np.ndarray:
    """Rows of x, y and radius."""
    return np.array([(*p.pt, p.size / 2) for p in keypoints]) * scale


def intersection_over_union(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Of each circle in `a` with each in `b`."""
    a, b = a[:, None], b[None]
    distance = np.hypot(a[..., 0] - b[..., 0], a[..., 1] - b[..., 1])
    r, s = np.broadcast_arrays(a[..., 2], b[..., 2])
    with np.errstate(divide="ignore", invalid="ignore"):
        # Each half angle of the lens, seen from the middle of one circle.
        alpha = np.arccos((distance**2 + r**2 - s**2) / (2 * distance * r))
        beta = np.arccos((distance**2 + s**2 - r**2) / (2 * distance * s))
    lens = r**2 * (alpha - np.sin(2 * alpha) / 2) + s**2 * (beta - np.sin(2 * beta) / 2)
    common = np.where(distance >= r + s, 0, lens)
    common = np.where(distance <= np.abs(r - s), np.pi * np.minimum(r, s) ** 2, common)
    return common / (np.pi * (r**2 + s**2) - common)


def test_intersection_over_union():
    same = np.array([[0.0, 0, 2]])
    others = np.array([[0.0, 0, 2], [0, 0, 1], [9, 0, 2], [2, 0, 2]])
    # The last is the textbook's lens of two equal circles, one through the other's middle.
    lens = (2 * np.pi / 3 - 3**0.5 / 2) * 4
    wanted = [1, 0.25, 0, lens / (8 * np.pi - lens)]
    np.testing.assert_allclose(intersection_over_union(same, others)[0], wanted)


def smaller(image: np.ndarray, scale: float) -> np.ndarray:
    size = {"fx": 1 / scale, "fy": 1 / scale}
    return cv2.resize(image, None, **size, interpolation=cv2.INTER_LINEAR_EXACT)


@pytest.mark.parametrize("scale", SCALES)
@pytest.mark.parametrize("photograph", PHOTOGRAPHS)
def test_detector_at_another_scale(feature, photographs, photograph, scale):
    image = photographs[photograph]
    keypoints = feature.detect(image)
    found = feature.detect(smaller(image, scale))
    assert len(keypoints) >= 15
    assert len(found) >= 15
    assert len(found) <= len(keypoints)

    overlap = intersection_over_union(circles(found, scale), circles(keypoints))
    best = overlap.argmax(1)
    matched = overlap.max(1) >= 0.5
    assert matched.mean() >= 0.08  # ORB's bar
    sizes = circles(found, scale)[matched, 2], circles(keypoints)[best[matched], 2]
    agree = np.minimum(*sizes) > 0.8 * np.maximum(*sizes)
    assert agree.mean() >= 0.49  # ORB's bar


# Rotation: test_detectors_invariance.* ----------------------------------------------------------


def turned(image: np.ndarray, degrees: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The whole image, turned counter-clockwise; a mask of it; the 2x3 matrix."""
    height, width = image.shape
    side = math.ceil(math.hypot(height, width))
    matrix = cv2.getRotationMatrix2D(((width - 1) / 2, (height - 1) / 2), degrees, 1)
    matrix[:, 2] += (side - width) / 2, (side - height) / 2
    mask = cv2.warpAffine(np.full_like(image, 255), matrix, (side, side), flags=cv2.INTER_NEAREST)
    return cv2.warpAffine(image, matrix, (side, side)), mask, matrix


@pytest.mark.parametrize("name", ["ORB", "SuperPoint"])
def test_detector_turned(photographs, name):
    feature = cv2.ORB_create() if name == "ORB" else SuperPoint_create(upright=False, device="cpu")
    matched, right = [], []
    for photograph in PHOTOGRAPHS:
        image = photographs[photograph]
        keypoints = feature.detect(image)
        for degrees in (30, 135, 270):
            view, mask, matrix = turned(image, degrees)
            found = feature.detect(view, mask)
            moved = circles(keypoints)
            moved[:, :2] = moved[:, :2] @ matrix[:, :2].T + matrix[:, 2]
            overlap = intersection_over_union(moved, circles(found))
            is_matched = overlap.max(1) >= 0.5
            matched.append(is_matched.mean())
            for i in np.flatnonzero(is_matched):
                angle = found[overlap[i].argmax()].angle
                right.append(apart(angle, keypoints[i].angle - degrees) < 15)
    assert np.mean(matched) >= 0.50  # ORB's bar
    assert np.mean(right) >= 0.76  # ORB's bar


# Descriptors at given keypoints, which change as the image does: test_descriptors_invariance.* ---

DESCRIBE: dict[str, Callable[[], Any]] = {
    "ORB": cv2.ORB_create,
    "SIFT": cv2.SIFT_create,
    "our ORB": lambda: cv2_superpoint.ORB_create(device="cpu"),
    "our SIFT": lambda: cv2_superpoint.SIFT_create(device="cpu"),
}
POINTS: dict[str, Callable[..., Any]] = {"ORB": cv2.ORB_create, "SIFT": cv2.SIFT_create}


def right_matches(
    feature: Any, image: np.ndarray, points: Any, other: np.ndarray, moved: list[cv2.KeyPoint]
) -> float:
    """Share of descriptors whose nearest one in the other image is of the same place."""

    def numbered(keypoints: Any) -> list[cv2.KeyPoint]:
        return [
            cv2.KeyPoint(*p.pt, p.size, p.angle, p.response, p.octave, i)
            for i, p in enumerate(keypoints)
        ]

    kept, descriptors = feature.compute(image, numbered(points))
    kept_there, descriptors_there = feature.compute(other, numbered(moved))
    matches = cv2.BFMatcher(feature.defaultNorm()).match(descriptors, descriptors_there)
    overlap = intersection_over_union(circles(points), circles(points))
    right = sum(
        overlap[kept[m.queryIdx].class_id, kept_there[m.trainIdx].class_id] >= 0.5 for m in matches
    )
    return right / len(kept)


# OpenCV asks for 0.99 of ORB and 0.98 of SIFT, on one picture; on these six, both have less.
@pytest.mark.parametrize(
    ("name", "points_of", "bar"),
    [("ORB", "ORB", 0.98), ("our ORB", "ORB", 0.99), ("our SIFT", "ORB", 0.99),
     ("SIFT", "SIFT", 0.94), ("our SIFT", "SIFT", 0.94)],
)  # fmt: skip
def test_descriptor_turned(photographs, name, points_of, bar):
    feature, share = DESCRIBE[name](), []
    for photograph, degrees in zip(PHOTOGRAPHS, (30, 80, 135, 200, 270, 345), strict=True):
        image = photographs[photograph]
        inner = np.zeros_like(image)
        inner[16:-16, 16:-16] = 255
        points = POINTS[points_of](300).detect(image, inner)
        view, _, matrix = turned(image, degrees)
        moved = []
        for p in points:
            x, y = matrix @ (*p.pt, 1)
            angle = (p.angle - degrees) % 360
            moved.append(cv2.KeyPoint(x, y, p.size, angle, p.response, p.octave))
        share.append(right_matches(feature, image, points, view, moved))
    print(f"{name} at keypoints of {points_of}, turned: {np.mean(share):.3f}")
    assert np.mean(share) >= bar


# OpenCV asks for 0.78 of SIFT, and nothing of ORB, which needs octaves that suit the new sizes.
@pytest.mark.parametrize("scale", SCALES)
@pytest.mark.parametrize(
    ("name", "points_of", "bar"),
    [("ORB", "ORB", 0.3), ("our ORB", "ORB", 0.98), ("our SIFT", "SIFT", 0.78)],
)
def test_descriptor_at_another_scale(photographs, name, points_of, bar, scale):
    feature, share = DESCRIBE[name](), []
    for photograph in PHOTOGRAPHS[::2]:
        image = photographs[photograph]
        points = POINTS[points_of](300).detect(image)
        moved = []
        for p in points:
            octave = p.octave
            if points_of == "ORB":
                octave = max(0, octave - round(math.log(scale, 1.2)))
            x, y = p.pt[0] / scale, p.pt[1] / scale
            moved.append(cv2.KeyPoint(x, y, p.size / scale, p.angle, p.response, octave))
        share.append(right_matches(feature, image, points, smaller(image, scale), moved))
    print(f"{name} at keypoints of {points_of}, {scale} times smaller: {np.mean(share):.3f}")
    assert np.mean(share) >= bar

"""Does it match? Real photographs under known warps and lights, and a real stereo pair."""

from collections.abc import Callable
from typing import Any, NamedTuple

import cv2
import numpy as np
import pytest
import skimage.data

from cv2_superpoint import SuperPoint_create

CREATE: dict[str, Callable[[int], Any]] = {"ORB": cv2.ORB_create, "SuperPoint": SuperPoint_create}
PHOTOGRAPHS = ("astronaut", "brick", "camera", "chelsea", "coffee", "rocket")
NFEATURES = 500
PIXELS = 3.0
"""What counts as right: RANSAC's threshold, the error of a match, the mean error of corners."""


def around_the_middle(width: int, height: int, matrix: np.ndarray) -> np.ndarray:
    """The homography `matrix`, of coordinates whose origin is the middle of the image."""
    to_middle = np.array([[1, 0, -width / 2], [0, 1, -height / 2], [0, 0, 1]])
    return np.linalg.inv(to_middle) @ matrix @ to_middle


def similarity(degrees: float, scale: float) -> np.ndarray:
    angle = np.radians(degrees)
    c, s = scale * np.cos(angle), scale * np.sin(angle)
    return np.array([[c, -s, 4], [s, c, -7], [0, 0, 1]])


def perspective(a: float, b: float) -> np.ndarray:
    return np.array([[1, 0.05, 0], [-0.03, 1.02, 0], [a, b, 1]])


WARPS = {
    "rotation by 8 degrees": similarity(8, 1),
    "rotation by 15 degrees": similarity(-15, 1),
    "smaller": similarity(0, 0.8),
    "larger": similarity(0, 1.25),
    "larger and turned": similarity(10, 1.15),
    "perspective": perspective(4e-4, -2e-4),
    "more perspective": perspective(-6e-4, 5e-4),
}


def noisy(image: np.ndarray) -> np.ndarray:
    noise = np.random.default_rng(0).normal(0, 12, image.shape)
    return np.clip(image + noise, 0, 255)


LIGHTS: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "gamma 0.5": lambda image: 255 * (image / 255) ** 0.5,
    "gamma 2": lambda image: 255 * (image / 255) ** 2,
    "darker": lambda image: image * 0.4,
    "less contrast": lambda image: image * 0.4 + 120,
    "noise": noisy,
    "dark on one side": lambda image: image * np.linspace(0.3, 1, image.shape[1]),
}


class Found(NamedTuple):
    """In an image."""

    points: np.ndarray
    descriptors: np.ndarray


def extract(feature: Any, image: np.ndarray) -> Found:
    keypoints, descriptors = feature.detectAndCompute(image, None)
    return Found(cv2.KeyPoint.convert(keypoints), descriptors)


def match(norm: int, first: Found, second: Found) -> tuple[np.ndarray, np.ndarray]:
    """Positions of mutual nearest neighbours."""
    matches = cv2.BFMatcher(norm, crossCheck=True).match(first.descriptors, second.descriptors)
    ours, theirs = ([getattr(m, side) for m in matches] for side in ("queryIdx", "trainIdx"))
    return first.points[ours], second.points[theirs]


def transform(points: np.ndarray, homography: np.ndarray) -> np.ndarray:
    return cv2.perspectiveTransform(points[None].astype(np.float64), homography)[0]


def count_right(points0: np.ndarray, points1: np.ndarray, truth: np.ndarray) -> int:
    error = np.linalg.norm(transform(points0, truth) - points1, axis=1)
    return int((error <= PIXELS).sum())


def corner_error(
    points0: np.ndarray, points1: np.ndarray, truth: np.ndarray, shape: tuple[int, ...]
) -> float:
    """Mean distance of the corners under the estimated homography from where they belong."""
    cv2.setRNGSeed(0)
    homography, _ = cv2.findHomography(points0, points1, cv2.RANSAC, PIXELS)
    height, width = shape
    corners = np.array([[0, 0], [width - 1, 0], [width - 1, height - 1], [0, height - 1]])
    difference = transform(corners, homography) - transform(corners, truth)
    return float(np.linalg.norm(difference, axis=1).mean())


class Outcome(NamedTuple):
    """Of one photograph under one change."""

    right: int
    corner_error: float


@pytest.fixture(scope="module")
def outcomes(photographs: dict[str, np.ndarray]) -> dict[tuple[str, str], dict[str, Outcome]]:
    """By change and name of the feature: of each photograph."""
    found: dict[tuple[str, str], dict[str, Outcome]] = {}
    features = {name: create(NFEATURES) for name, create in CREATE.items()}
    for photograph in PHOTOGRAPHS:
        image = photographs[photograph]
        height, width = image.shape
        before = {name: extract(feature, image) for name, feature in features.items()}
        for change in (*WARPS, *LIGHTS):
            truth = np.eye(3)
            if change in WARPS:
                truth = around_the_middle(width, height, WARPS[change])
                changed = cv2.warpPerspective(
                    image, truth, (width, height), borderMode=cv2.BORDER_REPLICATE
                )
            else:
                changed = LIGHTS[change](image.astype(np.float64)).round().astype(np.uint8)
            for name, feature in features.items():
                after = extract(feature, changed)
                points0, points1 = match(feature.defaultNorm(), before[name], after)
                found.setdefault((change, name), {})[photograph] = Outcome(
                    count_right(points0, points1, truth),
                    corner_error(points0, points1, truth, image.shape),
                )
    return found


@pytest.mark.parametrize("change", [*WARPS, *LIGHTS])
def test_homographies_of_photographs(outcomes, change):
    errors = [outcome.corner_error for outcome in outcomes[change, "SuperPoint"].values()]
    assert np.median(errors) < PIXELS, errors


def test_more_right_homographies_than_orb(outcomes):
    right: dict[str, list[bool]] = {name: [] for name in CREATE}
    for (_, name), of_photographs in outcomes.items():
        right[name] += [outcome.corner_error < PIXELS for outcome in of_photographs.values()]
    assert np.mean(right["SuperPoint"]) >= 0.9
    assert np.mean(right["SuperPoint"]) >= np.mean(right["ORB"])


def test_at_least_as_many_right_matches_as_orb(outcomes):
    right = dict.fromkeys(CREATE, 0)
    for (_, name), of_photographs in outcomes.items():
        right[name] += sum(outcome.right for outcome in of_photographs.values())
    assert right["SuperPoint"] >= right["ORB"], right


def test_a_stereo_pair():
    left, right, disparity = skimage.data.stereo_motorcycle()
    left, right = (cv2.cvtColor(image, cv2.COLOR_RGB2BGR) for image in (left, right))
    share = {}
    for name, create in CREATE.items():
        feature = create(1000)
        found = [extract(feature, image) for image in (left, right)]
        points0, points1 = match(feature.defaultNorm(), *found)
        columns, rows = (points0 + 0.5).astype(int).T
        known = np.isfinite(disparity[rows, columns])
        expected = points0 - np.stack([disparity[rows, columns], np.zeros(len(points0))], axis=1)
        error = np.linalg.norm(expected - points1, axis=1)[known]
        assert len(error) > 100
        share[name] = (error <= PIXELS).mean()
    assert share["SuperPoint"] > share["ORB"], share
    assert share["SuperPoint"] > 0.5

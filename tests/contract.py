"""What the contract tests share: the features, images, and how results are compared."""

from collections.abc import Callable
from typing import Any

import cv2
import numpy as np
import skimage.data

import cv2_superpoint
from cv2_superpoint import SuperPoint_create

CREATE: dict[str, Callable[..., Any]] = {
    "ORB": cv2.ORB_create,
    "SIFT": cv2.SIFT_create,
    "SuperPoint": SuperPoint_create,
    "our ORB": cv2_superpoint.ORB_create,
    "our SIFT": cv2_superpoint.SIFT_create,
}
IMAGE = np.ascontiguousarray(skimage.data.camera()[90:290, 160:400])
OTHER = np.ascontiguousarray(skimage.data.brick()[100:300, 100:340])
COLOUR = cv2.cvtColor(skimage.data.astronaut()[:200, 100:340], cv2.COLOR_RGB2BGR)
BLACK = np.zeros_like(IMAGE)
EMPTY = np.zeros((0, 0), np.uint8)
ALL = np.full_like(IMAGE, 255)
LEFT = ALL.copy()
LEFT[:, 120:] = 0
VERSION = tuple(int(part) for part in cv2.__version__.split(".")[:2])
POINTS = [cv2.KeyPoint(100, 90, 31, 10), cv2.KeyPoint(120.25, 100.5, 31, 20)]


def fields(keypoint: cv2.KeyPoint) -> tuple:
    return (
        keypoint.pt,
        keypoint.size,
        keypoint.angle,
        keypoint.response,
        keypoint.octave,
        keypoint.class_id,
    )


def all_fields(keypoints: Any) -> list[tuple]:
    return [fields(keypoint) for keypoint in keypoints]


def assert_nothing(feature: Any, result: Any) -> None:
    """Assert that a result of detectAndCompute is empty: no keypoints, and no descriptors."""
    keypoints, descriptors = result
    assert keypoints == ()
    if isinstance(feature, cv2.SIFT) and VERSION >= (5, 1):
        assert descriptors.shape == (0, 128)
    else:
        assert descriptors is None


def assert_same(got: Any, wanted: Any) -> None:
    """Assert that two results of detectAndCompute are equal."""
    assert all_fields(got[0]) == all_fields(wanted[0])
    np.testing.assert_allclose(got[1], wanted[1], atol=1e-5)

"""Directions against ORB's."""

import cv2
import numpy as np
import pytest
import torch
from angles import apart
from skimage import data

from cv2_superpoint.extract.orientation import centroid_angles


def angles_at(image: np.ndarray, keypoints: list[cv2.KeyPoint]) -> np.ndarray:
    xy = torch.tensor([keypoint.pt for keypoint in keypoints])
    pixels = torch.from_numpy(np.ascontiguousarray(image))[None, None]
    return centroid_angles(pixels, 0, xy).numpy()


def test_directions_are_orbs():
    image = data.camera()
    keypoints = cv2.ORB_create(500, nlevels=1).detect(image)
    got = angles_at(image, keypoints)
    wanted = np.array([keypoint.angle for keypoint in keypoints])
    assert ((got >= 0) & (got < 360)).all()
    # (The two discs differ by a few pixels of their rims.)
    assert np.median(apart(got, wanted)) < 1
    assert (apart(got, wanted) < 5).mean() > 0.97


@pytest.mark.parametrize(
    ("dx", "dy", "degrees"), [(5, 0, 0), (0, 5, 90), (-5, 0, 180), (0, -5, 270)]
)
def test_directions_of_a_spot_beside(dx, dy, degrees):
    image = np.zeros((60, 60), np.uint8)
    image[30 + dy, 30 + dx] = 255
    got = angles_at(image, [cv2.KeyPoint(30.2, 29.8, 8)])
    assert apart(got, degrees) < 1e-3


def test_each_point_looks_at_its_own_image():
    images = torch.zeros(2, 1, 60, 60)
    images[0, 0, 30, 40] = images[1, 0, 40, 30] = 1
    points = torch.full((2, 2), 30.0)
    assert centroid_angles(images, torch.tensor([0, 1]), points).tolist() == [0, 90]


def test_a_point_at_the_border_has_a_direction_too():
    image = np.tile(np.arange(60, dtype=np.uint8), (60, 1))  # brighter to the right
    corners = [cv2.KeyPoint(x, y, 8) for x in (0, 59) for y in (0, 59)]
    assert (apart(angles_at(image, corners), 0) < 1e-3).all()

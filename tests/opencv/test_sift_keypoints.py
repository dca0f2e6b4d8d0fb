"""Our descriptors at SIFT's keypoints, whose octave packs several numbers into one."""

import cv2
import numpy as np
import pytest

from cv2_superpoint import SuperPoint_create
from cv2_superpoint.opencv.conversion import levels_of
from cv2_superpoint.settings import DetectionSettings

PACKED = 255 + (1 << 8)  # octave -1, layer 1


@pytest.mark.parametrize(
    ("size", "level"),
    [(0.5, 0), (3.2, 0), (3.7, 0), (3.9, 1), (3.2 * 2, 2), (3.2 * 4, 4), (500, 4), (0, 0)],
)
def test_packed_octaves_mean_the_level_of_the_size(size, level):
    points = (cv2.KeyPoint(9, 9, size, -1, 1, PACKED), cv2.KeyPoint(9, 9, 8, -1, 1, 3))
    assert levels_of(points, DetectionSettings()).tolist() == [level, 3]


def test_an_enlarged_first_level_counts():
    points = (cv2.KeyPoint(9, 9, 3.2, -1, 1, PACKED),)
    assert levels_of(points, DetectionSettings(nlevels=6, first_level=1)).tolist() == [1]


@pytest.mark.parametrize("photograph", ["astronaut", "camera", "chelsea"])
def test_sifts_keypoints_are_recognised_in_a_smaller_picture(photographs, photograph):
    image, scale = photographs[photograph], 2.5
    small = cv2.resize(image, None, fx=1 / scale, fy=1 / scale, interpolation=cv2.INTER_AREA)
    keypoints = [p for p in cv2.SIFT_create(500).detect(image) if p.size / scale > 2]
    smaller = [
        cv2.KeyPoint((p.pt[0] + 0.5) / scale - 0.5, (p.pt[1] + 0.5) / scale - 0.5, p.size / scale,
                     p.angle, p.response, p.octave)
        for p in keypoints
    ]  # fmt: skip
    feature = SuperPoint_create(device="cpu")
    kept, rows = feature.compute(image, keypoints)
    there, other = feature.compute(small, smaller)
    assert len(kept) == len(there) > 50
    place = np.array([p.pt for p in kept])
    matches = cv2.BFMatcher(feature.defaultNorm()).match(rows, other)
    right = [np.hypot(*(place[m.queryIdx] - place[m.trainIdx])) < 3 for m in matches]
    assert np.mean(right) > 0.65  # all at the scale of the image: a third

"""Features for ``cv2.detail`` are what OpenCV's own function makes."""

from __future__ import annotations

import subprocess
import sys

import cv2
import numpy as np
import pytest
from contract import ALL, BLACK, COLOUR, CREATE, EMPTY, IMAGE, LEFT, OTHER, all_fields

from cv2_superpoint import compute_image_features


@pytest.mark.parametrize("create", [cv2.ORB_create, cv2.SIFT_create])
@pytest.mark.parametrize("image", [IMAGE, COLOUR, cv2.UMat(IMAGE)], ids=["grey", "colour", "UMat"])
@pytest.mark.parametrize("mask", [None, LEFT], ids=["all", "left"])
def test_they_are_opencv_s(create, image, mask):
    wanted = cv2.detail.computeImageFeatures2(create(100), image, mask)
    got = compute_image_features(create(100), image, mask)
    assert type(got) is type(wanted)
    assert got.img_size == wanted.img_size
    assert all_fields(got.getKeypoints()) == all_fields(wanted.getKeypoints())
    assert all_fields(got.keypoints) == all_fields(wanted.keypoints)
    assert type(got.descriptors) is type(wanted.descriptors)
    np.testing.assert_array_equal(got.descriptors.get(), wanted.descriptors.get())
    assert got.descriptors.get().dtype == wanted.descriptors.get().dtype


def test_a_list_of_images(feature):
    listed = compute_image_features(feature, [IMAGE, COLOUR, BLACK], [None, LEFT, ALL])
    assert isinstance(listed, tuple)
    assert [features.img_idx for features in listed] == [0, 1, 2]
    assert [len(features.keypoints) > 0 for features in listed] == [True, True, False]
    alone = compute_image_features(feature, COLOUR, LEFT)
    np.testing.assert_allclose(
        listed[1].descriptors.get(), alone.descriptors.get(), rtol=1e-5, atol=1e-5
    )
    named = compute_image_features(featuresFinder=feature, images=[IMAGE], masks=[LEFT])
    assert max(point.pt[0] for point in named[0].keypoints) < 121


def test_any_feature_serves_the_matcher(name, feature):
    image = cv2.resize(IMAGE, None, fx=2, fy=2)
    first, second = image[:, :380], image[:, 100:]
    features = compute_image_features(feature, [first, second])
    matcher = cv2.detail.BestOf2NearestMatcher(False, 0.3)
    found = matcher.apply2(features)
    matcher.collectGarbage()
    assert (found[1].src_img_idx, found[1].dst_img_idx) == (0, 1)
    assert found[1].num_inliers > 15
    np.testing.assert_allclose(found[1].H, [[1, 0, -100], [0, 1, 0], [0, 0, 1]], atol=1)


def test_nothing_found_has_no_descriptors():
    for create in CREATE.values():
        features = compute_image_features(create(), BLACK)
        assert features.keypoints == ()
        assert np.size(features.descriptors.get()) in (0, 1)  # 1: None
        assert features.img_size == (240, 200)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((None, IMAGE), "featuresFinder must have"),
        ((cv2.BFMatcher(), IMAGE), "featuresFinder must have"),
        ((cv2.ORB_create(), None), "empty"),
        ((cv2.ORB_create(), EMPTY), "empty"),
        ((cv2.ORB_create(), "image.png"), "image must be"),
        ((cv2.ORB_create(), [IMAGE, OTHER], [ALL]), "as many masks"),
        ((cv2.ORB_create(), [IMAGE, OTHER], ALL), "as many masks"),
        ((cv2.ORB_create(),), "missing a required argument"),
    ],
)
def test_bad_arguments_are_errors(arguments, message):
    with pytest.raises(cv2.error, match=message):
        compute_image_features(*arguments)


def test_every_field_can_be_read_in_a_fresh_process():
    """Fields of ``cv2.detail.ImageFeatures()`` cannot, in OpenCV 4: they are never constructed."""
    code = (
        "import cv2, numpy as np, cv2_superpoint as s; "
        "f = s.compute_image_features(cv2.ORB_create(), np.zeros((9, 9), np.uint8)); "
        "print(f.img_idx, f.img_size, f.keypoints, f.descriptors.get())"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout == "0 (9, 9) () None\n", done.stderr


IN_A_FRESH_PROCESS = """
import cv2, numpy, cv2_superpoint
image = numpy.random.default_rng(0).integers(0, 255, (200, 200), numpy.uint8)
with cv2_superpoint.replacing("ORB"):
    features = cv2_superpoint.compute_image_features(cv2.ORB_create(9), image)
print(features.img_size, len(features.keypoints))
"""


def test_it_works_where_orb_is_replaced():
    command = [sys.executable, "-c", IN_A_FRESH_PROCESS]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.stdout == "(200, 200) 9\n", done.stderr

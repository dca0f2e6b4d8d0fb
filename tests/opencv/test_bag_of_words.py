"""Histograms of visual words are OpenCV's, for its features and for ours."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
import pytest
from contract import COLOUR, CREATE, EMPTY, IMAGE, OTHER

from cv2_superpoint import BFMatcher, bow_image_descriptor_extractor

# OpenCV 5 has moved it to contrib.
THEIRS = getattr(cv2, "BOWImgDescriptorExtractor", None) or (
    cv2.xfeatures2d.BOWImgDescriptorExtractor
)


def vocabulary(feature: Any) -> np.ndarray:
    """Return ten of the descriptors of another image."""
    return np.ascontiguousarray(feature.detectAndCompute(OTHER, None)[1][:10])


def ready(feature: Any) -> Any:
    extractor = bow_image_descriptor_extractor(feature, cv2.BFMatcher(feature.defaultNorm()))
    extractor.setVocabulary(vocabulary(feature))
    return extractor


@pytest.mark.parametrize("create", [cv2.ORB_create, cv2.SIFT_create])
@pytest.mark.parametrize("image", [IMAGE, COLOUR], ids=["grey", "colour"])
def test_it_is_opencv_s_histogram(create, image):
    feature = create(200)
    theirs = THEIRS(feature, cv2.BFMatcher(feature.defaultNorm()))
    theirs.setVocabulary(vocabulary(feature))
    ours = ready(feature)
    keypoints = feature.detect(image)
    wanted, got = theirs.compute(image, keypoints), ours.compute(image, keypoints)
    assert (got.shape, got.dtype) == (wanted.shape, wanted.dtype)
    np.testing.assert_allclose(got, wanted, atol=1e-6)
    assert (ours.descriptorSize(), ours.descriptorType()) == (
        theirs.descriptorSize(),
        theirs.descriptorType(),
    )
    np.testing.assert_array_equal(ours.getVocabulary(), theirs.getVocabulary())
    assert ours.compute(image, ()) is theirs.compute(image, ()) is None


def test_any_feature_serves(name, feature):
    extractor = ready(feature)
    keypoints, descriptors = feature.detectAndCompute(IMAGE, None)
    histogram = extractor.compute(IMAGE, keypoints)
    assert histogram.shape == (1, 10)
    assert histogram.dtype == np.float32
    # The same, by all distances.
    distances = [
        [cv2.norm(row, word, feature.defaultNorm()) for word in extractor.getVocabulary()]
        for row in feature.compute(IMAGE, keypoints)[1]
    ]
    counts = np.bincount(np.argmin(distances, axis=1), minlength=10)
    np.testing.assert_allclose(histogram[0], counts / len(descriptors), atol=1e-6)


def test_our_matcher_and_flann_count_alike():
    feature = CREATE["SuperPoint"](100)
    keypoints = feature.detect(IMAGE)
    wanted = ready(feature).compute(IMAGE, keypoints)
    for matcher in (BFMatcher(), cv2.FlannBasedMatcher({"algorithm": 0}, {})):  # 0: linear search
        extractor = bow_image_descriptor_extractor(feature, matcher)
        extractor.setVocabulary(vocabulary(feature))
        np.testing.assert_array_equal(extractor.compute(IMAGE, keypoints), wanted)


def test_a_vocabulary_replaces_the_one_before():
    feature = cv2.ORB_create(100)
    extractor = ready(feature)
    extractor.setVocabulary(vocabulary(feature)[:3])
    assert extractor.compute(IMAGE, feature.detect(IMAGE)).shape == (1, 3)
    extractor.setVocabulary(None)
    assert (extractor.descriptorSize(), extractor.getVocabulary()) == (0, None)


def test_nothing_described_is_none():
    outside = [cv2.KeyPoint(-500, -500, 31)]
    assert ready(cv2.ORB_create()).compute(IMAGE, outside) is None
    assert ready(CREATE["SuperPoint"]()).compute(IMAGE, outside) is None


@pytest.mark.parametrize(
    ("arguments", "message"),
    [((None, cv2.BFMatcher()), "dextractor must have"), ((cv2.ORB_create(), 3), "dmatcher must")],
)
def test_parts_without_the_methods_are_errors(arguments, message):
    with pytest.raises(cv2.error, match=message):
        bow_image_descriptor_extractor(*arguments)


@pytest.mark.parametrize(
    "words", ["words", [[1.0]], np.zeros(64, np.float32), np.zeros((3, 64))], ids=str
)
def test_bad_vocabularies_are_errors(words):
    extractor = ready(cv2.ORB_create())
    with pytest.raises(cv2.error, match="vocabulary must be"):
        extractor.setVocabulary(words)
    assert extractor.descriptorSize() == 10


def test_what_cannot_be_described_is_an_error():
    feature = CREATE["SuperPoint"](100)
    keypoints = feature.detect(IMAGE)
    extractor = bow_image_descriptor_extractor(feature, cv2.BFMatcher())
    with pytest.raises(cv2.error, match="no vocabulary"):
        extractor.compute(IMAGE, keypoints)
    extractor.setVocabulary(np.zeros((5, 32), np.uint8))
    with pytest.raises(cv2.error):
        extractor.compute(IMAGE, keypoints)
    with pytest.raises(cv2.error, match=r"cv2\.KeyPoint"):
        ready(feature).compute(IMAGE, [1, 2])
    with pytest.raises(cv2.error, match="missing a required argument"):
        extractor.compute(IMAGE)
    assert ready(feature).compute(EMPTY, keypoints) is None

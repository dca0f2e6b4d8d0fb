"""With the rest of OpenCV ours works as ORB and SIFT do; where it differs, that has a name."""

import copy
import os
import pickle
from collections.abc import Callable
from typing import Any, NamedTuple

import cv2
import numpy as np
import pytest
import skimage.data
from contract import ALL, BLACK, IMAGE, LEFT, POINTS, VERSION

from cv2_superpoint import SuperPoint_create

# With the rest of OpenCV -----------------------------------------------------------------------


def index_parameters(feature: Any) -> dict[str, int]:
    if feature.descriptorType() == cv2.CV_8U:
        return {"algorithm": 6, "table_number": 6, "key_size": 12, "multi_probe_level": 1}  # LSH
    return {"algorithm": 1, "trees": 4}  # k-d trees


@pytest.mark.parametrize("matcher", ["brute force", "FLANN"])
def test_from_images_to_a_homography(feature, matcher):
    cv2.setRNGSeed(0)  # FLANN draws its tables, and with some of them ORB fails
    shift = np.array([16, 24])  # (x, y)
    image = skimage.data.camera()[60:380, 80:480]
    first, second = image[: -shift[1], : -shift[0]], image[shift[1] :, shift[0] :]
    keypoints0, descriptors0 = feature.detectAndCompute(first, None)
    keypoints1, descriptors1 = feature.detectAndCompute(second, None)
    if matcher == "FLANN":
        flann = cv2.FlannBasedMatcher(index_parameters(feature), {"checks": 64})
        pairs = [pair for pair in flann.knnMatch(descriptors0, descriptors1, k=2) if len(pair) == 2]
        matches = [
            best for best, second_best in pairs if best.distance < 0.8 * second_best.distance
        ]
    else:
        matches = cv2.BFMatcher(feature.defaultNorm(), crossCheck=True).match(
            descriptors0, descriptors1
        )
    assert len(matches) > 10
    points0 = np.float32([keypoints0[match.queryIdx].pt for match in matches])
    points1 = np.float32([keypoints1[match.trainIdx].pt for match in matches])
    homography, inliers = cv2.findHomography(points0, points1, cv2.RANSAC, 3.0)
    assert inliers.sum() > 10
    corners = np.float32([[[0, 0], [384, 0], [384, 296], [0, 296]]])
    moved = cv2.perspectiveTransform(corners, homography)
    np.testing.assert_allclose(moved, corners - np.float32(shift), atol=5)

    picture = cv2.drawMatches(first, keypoints0, second, keypoints1, matches, None)
    assert picture.shape == (first.shape[0], first.shape[1] + second.shape[1], 3)
    flags = cv2.DRAW_MATCHES_FLAGS_DRAW_RICH_KEYPOINTS
    drawn = cv2.drawKeypoints(first, keypoints0, None, (0, 255, 0), flags)
    assert (drawn != first[:, :, None]).any()
    assert cv2.KeyPoint_convert(keypoints0).shape == (len(keypoints0), 2)


def test_the_one_line_that_changes():
    def count_matches(create: Callable[[int], Any]) -> int:
        detector = create(200)
        _, first = detector.detectAndCompute(IMAGE, None)
        _, second = detector.detectAndCompute(IMAGE[:, ::-1][:, ::-1], None)
        return len(cv2.BFMatcher(detector.defaultNorm(), crossCheck=True).match(first, second))

    assert count_matches(cv2.ORB_create) > 100
    assert count_matches(SuperPoint_create) > 100


# Differences -----------------------------------------------------------------------------------


NO_SAVE = cv2.error if hasattr(cv2.ORB, "save") else AttributeError


class Difference(NamedTuple):
    """What a call returns or raises, on each side."""

    call: Callable[[Any], Any]
    orb: Any
    sift: Any
    ours: Any


def write_unnamed(feature: Any) -> str:
    flags = cv2.FILE_STORAGE_MEMORY | cv2.FILE_STORAGE_FORMAT_YAML
    file = cv2.FileStorage("", cv2.FILE_STORAGE_WRITE | flags)
    feature.write(file)
    return f'"{feature.getDefaultName()}"' in file.releaseAndGetString()


AT_THE_EDGE = [cv2.KeyPoint(2, 3, 8, 0)]
OUTSIDE = [cv2.KeyPoint(-5, 3, 8, 0)]
TALLER = np.full((300, 240), 255, np.uint8)

DIFFERENCES: dict[str, Difference] = {
    # Python subclasses of cv2.Feature2D crash.
    "is a cv2.Feature2D": Difference(lambda f: isinstance(f, cv2.Feature2D), True, True, False),
    "empty()": Difference(lambda f: f.empty(), True, True, False),
    "a copy can be made": Difference(
        lambda f: len(copy.deepcopy(f).detect(IMAGE)), TypeError, TypeError, 100
    ),
    "can be pickled": Difference(lambda f: type(pickle.dumps(f)), TypeError, TypeError, bytes),
    # OpenCV can save nothing whose name has a dot, and all of its own have one; 4.8 has no save.
    "save": Difference(lambda f: f.save(os.devnull), NO_SAVE, NO_SAVE, None),
    "write without a name into a storage": Difference(
        write_unnamed, cv2.error, cv2.error, True
    ),
    "reading a missing file": Difference(
        lambda f: f.read("no such folder/file.yml"), None, None, cv2.error
    ),
    "writing into a missing folder": Difference(
        lambda f: f.write("no such folder/file.yml"), None, None, cv2.error
    ),
    "provided keypoints": Difference(
        lambda f: f.detectAndCompute(IMAGE, None, useProvidedKeypoints=True)[0],
        (),
        (),
        cv2.error,
    ),
    # Masks: OpenCV takes wrong ones without a word, and finds something or other.
    "mask of bool": Difference(
        lambda f: type(f.detect(IMAGE, LEFT > 0)),
        cv2.error,
        tuple if VERSION >= (5, 1) else cv2.error,
        tuple,
    ),
    "mask of another size": Difference(
        lambda f: type(f.detect(IMAGE, TALLER)), tuple, tuple, cv2.error
    ),
    "mask of float": Difference(
        lambda f: type(f.detect(IMAGE, ALL.astype(np.float32))), tuple, cv2.error, cv2.error
    ),
    "mask of three channels": Difference(
        lambda f: type(f.detect(IMAGE, cv2.merge([ALL] * 3))), tuple, cv2.error, cv2.error
    ),
    # SIFT chooses the best of the whole image, and masks those.
    "mask before the best are chosen": Difference(
        lambda f: len(type(f).create(10).detect(IMAGE, LEFT)) == 10, True, False, True
    ),
    # Images.
    "image of one pixel": Difference(
        lambda f: f.detectAndCompute(BLACK[:1, :1], None)[0], cv2.error, (), ()
    ),
    "image of two channels": Difference(
        lambda f: type(f.detect(cv2.merge([IMAGE] * 2))), cv2.error, tuple, cv2.error
    ),
    "image of one dimension": Difference(
        lambda f: f.detect(IMAGE[0]), cv2.error, (), cv2.error
    ),
    # compute: keypoints never come back without descriptors.
    "no image for compute": Difference(
        lambda f: tuple(map(type, f.compute(None, POINTS)[0])),
        (cv2.KeyPoint, cv2.KeyPoint),
        (cv2.KeyPoint, cv2.KeyPoint),
        (),
    ),
    "compute near the edge": Difference(lambda f: len(f.compute(IMAGE, AT_THE_EDGE)[0]), 0, 1, 1),
    "compute outside": Difference(lambda f: len(f.compute(IMAGE, OUTSIDE)[0]), 0, 1, 0),
    "names of lists for one image": Difference(
        lambda f: type(f.detect(image=IMAGE, masks=None)), cv2.error, cv2.error, tuple
    ),
    "unknown argument of create": Difference(
        lambda f: type(f).create(foo=1), TypeError, cv2.error, TypeError
    ),
}  # fmt: skip


def outcome(call: Callable[[Any], Any], feature: Any) -> Any:
    try:
        return call(feature)
    except (cv2.error, TypeError, AttributeError) as error:
        return type(error)


@pytest.mark.parametrize("case", DIFFERENCES)
def test_difference(name, feature, case):
    difference = DIFFERENCES[case]
    wanted = {"ORB": difference.orb, "SIFT": difference.sift}
    assert outcome(difference.call, feature) == wanted.get(name, difference.ours)
    assert difference.ours not in wanted.values() or (difference.orb != difference.sift), (
        "no difference: belongs among the tests above"
    )


@pytest.mark.parametrize(
    ("setter", "value"),
    [("setNLevels", 0), ("setScaleFactor", 0.5), ("setEdgeThreshold", -1)],
)
def test_difference_of_ranges(setter, value):
    getattr(cv2.ORB_create(), setter)(value)  # taken without a word
    feature = SuperPoint_create()
    with pytest.raises(cv2.error):
        getattr(feature, setter)(value)
    assert len(feature.detect(IMAGE)) > 20


@pytest.mark.parametrize("value", ["x", 3.7, True])
def test_difference_of_wrong_types(value):
    with pytest.raises(TypeError):
        cv2.ORB_create().setMaxFeatures(value)
    with pytest.raises(cv2.error):
        SuperPoint_create().setMaxFeatures(value)

"""Parameters of OpenCV's features and ours: arguments, getters, setters, files."""

from typing import Any

import cv2
import numpy as np
import pytest
from contract import CREATE, IMAGE, POINTS, all_fields

from cv2_superpoint import SuperPoint, SuperPoint_create


def default_name(name: str) -> str:
    return f"Feature2D.{name.removeprefix('our ')}"


# Parameters ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "size", "kind", "norm"),
    [
        ("ORB", 32, cv2.CV_8U, cv2.NORM_HAMMING),
        ("SIFT", 128, cv2.CV_32F, cv2.NORM_L2),
        ("SuperPoint", 64, cv2.CV_32F, cv2.NORM_L2),
        ("our ORB", 32, cv2.CV_8U, cv2.NORM_HAMMING),
        ("our SIFT", 64, cv2.CV_32F, cv2.NORM_L2),
    ],
)
def test_what_matchers_ask(name, size, kind, norm):
    feature = CREATE[name]()
    answers = (feature.descriptorSize(), feature.descriptorType(), feature.defaultNorm())
    assert answers == (size, kind, norm)
    assert [type(answer) for answer in answers] == [int, int, int]
    assert feature.getDefaultName() == default_name(name)


def test_clear_changes_nothing(name):
    feature = CREATE[name](30)
    if not hasattr(feature, "clear"):
        pytest.skip("OpenCV 4.8 gives Python no clear of its own features")
    before = all_fields(feature.detect(IMAGE))
    assert feature.clear() is None
    assert all_fields(feature.detect(IMAGE)) == before


@pytest.mark.parametrize(
    "create", [cv2.ORB_create, cv2.ORB.create, SuperPoint_create, SuperPoint.create]
)
def test_the_first_three_arguments_are_orbs(create):
    feature = create(123, 1.5, 3)
    assert feature.getMaxFeatures() == 123
    assert feature.getScaleFactor() == 1.5
    assert feature.getNLevels() == 3
    named = create(nfeatures=123, scaleFactor=1.5, nlevels=3, edgeThreshold=9)
    assert named.getMaxFeatures() == 123
    assert named.getEdgeThreshold() == 9


@pytest.mark.parametrize("name", ["ORB", "SuperPoint", "our ORB"])
@pytest.mark.parametrize(
    ("parameter", "argument", "value"),
    [
        ("MaxFeatures", "maxFeatures", 77),
        ("MaxFeatures", "maxFeatures", -1),
        ("ScaleFactor", "scaleFactor", 1.5),
        ("NLevels", "nlevels", 3),
        ("EdgeThreshold", "edgeThreshold", 12),
    ],
)
def test_setters_set_what_getters_get(name, parameter, argument, value):
    feature = CREATE[name]()
    assert getattr(feature, f"set{parameter}")(value) is None
    assert getattr(feature, f"get{parameter}")() == value
    again = CREATE[name]()
    getattr(again, f"set{parameter}")(**{argument: value})
    assert getattr(again, f"get{parameter}")() == value


@pytest.mark.parametrize("name", ["ORB", "SuperPoint", "our ORB"])
def test_setters_take_effect(name):
    feature = CREATE[name](1000)
    assert len(feature.detect(IMAGE)) > 30
    feature.setMaxFeatures(30)
    assert 25 <= len(feature.detect(IMAGE)) <= 30
    feature.setNLevels(2)
    assert {p.octave for p in feature.detect(IMAGE)} == {0, 1}
    feature.setEdgeThreshold(60)
    assert all(60 <= p.pt[0] <= 180 and 60 <= p.pt[1] <= 140 for p in feature.detect(IMAGE))


@pytest.mark.parametrize("border", [0, 4, 16, 50])
def test_no_keypoints_within_the_border(border):
    height, width = IMAGE.shape
    found = SuperPoint_create(0, edgeThreshold=border, scoreThreshold=0.001).detect(IMAGE)
    assert found
    x, y = np.array([p.pt for p in found]).T
    assert border <= x.min() <= x.max() <= width - 1 - border
    assert border <= y.min() <= y.max() <= height - 1 - border


@pytest.mark.parametrize("limit", [0, -1])
def test_no_limit(limit):
    all_of_them = SuperPoint_create(limit).detect(IMAGE)
    assert len(all_of_them) > len(SuperPoint_create(50).detect(IMAGE)) == 50
    best = SuperPoint_create(50).detect(IMAGE)
    assert all_fields(best) == all_fields(all_of_them[:50])


def test_score_threshold_and_radius():
    feature = SuperPoint_create(0, scoreThreshold=0.1, nmsRadius=8)
    assert (feature.getScoreThreshold(), feature.getNMSRadius()) == (0.1, 8)
    few = feature.detect(IMAGE)
    assert all(p.response > 0.1 for p in few)
    feature.setScoreThreshold(0.01)
    feature.setNMSRadius(2)
    assert len(feature.detect(IMAGE)) > len(few) > 0


@pytest.mark.parametrize("value", [1 << 31, 1 << 40, -(1 << 40)])
@pytest.mark.parametrize("name", ["ORB", "SuperPoint", "our ORB"])
def test_integers_must_be_cs(name, value):
    # What a C int cannot hold cannot be stored either.
    with pytest.raises((cv2.error, ValueError, OverflowError)):
        CREATE[name]().setMaxFeatures(value)


BAD_ARGUMENTS = [
    {"nfeatures": "many"},
    {"nfeatures": 1.5},
    {"nfeatures": None},
    {"scaleFactor": 0.9},
    {"scaleFactor": float("nan")},
    {"scaleFactor": "1.2"},
    {"scaleFactor": 1, "nlevels": 2},
    {"nlevels": 0},
    {"nlevels": 10**6},
    {"edgeThreshold": -1},
    {"scoreThreshold": -0.1},
    {"scoreThreshold": 1.1},
    {"scoreThreshold": float("nan")},
    {"nmsRadius": -1},
    {"model": "superglue"},
    {"device": "abacus"},
    {"device": "cuda:99"},
    {"precision": "float8"},
    {"weights": "no such file.pth"},
    {"device": "meta"},  # where there are no values
    {"device": 1.5},
    {"weights": 5},
    {"model": ["superpoint"]},
    {"precision": ["float32"]},
]


@pytest.mark.parametrize("arguments", BAD_ARGUMENTS, ids=str)
def test_bad_arguments_are_refused_by_name(arguments):
    with pytest.raises(cv2.error) as caught:
        SuperPoint_create(**arguments)
    name, value = next(iter(arguments.items()))
    assert name in str(caught.value)
    assert str(value) in str(caught.value)


def test_errors_carry_what_opencvs_carry(feature):
    with pytest.raises(cv2.error) as caught:
        feature.detectAndCompute(IMAGE.astype(np.float32), None)
    error = caught.value
    assert isinstance(error.code, int)
    assert error.code < 0
    assert error.func in str(error)
    assert error.err in str(error)
    assert isinstance(error.file, str)
    assert isinstance(error.line, int)


def test_errors_name_the_function_that_was_called():
    feature = SuperPoint_create()
    with pytest.raises(cv2.error, match="'detectAndCompute'"):
        feature.detectAndCompute(IMAGE, None, "x")
    with pytest.raises(cv2.error, match="'compute'"):
        feature.compute(IMAGE, POINTS, "x")


# Storage ---------------------------------------------------------------------------------------


def limit_of(feature: Any) -> int:
    return feature.getNFeatures() if hasattr(feature, "getNFeatures") else feature.getMaxFeatures()


@pytest.mark.parametrize("suffix", ["yml", "xml", "json"])
def test_write_then_read(name, suffix, tmp_path):
    path = str(tmp_path / f"parameters.{suffix}")
    CREATE[name](123).write(path)
    feature = CREATE[name](7)
    assert feature.read(path) is None
    assert limit_of(feature) == 123
    again = CREATE[name](7)
    CREATE[name](321).write(fileName=path)
    again.read(fileName=path)
    assert limit_of(again) == 321


def test_write_then_read_a_node(name):
    flags = cv2.FILE_STORAGE_MEMORY | cv2.FILE_STORAGE_FORMAT_YAML
    file = cv2.FileStorage("", cv2.FILE_STORAGE_WRITE | flags)
    CREATE[name](123).write(file, "first")
    CREATE[name](321).write(fs=file, name="second")
    file.write("other", 5)  # the storage goes on after the node
    text = file.releaseAndGetString()
    file = cv2.FileStorage(text, cv2.FILE_STORAGE_READ | flags)
    assert file.getNode("first").getNode("name").string() == default_name(name)
    feature = CREATE[name](7)
    feature.read(file.getNode("first"))
    assert limit_of(feature) == 123
    feature.read(arg1=file.getNode("second"))
    assert limit_of(feature) == 321
    assert file.getNode("other").real() == 5

"""SuperPoint with the arguments, getters and setters of OpenCV's features."""

from __future__ import annotations

import copy
import inspect
import pickle
import re
from typing import Any

import cv2
import numpy as np
import pytest
from contract import IMAGE

import cv2_superpoint

NAMES = ("ORB", "SIFT", "AKAZE", "BRISK")


def opencvs(name: str) -> Any:
    """Return OpenCV's class; 5.0 moved some to opencv_contrib."""
    for module in (cv2, getattr(cv2, "xfeatures2d", None)):
        if hasattr(module, name):
            return getattr(module, name)
    pytest.skip(f"this OpenCV has no {name}")


def arguments(function: Any) -> list[str]:
    """Return the names of arguments in OpenCV's docstring, of the first overload."""
    call = re.search(r"\w+\((.*?)\) -> ", function.__doc__)[1]
    return re.findall(r"\w+", call)


@pytest.fixture(params=NAMES)
def name(request: pytest.FixtureRequest) -> str:
    return request.param


def test_arguments_are_opencvs(name):
    ours = [
        p.name
        for p in inspect.signature(getattr(cv2_superpoint, name)).parameters.values()
        if p.kind is p.POSITIONAL_OR_KEYWORD
    ]
    theirs = arguments(opencvs(name).create)
    assert ours[: len(theirs)] == theirs  # older versions have fewer
    for way in (f"{name}_create", name):
        function = getattr(cv2_superpoint, way)
        function = function if way.endswith("create") else function.create
        assert list(inspect.signature(function).parameters)[: len(theirs)] == theirs
        assert isinstance(function(), getattr(cv2_superpoint, name))


def getters(cls: Any) -> list[str]:
    return [name for name in dir(cls) if name.startswith("get") and name != "getDefaultName"]


def test_defaults_are_opencvs(name):
    theirs, ours = opencvs(name).create(), getattr(cv2_superpoint, name)()
    assert ours.getDefaultName() == theirs.getDefaultName()
    pyramid = ("getScaleFactor", "getNLevels") if name == "ORB" else ()
    for getter in getters(type(theirs)):
        by_default = cv2_superpoint.SuperPoint_create() if getter in pyramid else theirs
        assert getattr(ours, getter)() == pytest.approx(getattr(by_default, getter)()), getter
    for answer in ("descriptorType", "defaultNorm"):
        assert getattr(ours, answer)() == getattr(theirs, answer)()


@pytest.mark.parametrize("image", [None, np.zeros((0, 0), np.uint8)], ids=["None", "empty"])
def test_an_image_that_was_not_read(name, image):
    for create in (opencvs(name).create, getattr(cv2_superpoint, f"{name}_create")):
        if name == "ORB":
            assert create().detectAndCompute(image, None) == ((), None)
        else:
            with pytest.raises(cv2.error, match="empty"):
                create().detectAndCompute(image, None)


def test_an_unknown_argument(name):
    way = getattr(cv2_superpoint, f"{name}_create")
    with pytest.raises(TypeError, match=rf"^{name}_create\(\) got an unexpected .*'feature'"):
        way(feature=3)
    assert inspect.signature(way).return_annotation is getattr(cv2_superpoint, name)


VALUES = {
    "ORB": (77, 1.5, 3, 12, 1, 3, 1, 25, 7),
    "SIFT": (77, 4, 0.05, 12, 1.7, True),
    "AKAZE": (3, 64, 2, 0.002, 3, 5, 2, 77),
    "BRISK": (20, 2, 1.5),
}


def test_what_is_given_can_be_read_as_opencvs(name):
    values = VALUES[name][: len(arguments(opencvs(name).create))]
    by_name = dict(zip(arguments(opencvs(name).create), values, strict=True))
    for args, kwargs in ((values, {}), ((), by_name)):
        theirs = opencvs(name).create(*args, **kwargs)
        ours = getattr(cv2_superpoint, name)(*args, **kwargs)
        for getter in getters(type(theirs)):
            assert getattr(ours, getter)() == pytest.approx(getattr(theirs, getter)()), getter


def test_none_is_the_default(name):
    names, ours = arguments(opencvs(name).create), getattr(cv2_superpoint, name)
    wanted, values = read_back(ours()), VALUES[name]
    opencvs(name).create(*[None] * len(names))  # takes it, too
    assert read_back(ours(*[None] * len(names))) == wanted
    for i, argument in enumerate(names):
        opencvs(name).create(**{argument: None})
        assert read_back(ours(**{argument: None})) == wanted
        given = dict(zip(names, values, strict=False))
        some = [*values[:i], None, *values[i + 1 : len(names)]]
        assert read_back(ours(*some)) == read_back(ours(**{**given, argument: None}))


SIFT = (77, 4, 0.05, 12, 1.7)


@pytest.mark.parametrize("more", [(5, True), (5, False), (5, None), (1,), (5,), (None,)])
def test_sift_takes_what_opencvs_takes_by_position(more):
    theirs, ours = cv2.SIFT.create(*SIFT, *more), cv2_superpoint.SIFT_create(*SIFT, *more)
    assert ours.descriptorType() == theirs.descriptorType()
    for getter in getters(type(theirs)):
        assert getattr(ours, getter)() == pytest.approx(getattr(theirs, getter)()), getter


@pytest.mark.parametrize("more", [(cv2.CV_8U, True), (True, 5), (None, True), (5, True, True)])
def test_sift_refuses_bytes_and_the_wrong_order(more):
    with pytest.raises(cv2.error, match="SIFT_create"):
        cv2_superpoint.SIFT_create(*SIFT, *more)


@pytest.mark.parametrize(
    "wrong",
    [{"weights": "no such file"}, {"model": "orb"}, {"threads": 0}, {"device": "abacus"},
     {"scoreThreshold": 2}],
)  # fmt: skip
def test_errors_name_what_was_called(name, wrong):
    with pytest.raises(cv2.error, match=f"{name}_create"):
        getattr(cv2_superpoint, f"{name}_create")(**wrong)


def test_setters_set_what_getters_get(name):
    for getter in getters(opencvs(name)):
        ours = getattr(cv2_superpoint, name)()
        setter = getter.replace("get", "set", 1)
        (argument,) = arguments(getattr(opencvs(name), setter))
        for value in (3, 5):  # a type of AKAZE's descriptors, too
            assert getattr(ours, setter)(value) is None
            assert getattr(ours, getter)() == value
        getattr(ours, setter)(**{argument: 4})
        assert getattr(ours, getter)() == 4


@pytest.mark.parametrize("value", ["x", None, True, 1 << 40])
def test_wrong_values_are_refused(value):
    feature = cv2_superpoint.ORB_create()
    for setter in ("setWTA_K", "setPatchSize", "setFastThreshold", "setScoreType", "setNLevels"):
        with pytest.raises(cv2.error, match=setter):
            getattr(feature, setter)(value)
    with pytest.raises(cv2.error, match="setWTA_K"):
        feature.setWTA_K()
    with pytest.raises(cv2.error, match="setWTA_K"):
        feature.setWTA_K(patchSize=2)
    assert feature.getWTA_K() == 2


IDLE = {
    "ORB": ("WTA_K", "ScoreType", "PatchSize", "FastThreshold"),
    "SIFT": ("NOctaveLayers", "ContrastThreshold", "EdgeThreshold", "Sigma"),
    "AKAZE": (
        *("DescriptorSize", "DescriptorChannels", "Threshold", "NOctaves", "NOctaveLayers"),
        "Diffusivity",
    ),
    "BRISK": ("Threshold", "Octaves", "PatternScale"),
}


@pytest.mark.parametrize(("name", "setter"), [(n, s) for n, names in IDLE.items() for s in names])
def test_what_has_no_meaning_does_nothing(name, setter):
    feature = getattr(cv2_superpoint, f"{name}_create")()
    wanted, norm = feature.detectAndCompute(IMAGE, None)[1], feature.defaultNorm()
    getattr(feature, f"set{setter}")(60)
    assert np.array_equal(feature.detectAndCompute(IMAGE, None)[1], wanted)
    assert feature.defaultNorm() == norm


def test_what_has_a_meaning_does_it():
    plain = cv2_superpoint.SuperPoint_create(
        150, 1.3, 3, edgeThreshold=20, firstLevel=1, descriptorType=cv2.CV_8U
    )
    orb = cv2_superpoint.ORB_create(150, 1.3, 3, 20, 1)
    assert np.array_equal(
        orb.detectAndCompute(IMAGE, None)[1], plain.detectAndCompute(IMAGE, None)[1]
    )
    for few in (cv2_superpoint.SIFT_create(40), cv2_superpoint.AKAZE_create(max_points=40)):
        assert len(few.detect(IMAGE)) == 40
    assert len(cv2_superpoint.SIFT_create().detect(IMAGE)) > 40


def test_our_own_arguments_may_be_given_by_name():
    feature = cv2_superpoint.ORB_create(50, scoreThreshold=0.2, model="superpoint")
    assert feature.getScoreThreshold() == 0.2
    assert "superpoint on" in repr(feature)
    assert feature.detectAndCompute(IMAGE, None)[1].shape[1] == 32
    with pytest.raises(TypeError, match="colour"):
        cv2_superpoint.ORB_create(colour="red")


@pytest.mark.parametrize(("kind", "dtype"), [(2, "float32"), (3, "float32"), (5, "uint8")])
def test_akazes_descriptors_are_binary_or_float(kind, dtype):
    feature = cv2_superpoint.AKAZE_create(kind, max_points=50)
    _, rows = feature.detectAndCompute(IMAGE, None)
    assert rows.dtype == dtype
    assert feature.defaultNorm() == (cv2.NORM_L2 if dtype == "float32" else cv2.NORM_HAMMING)
    for wrong in (0, 6):
        with pytest.raises(cv2.error, match="descriptor_type"):
            feature.setDescriptorType(wrong)


def test_sifts_bytes_are_refused(tmp_path):
    assert cv2_superpoint.SIFT_create(descriptorType=cv2.CV_32F).descriptorType() == cv2.CV_32F
    with pytest.raises(cv2.error, match="descriptorType"):
        cv2_superpoint.SIFT_create(descriptorType=cv2.CV_8U)
    sift = cv2_superpoint.SIFT_create()
    with pytest.raises(cv2.error, match="descriptorType"):
        sift.setDescriptorType(cv2.CV_8U)
    path = tmp_path / "bytes.yml"
    path.write_text("%YAML:1.0\n---\ndescriptorType: 0\n")
    with pytest.raises(cv2.error, match="descriptorType"):
        sift.read(str(path))
    sift.setDescriptorType(cv2.CV_32F)
    assert sift.descriptorType() == cv2.CV_32F


def test_descriptors_in_sifts_place_are_numbers_as_sifts():
    sift, plain = cv2_superpoint.SIFT_create(200), cv2_superpoint.SuperPoint_create(200)
    keypoints, rows = sift.detectAndCompute(IMAGE, None)
    unit = plain.compute(IMAGE, keypoints)[1]
    assert rows.dtype == np.float32
    np.testing.assert_array_equal(rows, rows.astype(np.uint8))
    np.testing.assert_array_equal(sift.extract(IMAGE).descriptors, rows)
    # In another product the same descriptor rounds otherwise, so a number may fall beside a half.
    described = sift.compute(IMAGE, keypoints)[1]
    np.testing.assert_array_equal(described, np.clip(np.rint(256 * unit + 128), 0, 255))
    np.testing.assert_allclose(described, rows, atol=1)
    assert (described != rows).mean() < 1e-3
    rotated = np.ascontiguousarray(np.rot90(IMAGE))
    others = sift.detectAndCompute(rotated, None)[1], plain.extract(rotated).descriptors

    def matched(first, second):
        pairs = cv2.BFMatcher(cv2.NORM_L2, crossCheck=True).match(first, second)
        return {(pair.queryIdx, pair.trainIdx) for pair in pairs}

    def root(rows):
        return np.sqrt(rows / rows.sum(axis=1, keepdims=True))

    wanted = matched(unit, others[1])
    assert len(wanted & matched(rows, others[0])) > 0.95 * len(wanted)
    assert len(wanted & matched(root(rows), root(others[0]))) > 0.85 * len(wanted)


def changed(name: str) -> Any:
    return getattr(cv2_superpoint, name)(*VALUES[name])


def read_back(feature: Any) -> dict[str, Any]:
    return {getter: getattr(feature, getter)() for getter in getters(type(feature))}


def test_copies_and_files_keep_everything(name, tmp_path):
    feature = changed(name)
    path = str(tmp_path / "parameters.yml")
    feature.write(path)
    read = getattr(cv2_superpoint, name)()
    read.read(path)
    for again in (read, copy.copy(feature), copy.deepcopy(feature),
                  pickle.loads(pickle.dumps(feature))):  # fmt: skip
        assert type(again) is type(feature)
        assert read_back(again) == read_back(feature)


@pytest.mark.parametrize("upright", [True, False])
def test_files_keep_what_was_set_beside_akazes_type(upright, tmp_path):
    feature, read = cv2_superpoint.AKAZE_create(), cv2_superpoint.AKAZE_create()
    feature.setUpright(upright)
    path = str(tmp_path / "parameters.yml")
    feature.write(path)
    read.read(path)
    assert read.getUpright() is upright


def test_copies_are_set_apart():
    feature = cv2_superpoint.ORB_create()
    again = copy.copy(feature)
    again.setWTA_K(4)
    assert feature.getWTA_K() == 2


def test_opencvs_files_are_read(name, tmp_path):
    """And ours by OpenCV."""
    theirs = opencvs(name).create(*VALUES[name][: len(arguments(opencvs(name).create))])
    path = str(tmp_path / "theirs.yml")
    theirs.write(path)
    storage = cv2.FileStorage(path, cv2.FILE_STORAGE_READ)
    if len(storage.root().keys()) < 3:
        pytest.skip("this OpenCV writes no parameters")
    ours = getattr(cv2_superpoint, name)()
    ours.read(path)
    for getter in getters(type(theirs)):
        assert getattr(ours, getter)() == pytest.approx(getattr(theirs, getter)()), getter
    path = str(tmp_path / "ours.yml")
    ours.write(path)
    again = opencvs(name).create()
    storage = cv2.FileStorage(path, cv2.FILE_STORAGE_READ)
    again.read(storage.root())
    for getter in getters(type(theirs)):
        assert getattr(again, getter)() == pytest.approx(getattr(theirs, getter)()), getter


def test_files_with_wrong_values_change_nothing(tmp_path):
    path = tmp_path / "parameters.yml"
    cv2_superpoint.ORB_create(7).write(str(path))
    path.write_text(path.read_text().replace("wta_k: 2", "wta_k: 2.5"))
    feature = cv2_superpoint.ORB_create()
    with pytest.raises(cv2.error, match="wta_k"):
        feature.read(str(path))
    assert feature.getMaxFeatures() == 500

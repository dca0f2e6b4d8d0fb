"""What OpenCV's features do, ours does: the same tests run on ORB, SIFT and SuperPoint.

Where they differ, the difference has a name in `DIFFERENCES`, and is asserted on all sides.
"""

import copy
import os
import pickle
from collections.abc import Callable
from typing import Any, NamedTuple

import cv2
import numpy as np
import pytest
import skimage.data

from cv2_superpoint import SuperPoint, SuperPoint_create

CREATE: dict[str, Callable[..., Any]] = {
    "ORB": cv2.ORB_create,
    "SIFT": cv2.SIFT_create,
    "SuperPoint": SuperPoint_create,
}
IMAGE = np.ascontiguousarray(skimage.data.camera()[90:290, 160:400])
OTHER = np.ascontiguousarray(skimage.data.brick()[100:300, 100:340])
COLOUR = cv2.cvtColor(skimage.data.astronaut()[:200, 100:340], cv2.COLOR_RGB2BGR)
BLACK = np.zeros_like(IMAGE)
EMPTY = np.zeros((0, 0), np.uint8)
ALL = np.full_like(IMAGE, 255)
LEFT = ALL.copy()
LEFT[:, 120:] = 0


@pytest.fixture(scope="module", params=list(CREATE))
def name(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture(scope="module")
def feature(name: str) -> Any:
    """One of the three; not to be changed by a test."""
    return CREATE[name](100)


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


def assert_same(got: Any, wanted: Any) -> None:
    """Assert that two results of detectAndCompute are equal."""
    assert all_fields(got[0]) == all_fields(wanted[0])
    np.testing.assert_allclose(got[1], wanted[1], atol=1e-5)


# Types -----------------------------------------------------------------------------------------


def test_detect_returns_a_tuple_of_keypoints(feature):
    keypoints = feature.detect(IMAGE)
    assert type(keypoints) is tuple
    assert len(keypoints) > 20
    assert all(type(keypoint) is cv2.KeyPoint for keypoint in keypoints)


def test_detect_and_compute_returns_keypoints_and_rows(feature):
    keypoints, descriptors = feature.detectAndCompute(IMAGE, None)
    assert type(keypoints) is tuple
    assert type(descriptors) is np.ndarray
    assert descriptors.shape == (len(keypoints), feature.descriptorSize())
    assert (
        descriptors.dtype == {cv2.CV_8U: np.uint8, cv2.CV_32F: np.float32}[feature.descriptorType()]
    )
    assert descriptors.flags.c_contiguous
    assert descriptors.flags.writeable


@pytest.mark.parametrize(("image", "mask"), [(BLACK, None), (IMAGE, BLACK)])
def test_nothing_found_is_an_empty_tuple_and_none(feature, image, mask):
    assert feature.detect(image, mask) == ()
    assert feature.detectAndCompute(image, mask) == ((), None)


@pytest.mark.parametrize("image", [None, EMPTY])
def test_no_image_has_no_keypoints(feature, image):
    assert feature.detect(image) == ()


@pytest.mark.parametrize("keypoints", [[], (), None])
def test_no_keypoints_have_no_descriptors(feature, keypoints):
    assert feature.compute(IMAGE, keypoints) == ((), None)


def test_results_repeat(feature):
    assert_same(feature.detectAndCompute(IMAGE, None), feature.detectAndCompute(IMAGE, None))


def test_arguments_stay_as_they_are(feature):
    image, mask = COLOUR.copy(), LEFT.copy()
    feature.detectAndCompute(image, mask)
    feature.compute(image, feature.detect(image, mask))
    assert np.array_equal(image, COLOUR)
    assert np.array_equal(mask, LEFT)


# Lists -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", [list, tuple])
def test_detect_takes_several_images(feature, kind):
    found = feature.detect(kind([IMAGE, BLACK, COLOUR]))
    assert type(found) is tuple
    assert [type(keypoints) for keypoints in found] == [tuple] * 3
    assert found[1] == ()
    assert all_fields(found[0]) == all_fields(feature.detect(IMAGE))
    assert all_fields(found[2]) == all_fields(feature.detect(COLOUR))


@pytest.mark.parametrize("kind", [list, tuple])
def test_detect_takes_several_masks(feature, kind):
    found = feature.detect([IMAGE, IMAGE], kind([LEFT, BLACK]))
    assert all_fields(found[0]) == all_fields(feature.detect(IMAGE, LEFT))
    assert found[1] == ()


@pytest.mark.parametrize("masks", [None, [None, None], [EMPTY, EMPTY], []], ids=str)
def test_detect_takes_several_images_without_masks(feature, masks):
    found = feature.detect([IMAGE, OTHER], masks)
    assert [len(keypoints) for keypoints in found] == [
        len(feature.detect(IMAGE)),
        len(feature.detect(OTHER)),
    ]


@pytest.mark.parametrize("nothing", [None, EMPTY], ids=["None", "empty"])
def test_a_list_may_hold_an_empty_image(feature, nothing):
    found = feature.detect([nothing, IMAGE])
    assert found[0] == ()
    assert all_fields(found[1]) == all_fields(feature.detect(IMAGE))


def test_lists_may_be_empty(feature):
    assert feature.detect([]) == ()
    assert feature.compute([], []) == ((), ())


@pytest.mark.parametrize("kind", [list, tuple])
@pytest.mark.parametrize("outputs", [(), ([BLACK, BLACK],)], ids=["", "outputs"])
def test_compute_takes_several_images(feature, kind, outputs):
    points = [feature.detect(IMAGE), (), feature.detect(OTHER)[:5]]
    kept, descriptors = feature.compute(kind([IMAGE, OTHER, OTHER]), kind(points), *outputs)
    assert (type(kept), type(descriptors)) == (tuple, tuple)
    assert (kept[1], descriptors[1]) == ((), None)
    for i, image in ((0, IMAGE), (2, OTHER)):
        assert_same((kept[i], descriptors[i]), feature.compute(image, points[i]))


def test_lists_must_be_of_one_length(feature):
    with pytest.raises(cv2.error):
        feature.detect([IMAGE, OTHER], [LEFT])
    with pytest.raises(cv2.error):
        feature.compute([IMAGE, OTHER], [feature.detect(IMAGE)])


# Names of arguments ----------------------------------------------------------------------------

POINTS = [cv2.KeyPoint(100, 90, 31, 10), cv2.KeyPoint(120.25, 100.5, 31, 20)]

NAMED_CALLS: dict[str, tuple[Callable[[Any], Any], Callable[[Any], Any]]] = {
    "detect image": (lambda f: f.detect(image=IMAGE), lambda f: f.detect(IMAGE)),
    "detect mask": (lambda f: f.detect(IMAGE, mask=LEFT), lambda f: f.detect(IMAGE, LEFT)),
    "detect images": (
        lambda f: f.detect(images=[IMAGE, OTHER])[1],
        lambda f: f.detect([IMAGE, OTHER])[1],
    ),
    "detect masks": (
        lambda f: f.detect(images=[OTHER, IMAGE], masks=[ALL, LEFT])[1],
        lambda f: f.detect([OTHER, IMAGE], [ALL, LEFT])[1],
    ),
    "detectAndCompute": (
        lambda f: f.detectAndCompute(
            useProvidedKeypoints=False, descriptors=None, mask=LEFT, image=IMAGE
        )[0],
        lambda f: f.detectAndCompute(IMAGE, LEFT, None, False)[0],
    ),
    "compute": (
        lambda f: f.compute(image=IMAGE, keypoints=POINTS, descriptors=None)[0],
        lambda f: f.compute(IMAGE, POINTS, None)[0],
    ),
    "compute images": (
        lambda f: f.compute(images=[IMAGE], keypoints=[POINTS])[0][0],
        lambda f: f.compute([IMAGE], [POINTS])[0][0],
    ),
}


@pytest.mark.parametrize("case", NAMED_CALLS)
def test_arguments_have_names(feature, case):
    by_name, by_position = NAMED_CALLS[case]
    found = all_fields(by_name(feature))
    assert found
    assert found == all_fields(by_position(feature))


BAD_CALLS: dict[str, Callable[[Any], Any]] = {
    "detect nothing": lambda f: f.detect(),
    "detect unknown name": lambda f: f.detect(IMAGE, foo=1),
    "detect too much": lambda f: f.detect(IMAGE, LEFT, None),
    "detect image twice": lambda f: f.detect(IMAGE, image=IMAGE),
    "detect image and images": lambda f: f.detect(image=IMAGE, images=[IMAGE]),
    "detect a string": lambda f: f.detect("image.png"),
    "detect a number": lambda f: f.detect(3),
    "detect a list of numbers": lambda f: f.detect([[1, 2], [3, 4]]),
    "detectAndCompute without mask": lambda f: f.detectAndCompute(IMAGE),
    "detectAndCompute unknown name": lambda f: f.detectAndCompute(IMAGE, None, keypoints=[]),
    "detectAndCompute too much": lambda f: f.detectAndCompute(IMAGE, None, None, False, 1),
    "detectAndCompute a list": lambda f: f.detectAndCompute([IMAGE, IMAGE], None),
    "detectAndCompute into a string": lambda f: f.detectAndCompute(IMAGE, None, "x"),
    "compute without keypoints": lambda f: f.compute(IMAGE),
    "compute at a number": lambda f: f.compute(IMAGE, 5),
    "compute at numbers": lambda f: f.compute(IMAGE, [1, 2]),
    "compute at a string": lambda f: f.compute(IMAGE, "ab"),
    "compute at a generator": lambda f: f.compute(IMAGE, (p for p in POINTS)),
    "compute into a string": lambda f: f.compute(IMAGE, POINTS, "x"),
    "write nowhere": lambda f: f.write(),
    "read unknown name": lambda f: f.read(foo="x.yml"),
}


@pytest.mark.parametrize("case", BAD_CALLS)
def test_wrong_calls_are_refused(feature, case):
    with pytest.raises(cv2.error):
        BAD_CALLS[case](feature)


# Images and masks ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "dtype", [np.float32, np.float64, np.uint16, np.int8, np.int16, np.int32, np.int64, np.bool_]
)
def test_images_of_other_types_are_refused(feature, dtype):
    with pytest.raises(cv2.error):
        feature.detectAndCompute((IMAGE // 2).astype(dtype), None)


def test_colour_counts_as_its_grey(feature):
    grey = cv2.cvtColor(COLOUR, cv2.COLOR_BGR2GRAY)
    wanted = feature.detectAndCompute(grey, None)
    assert len(wanted[0]) > 20
    assert_same(feature.detectAndCompute(COLOUR, None), wanted)
    assert_same(feature.detectAndCompute(cv2.cvtColor(COLOUR, cv2.COLOR_BGR2BGRA), None), wanted)
    assert_same(feature.detectAndCompute(grey[:, :, None], None), wanted)
    assert_same(feature.compute(COLOUR, wanted[0]), feature.compute(grey, wanted[0]))


@pytest.mark.parametrize(
    "view",
    [
        lambda image: image[10:-7, 5:-12],
        lambda image: image[::-1, ::-1],
        lambda image: image.T,
        lambda image: np.broadcast_to(image, image.shape),  # read-only
        np.asfortranarray,
    ],
    ids=["crop", "flip", "transpose", "read-only", "Fortran"],
)
def test_strides_do_not_matter(feature, view):
    image = view(IMAGE)
    assert_same(
        feature.detectAndCompute(image, None),
        feature.detectAndCompute(np.array(image, order="C"), None),
    )


def test_keypoints_lie_where_the_mask_is_not_zero(feature):
    mask = np.zeros_like(IMAGE)
    cv2.circle(mask, (110, 100), 60, 1, -1)
    keypoints = feature.detect(IMAGE, mask)
    assert keypoints
    assert all(mask[int(p.pt[1] + 0.5), int(p.pt[0] + 0.5)] for p in keypoints)
    assert all_fields(keypoints) == all_fields(feature.detectAndCompute(IMAGE, mask)[0])


@pytest.mark.parametrize("name", ["ORB", "SuperPoint"])
def test_mask_counts_before_the_best_are_chosen(name):
    assert len(CREATE[name](10).detect(IMAGE, LEFT)) == 10


def test_the_best_are_kept_and_come_first():
    everything = SuperPoint_create(0).detect(IMAGE, LEFT)
    responses = [p.response for p in everything]
    assert responses == sorted(responses, reverse=True)
    assert all_fields(SuperPoint_create(10).detect(IMAGE, LEFT)) == all_fields(everything[:10])


def test_masks_come_in_several_forms(feature):
    wanted = all_fields(feature.detect(IMAGE, LEFT))
    assert all_fields(feature.detect(IMAGE, LEFT // 255)) == wanted
    assert all_fields(feature.detect(IMAGE, LEFT[:, :, None])) == wanted
    assert all_fields(feature.detect(IMAGE, cv2.UMat(LEFT))) == wanted
    assert all_fields(feature.detect(IMAGE, np.asfortranarray(LEFT))) == wanted
    assert all_fields(feature.detect(IMAGE, EMPTY)) == all_fields(feature.detect(IMAGE))


# UMat and output arguments ---------------------------------------------------------------------


def test_descriptors_of_a_umat_are_a_umat(feature):
    # OpenCL may round otherwise than the CPU; only kinds and sizes are compared.
    keypoints, descriptors = feature.detectAndCompute(cv2.UMat(IMAGE), None)
    assert type(descriptors) is cv2.UMat
    assert descriptors.get().shape == (len(keypoints), feature.descriptorSize())
    kept, again = feature.compute(cv2.UMat(IMAGE), keypoints)
    assert type(again) is cv2.UMat
    assert again.get().shape == (len(kept), feature.descriptorSize())
    assert len(feature.detect(cv2.UMat(IMAGE), cv2.UMat(LEFT))) > 20


def test_several_umats(feature):
    images = [cv2.UMat(IMAGE), cv2.UMat(OTHER)]
    found = feature.detect(images)
    kept, descriptors = feature.compute(images, found)
    assert [type(rows) for rows in descriptors] == [cv2.UMat, cv2.UMat]
    assert [len(rows.get()) for rows in descriptors] == [len(points) for points in kept]


@pytest.mark.parametrize("by_name", [False, True])
def test_descriptors_are_written_into_an_array_that_fits(feature, by_name):
    keypoints, wanted = feature.detectAndCompute(IMAGE, None)
    output = np.zeros_like(wanted)
    if by_name:
        _, got = feature.detectAndCompute(IMAGE, None, descriptors=output)
    else:
        _, got = feature.detectAndCompute(IMAGE, None, output)
    assert got is output
    np.testing.assert_allclose(output, wanted, atol=1e-5)

    kept, wanted = feature.compute(IMAGE, keypoints)
    output = np.zeros_like(wanted)
    _, got = feature.compute(IMAGE, kept, output)
    assert got is output
    np.testing.assert_allclose(output, wanted, atol=1e-5)


@pytest.mark.parametrize("output", [np.zeros((3, 5), np.uint8), np.zeros(4), None])
def test_an_array_that_does_not_fit_is_replaced(feature, output):
    wanted = feature.detectAndCompute(IMAGE, None)
    before = copy.copy(output)
    got = feature.detectAndCompute(IMAGE, None, output)
    assert_same(got, wanted)
    assert np.array_equal(output, before)


def test_descriptors_are_written_into_a_umat(feature):
    wanted = feature.detectAndCompute(IMAGE, None)[1]
    output = cv2.UMat(np.zeros_like(wanted))
    got = feature.detectAndCompute(IMAGE, None, output)[1]
    assert type(got) is cv2.UMat
    assert got.get().shape == wanted.shape
    assert output.get().any()


# compute ---------------------------------------------------------------------------------------


def test_compute_keeps_order_and_fields(feature):
    random = np.random.default_rng(0)
    points = [
        cv2.KeyPoint(
            float(x), float(y), 31, float(a), float(r), 0, class_id
        )
        for class_id, (x, y, a, r) in enumerate(random.uniform(50, 150, (20, 4)))
    ]  # fmt: skip
    kept, descriptors = feature.compute(IMAGE, points)
    assert all_fields(kept) == all_fields(points)
    assert len(descriptors) == 20
    backwards, rows = feature.compute(IMAGE, points[::-1])
    assert all_fields(backwards) == all_fields(points[::-1])
    np.testing.assert_allclose(rows[::-1], descriptors, atol=1e-5)


def test_compute_takes_all_sequences(feature):
    wanted = feature.compute(IMAGE, POINTS)
    assert_same(feature.compute(IMAGE, tuple(POINTS)), wanted)
    assert_same(feature.compute(IMAGE, np.array(POINTS, object)), wanted)


def test_compute_takes_the_same_point_twice(feature):
    kept, descriptors = feature.compute(IMAGE, [POINTS[0], POINTS[1], POINTS[0]])
    assert len(kept) == 3
    assert np.array_equal(descriptors[0], descriptors[2])


def test_compute_returns_copies_of_the_keypoints(feature):
    points = [cv2.KeyPoint(100, 90, 31, 10)]
    kept, _ = feature.compute(IMAGE, points)
    kept[0].pt = (1, 2)  # as code does that scales what it got
    assert points[0].pt == (100, 90)


@pytest.mark.parametrize("name", ["ORB", "SuperPoint"])
def test_compute_drops_points_outside(name):
    feature = CREATE[name]()
    width, height = IMAGE.shape[::-1]
    outside = [(-1, 90), (-1e9, 90), (90, -0.75), (width, 90), (90, height), (1e9, 1e9)]
    inside = [(100, 90), (120.25, 100.5), (60, 60)]
    points = [
        cv2.KeyPoint(*p, 31, 0) for pair in zip(outside, inside * 2, strict=True) for p in pair
    ]
    kept, descriptors = feature.compute(IMAGE, points)
    assert [p.pt for p in kept] == inside * 2
    assert len(descriptors) == 6
    assert feature.compute(IMAGE, points[::2]) == ((), None)


@pytest.mark.parametrize("where", [(np.nan, 90), (90, np.nan), (np.inf, 90), (90, -np.inf)])
def test_compute_drops_points_that_are_nowhere(where):
    kept, rows = SuperPoint_create().compute(IMAGE, [cv2.KeyPoint(*where, 31), POINTS[0]])
    assert [p.pt for p in kept] == [POINTS[0].pt]
    assert len(rows) == 1


@pytest.mark.parametrize(
    ("name", "by"),  # not SIFT by ORB: SIFT's octaves are packed bits, and others crash it
    [("SuperPoint", "ORB"), ("SuperPoint", "SIFT"), ("ORB", "SuperPoint"), ("SIFT", "SuperPoint")],
)
def test_each_describes_what_another_detected(name, by):
    points = CREATE[by](50).detect(IMAGE)
    kept, descriptors = CREATE[name]().compute(IMAGE, points)
    assert 0 < len(kept) == len(descriptors)
    assert set(all_fields(kept)) <= set(all_fields(points))


@pytest.mark.parametrize("nlevels", [1, 4])
@pytest.mark.parametrize("name", ["ORB", "SuperPoint"])
def test_detect_then_compute_is_detect_and_compute(name, nlevels):
    feature = CREATE[name](200, nlevels=nlevels)
    keypoints = feature.detect(IMAGE)
    assert len({p.octave for p in keypoints}) == nlevels
    wanted = feature.detectAndCompute(IMAGE, None)
    assert_same(feature.compute(IMAGE, keypoints), wanted)
    assert all_fields(keypoints) == all_fields(wanted[0])


# Parameters ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "size", "kind", "norm"),
    [
        ("ORB", 32, cv2.CV_8U, cv2.NORM_HAMMING),
        ("SIFT", 128, cv2.CV_32F, cv2.NORM_L2),
        ("SuperPoint", 256, cv2.CV_32F, cv2.NORM_L2),
    ],
)
def test_what_matchers_ask(name, size, kind, norm):
    feature = CREATE[name]()
    answers = (feature.descriptorSize(), feature.descriptorType(), feature.defaultNorm())
    assert answers == (size, kind, norm)
    assert [type(answer) for answer in answers] == [int, int, int]
    assert feature.getDefaultName() == f"Feature2D.{name}"


def test_clear_changes_nothing(name):
    feature = CREATE[name](30)
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


@pytest.mark.parametrize("name", ["ORB", "SuperPoint"])
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


@pytest.mark.parametrize("name", ["ORB", "SuperPoint"])
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
@pytest.mark.parametrize("name", ["ORB", "SuperPoint"])
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
    return feature.getNFeatures() if isinstance(feature, cv2.SIFT) else feature.getMaxFeatures()


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
    assert file.getNode("first").getNode("name").string() == f"Feature2D.{name}"
    feature = CREATE[name](7)
    feature.read(file.getNode("first"))
    assert limit_of(feature) == 123
    feature.read(arg1=file.getNode("second"))
    assert limit_of(feature) == 321
    assert file.getNode("other").real() == 5


@pytest.mark.parametrize("suffix", ["yml", "xml", "json"])
@pytest.mark.parametrize("method", ["write", "save"])
def test_all_parameters_are_stored(method, suffix, tmp_path):
    path = tmp_path / f"parameters.{suffix}"
    feature = SuperPoint_create(
        12, 1.5, 3, edgeThreshold=9, scoreThreshold=1 / 3, nmsRadius=2, precision="bfloat16"
    )
    getattr(feature, method)(str(path))
    other = SuperPoint_create()
    other.read(str(path))
    assert other.getMaxFeatures() == 12
    assert other.getScaleFactor() == 1.5
    assert other.getNLevels() == 3
    assert other.getEdgeThreshold() == 9
    assert other.getScoreThreshold() == 1 / 3
    assert other.getNMSRadius() == 2


def test_reading_what_is_out_of_range_changes_nothing(tmp_path):
    path = tmp_path / "parameters.yml"
    SuperPoint_create(12).save(str(path))
    path.write_text(path.read_text().replace("nlevels: 1", "nlevels: -1"))
    feature = SuperPoint_create(7)
    with pytest.raises(cv2.error, match="nlevels"):
        feature.read(str(path))
    assert (feature.getMaxFeatures(), feature.getNLevels()) == (7, 1)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"%YAML:1.0\n---\nother: 1\n",
        b'%YAML:1.0\n---\nnfeatures: "many"\n',
        b"%YAML:1.0\n---\nscoreThreshold: [1, 2]\n",
        b"%YAML:1.0\n---\nscoreThreshold: .Nan\n",
        b'{"nfeatures": ',
        b"\0\1 garbage",
    ],
    ids=repr,
)
def test_reading_what_is_something_else_changes_nothing(content, tmp_path):
    path = tmp_path / "parameters.yml"
    path.write_bytes(content)
    feature = SuperPoint_create(7, scoreThreshold=0.5)
    with pytest.raises(cv2.error):
        feature.read(str(path))
    assert (feature.getMaxFeatures(), feature.getScoreThreshold()) == (7, 0.5)


# With the rest of OpenCV -----------------------------------------------------------------------


def index_parameters(feature: Any) -> dict[str, int]:
    if feature.descriptorType() == cv2.CV_8U:
        return {"algorithm": 6, "table_number": 6, "key_size": 12, "multi_probe_level": 1}  # LSH
    return {"algorithm": 1, "trees": 4}  # k-d trees


@pytest.mark.parametrize("matcher", ["brute force", "FLANN"])
def test_from_images_to_a_homography(feature, matcher):
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


class Difference(NamedTuple):
    """What a call returns or raises, on each side."""

    call: Callable[[Any], Any]
    orb: Any
    sift: Any
    ours: Any


def name_of(feature: Any) -> str:
    return feature.getDefaultName().split(".")[1]


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
    # OpenCV can save nothing whose name has a dot, and all of its own have one.
    "save": Difference(lambda f: f.save(os.devnull), cv2.error, cv2.error, None),
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
        lambda f: f.detectAndCompute(IMAGE, None, useProvidedKeypoints=True),
        ((), None),
        ((), None),
        cv2.error,
    ),
    # Masks: OpenCV takes wrong ones without a word, and finds something or other.
    "mask of bool": Difference(
        lambda f: type(f.detect(IMAGE, LEFT > 0)), cv2.error, cv2.error, tuple
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
        lambda f: len(CREATE[name_of(f)](10).detect(IMAGE, LEFT)) == 10, True, False, True
    ),
    # Images.
    "no image for detectAndCompute": Difference(
        lambda f: f.detectAndCompute(None, None), ((), None), cv2.error, ((), None)
    ),
    "empty image for detectAndCompute": Difference(
        lambda f: f.detectAndCompute(EMPTY, None), ((), None), cv2.error, ((), None)
    ),
    "image of one pixel": Difference(
        lambda f: f.detectAndCompute(BLACK[:1, :1], None), cv2.error, ((), None), ((), None)
    ),
    "image of two channels": Difference(
        lambda f: type(f.detect(cv2.merge([IMAGE] * 2))), cv2.error, tuple, cv2.error
    ),
    "image of one dimension": Difference(
        lambda f: f.detect(IMAGE[0]), cv2.error, (), cv2.error
    ),
    "UMat without keypoints": Difference(
        lambda f: type(f.detectAndCompute(cv2.UMat(BLACK), None)[1]),
        cv2.UMat,
        cv2.UMat,
        type(None),
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
    # Without orientation, angles stay at OpenCV's word for "not applicable".
    "angles": Difference(
        lambda f: {p.angle == -1 for p in f.detect(IMAGE)}, {False}, {False}, {True}
    ),
    "names of lists for one image": Difference(
        lambda f: type(f.detect(image=IMAGE, masks=None)), cv2.error, cv2.error, tuple
    ),
    "unknown argument of create": Difference(
        lambda f: CREATE[name_of(f)](foo=1), TypeError, cv2.error, TypeError
    ),
}  # fmt: skip


def outcome(call: Callable[[Any], Any], feature: Any) -> Any:
    try:
        return call(feature)
    except (cv2.error, TypeError) as error:
        return type(error)


@pytest.mark.parametrize("case", DIFFERENCES)
def test_difference(name, feature, case):
    difference = DIFFERENCES[case]
    wanted = {"ORB": difference.orb, "SIFT": difference.sift, "SuperPoint": difference.ours}
    assert outcome(difference.call, feature) == wanted[name]
    assert wanted["SuperPoint"] not in (wanted["ORB"], wanted["SIFT"]) or (
        wanted["ORB"] != wanted["SIFT"]
    ), "no difference: belongs among the tests above"


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

"""What OpenCV's features do, ours does: the same tests run on ORB, SIFT and SuperPoint."""

import copy
from collections.abc import Callable
from typing import Any

import cv2
import numpy as np
import pytest
from contract import (
    ALL,
    BLACK,
    COLOUR,
    CREATE,
    EMPTY,
    IMAGE,
    LEFT,
    OTHER,
    POINTS,
    VERSION,
    all_fields,
    assert_nothing,
    assert_same,
)

from cv2_superpoint import SuperPoint_create

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
def test_nothing_found_has_no_descriptors(feature, image, mask):
    assert feature.detect(image, mask) == ()
    assert_nothing(feature, feature.detectAndCompute(image, mask))


@pytest.mark.parametrize("image", [None, EMPTY, cv2.UMat()], ids=["None", "empty", "UMat"])
def test_no_image_has_no_keypoints(feature, image):
    assert feature.detect(image) == ()


@pytest.mark.parametrize("image", [None, EMPTY, cv2.UMat()], ids=["None", "empty", "UMat"])
def test_no_image_to_detect_and_compute(name, feature, image):
    if "SIFT" in name:
        with pytest.raises(cv2.error, match="image is empty"):
            feature.detectAndCompute(image, None)
    else:
        assert feature.detectAndCompute(image, None)[0] == ()


@pytest.mark.parametrize("keypoints", [[], (), None])
def test_no_keypoints_have_no_descriptors(feature, keypoints):
    assert_nothing(feature, feature.compute(IMAGE, keypoints))


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


def test_a_stack_of_grey_images_is_a_list(feature):
    if isinstance(feature, cv2.Feature2D) and VERSION < (5, 1):
        pytest.skip("OpenCV takes stacks since 5.1")
    images, masks = [IMAGE, OTHER], [ALL, LEFT]
    found = feature.detect(np.stack(images), np.stack(masks))
    assert [*map(all_fields, found)] == [*map(all_fields, feature.detect(images, masks))]
    kept, descriptors = feature.compute(np.stack(images), found)
    assert [len(rows) for rows in descriptors] == [len(points) for points in kept]


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
    assert_nothing(feature, (kept[1], descriptors[1]))
    for i, image in ((0, IMAGE), (2, OTHER)):
        assert_same((kept[i], descriptors[i]), feature.compute(image, points[i]))


def test_lists_must_be_of_one_length(feature):
    with pytest.raises(cv2.error):
        feature.detect([IMAGE, OTHER], [LEFT])
    with pytest.raises(cv2.error):
        feature.compute([IMAGE, OTHER], [feature.detect(IMAGE)])


# Names of arguments ----------------------------------------------------------------------------

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
        lambda image: image.view(np.matrix),
    ],
    ids=["crop", "flip", "transpose", "read-only", "Fortran", "matrix"],
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


@pytest.mark.parametrize("name", ["ORB", "SuperPoint", "our ORB"])
def test_mask_counts_before_the_best_are_chosen(name):
    assert len(CREATE[name](10).detect(IMAGE, LEFT)) == 10


def test_the_best_are_kept_and_come_first():
    everything = SuperPoint_create(0).detect(IMAGE, LEFT)
    responses = [p.response for p in everything]
    assert responses == sorted(responses, reverse=True)
    assert all_fields(SuperPoint_create(10).detect(IMAGE, LEFT)) == all_fields(everything[:10])


def test_masks_come_in_several_forms(feature):
    wanted = all_fields(feature.detect(IMAGE, LEFT))
    if VERSION > (4, 8) or not isinstance(feature, cv2.ORB):  # ORB of 4.8 wants 255
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


def test_no_descriptors_of_a_umat_are_a_umat(feature):
    image = cv2.UMat(BLACK)
    for keypoints, descriptors in (
        feature.detectAndCompute(image, None),
        feature.compute(image, ()),
    ):
        assert keypoints == ()
        assert type(descriptors) is cv2.UMat
    output = cv2.UMat()
    assert type(feature.detectAndCompute(BLACK, None, output)[1]) is cv2.UMat


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


@pytest.mark.parametrize("part", ["columns", "every other row"])
def test_descriptors_are_written_into_part_of_an_array(feature, part):
    _, wanted = feature.detectAndCompute(IMAGE, None)
    count, width = wanted.shape
    table = np.zeros((2 * count, 2 * width), wanted.dtype)
    output = table[:count, :width] if part == "columns" else table[::2, :width]
    assert feature.detectAndCompute(IMAGE, None, output)[1] is output
    np.testing.assert_allclose(output, wanted, atol=1e-5)
    assert (table.astype(bool).sum(), table[:, width:].any()) == (output.astype(bool).sum(), False)


@pytest.mark.parametrize(
    "spoil", [lambda a: a[::-1], lambda a: np.repeat(a, 2, 1)[:, ::2], np.asfortranarray]
)
def test_an_array_that_opencv_cannot_write_to_is_refused(feature, spoil):
    output = spoil(np.zeros_like(feature.detectAndCompute(IMAGE, None)[1]))
    with pytest.raises(cv2.error, match="descriptors"):
        feature.detectAndCompute(IMAGE, None, output)
    assert not output.any()


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

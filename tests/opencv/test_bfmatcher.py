"""Each call of the matcher ends as OpenCV's does."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from contract import VERSION
from matchers import BYTES, MASK, RANDOM, Q, S, T, answer, both, raised

OTHER_MASK = RANDOM.integers(0, 2, (50, 30), np.uint8)
OTHER_MASK[3] = 0


FAST = {
    "match": ("match", (Q, T), {}),
    "keywords": ("match", (), {"queryDescriptors": Q, "trainDescriptors": T, "mask": MASK}),
    "mask": ("match", (Q, T, MASK), {}),
    "no mask": ("match", (Q, T, None), {}),
    "knn": ("knnMatch", (Q, T, 2), {}),
    "knn keywords": ("knnMatch", (Q,), {"trainDescriptors": T, "k": 3}),
    "numpy k": ("knnMatch", (Q, T, np.int64(2)), {}),
    "more than there are": ("knnMatch", (Q, T, 99), {}),
    "knn mask": ("knnMatch", (Q, T, 30, MASK), {}),
    "knn compact": ("knnMatch", (Q, T, 2, MASK, True), {}),
    "knn compact keyword": ("knnMatch", (Q, T, 2), {"mask": MASK, "compactResult": True}),
    "radius": ("radiusMatch", (Q, T, 3.0), {}),
    "radius of an int": ("radiusMatch", (Q, T, 3), {}),
    "numpy radius": ("radiusMatch", (Q, T), {"maxDistance": np.float32(3)}),
    "radius mask": ("radiusMatch", (Q, T, 3.0, MASK), {}),
    "radius compact": ("radiusMatch", (Q, T, 1.5, None, True), {}),
    "UMat": ("match", (cv2.UMat(Q), cv2.UMat(T)), {}),
    "UMat and mask": ("match", (cv2.UMat(Q), cv2.UMat(T), cv2.UMat(MASK)), {}),
    "Fortran order": ("match", (np.asfortranarray(Q), T), {}),
    "every other": ("match", (np.repeat(Q, 2, axis=1)[:, ::2], T[::-1]), {}),
}
FAST["knn 1"] = ("knnMatch", (Q, T, 1), {})
FAST["knn 1 compact"] = ("knnMatch", (Q, T, 1), {"compactResult": True})


@pytest.mark.parametrize("norm", [cv2.NORM_L2, cv2.NORM_L2SQR])
@pytest.mark.parametrize("case", FAST)
def test_calls_that_the_product_answers(case, norm, product):
    method, args, kwargs = FAST[case]
    got, wanted = (answer(m, method, *args, **kwargs) for m in both(norm))
    assert got == wanted
    assert not raised(got)
    assert product


@pytest.mark.parametrize(
    "case", ["match", "no mask", "knn 1", "knn 1 compact", "UMat", "every other"]
)
def test_cross_check_by_the_product(case, product):
    method, args, kwargs = FAST[case]
    got, wanted = (answer(m, method, *args, **kwargs) for m in both(crossCheck=True))
    assert got == wanted
    assert 0 < sum(map(bool, got)) < 50
    assert product == ["mutual"]


COLLECTION = {
    "match": ("match", (Q,), {}),
    "keyword": ("match", (), {"queryDescriptors": Q}),
    "masks": ("match", (Q, [MASK, OTHER_MASK]), {}),
    "masks keyword": ("match", (Q,), {"masks": (MASK, OTHER_MASK)}),
    "one mask": ("match", (Q, [MASK, None]), {}),
    "no masks": ("match", (Q,), {"masks": []}),
    "None for masks": ("match", (Q,), {"masks": None}),
    "knn": ("knnMatch", (Q, 3), {}),
    "knn keyword": ("knnMatch", (Q,), {"k": 2}),
    "knn masks": ("knnMatch", (Q, 20, [MASK, OTHER_MASK]), {}),
    "knn compact": ("knnMatch", (Q, 2, [MASK, OTHER_MASK], True), {}),
    "radius": ("radiusMatch", (Q, 3.0), {}),
    "radius masks": ("radiusMatch", (Q, 3.0, [MASK, OTHER_MASK]), {"compactResult": True}),
    "UMat": ("match", (cv2.UMat(Q),), {}),
}


@pytest.mark.parametrize("case", COLLECTION)
def test_the_collection_by_the_product(case, product):
    method, args, kwargs = COLLECTION[case]
    got, wanted = (answer(m, method, *args, **kwargs) for m in both(images=[T, S]))
    assert got == wanted
    assert not raised(got)
    assert product


def test_added_umats_are_matched():
    got, wanted = (answer(m, "match", Q) for m in both(images=[cv2.UMat(T)]))
    assert got == wanted
    assert len(got) == 50


REFUSED = {
    "nothing": ("match", (), {}),
    "unknown keyword": ("match", (Q, T), {"foo": 1}),
    "too many": ("match", (Q, T, MASK, 1), {}),
    "given twice": ("match", (Q, T), {"queryDescriptors": Q}),
    "lists": ("match", (Q.tolist(), T.tolist()), {}),
    "train is None": ("match", (Q, None), {}),
    "train is None by keyword": ("match", (Q,), {"trainDescriptors": None}),
    "other types": ("match", (Q, BYTES), {}),
    "other widths": ("match", (Q, T[:, :4]), {}),
    "float64": ("match", (Q.astype(np.float64), T.astype(np.float64)), {}),
    "float16": ("match", (Q.astype(np.float16), T.astype(np.float16)), {}),
    "bool mask": ("match", (Q, T, MASK > 0), {}),
    "mask of other size": ("match", (Q, T, MASK[:5]), {}),
    "mask of other type": ("match", (Q, T, MASK.astype(np.float32)), {}),
    "mask is a list": ("match", (Q, T, [MASK]), {}),
    "knn without k": ("knnMatch", (Q, T), {}),
    "k = 0": ("knnMatch", (Q, T, 0), {}),
    "k < 0": ("knnMatch", (Q, T, -1), {}),
    "k is a float": ("knnMatch", (Q, T, 2.0), {}),
    "k is None": ("knnMatch", (Q, T, None), {}),
    "radius 0": ("radiusMatch", (Q, T, 0), {}),
    "radius < 0": ("radiusMatch", (Q, T, -1.0), {}),
    "radius is nan": ("radiusMatch", (Q, T, float("nan")), {}),
    "radius is a word": ("radiusMatch", (Q, T, "far"), {}),
}


@pytest.mark.parametrize("case", REFUSED)
def test_errors_are_opencvs(case):
    method, args, kwargs = REFUSED[case]
    got, wanted = (answer(m, method, *args, **kwargs) for m in both())
    assert raised(wanted)
    assert got == wanted


def test_cross_check_refuses_two_neighbours():
    got, wanted = (answer(m, "knnMatch", Q, T, 2) for m in both(crossCheck=True))
    assert raised(wanted)
    assert got == wanted


def test_cross_check_with_a_mask_is_opencvs():
    got, wanted = (answer(m, "match", Q, T, MASK) for m in both(crossCheck=True))
    assert raised(wanted) == (VERSION < (5, 1))
    assert got == wanted


def test_cross_check_refuses_two_images_as_opencv():
    got, wanted = (answer(m, "match", Q) for m in both(crossCheck=True, images=[T, S]))
    assert raised(wanted)
    assert got == wanted
    got, wanted = (answer(m, "match", Q) for m in both(crossCheck=True, images=[T]))
    assert got == wanted
    assert len(got) > 5


@pytest.mark.parametrize("masks", [[MASK], [MASK, MASK], [MASK, 3], MASK, [OTHER_MASK, MASK]])
def test_errors_of_masks_of_the_collection(masks):
    got, wanted = (answer(m, "match", Q, masks=masks) for m in both(images=[T, S]))
    assert raised(wanted)
    assert got == wanted


def far(value: float) -> np.ndarray:
    rows = Q.copy()
    rows[2, 3], rows[7] = value, value
    return rows


ODD = {
    "query is None": ("match", (None, T), {}),
    "query is empty": ("match", (Q[:0], T), {}),
    "train is empty": ("match", (Q, T[:0]), {}),
    "both are empty": ("match", (Q[:0], T[:0]), {}),
    "nothing was added": ("match", (Q,), {}),
    "knn, nothing was added": ("knnMatch", (Q, 2), {}),
    "nan": ("match", (far(np.nan), T), {}),
    "nan in train": ("knnMatch", (T, far(np.nan), 3), {}),
    "inf": ("match", (far(np.inf), T), {}),
    "-inf on both sides": ("match", (far(-np.inf), far(-np.inf)), {}),
    "overflow": ("match", (far(3e38), T), {}),
    "any radius": ("radiusMatch", (Q, T, float("inf"), MASK), {}),
    "bytes": ("match", (BYTES, BYTES[::-1]), {}),
    "train is flat": ("match", (Q, T[0]), {}),
    "one column": ("match", (Q[:, 0], T[:, 0]), {}),
    "three axes": ("match", (Q[:, :, None], T[:, :, None]), {}),
    "other byte order": ("match", (Q.astype(">f4"), T.astype(">f4")), {}),
    "k and None": ("knnMatch", (Q, 2, None), {}),
    "radius and None": ("radiusMatch", (Q, 2.0, None), {}),
    "compact is an int": ("knnMatch", (Q, T, 1, MASK, 1), {}),
}


@pytest.mark.parametrize("cross_check", [False, True])
@pytest.mark.parametrize("case", ODD)
def test_odd_calls_end_as_opencvs(case, cross_check):
    method, args, kwargs = ODD[case]
    got, wanted = (answer(m, method, *args, **kwargs) for m in both(crossCheck=cross_check))
    np.testing.assert_equal(got, wanted)  # in which nan equals nan


@pytest.mark.parametrize(
    "norm", [cv2.NORM_L1, cv2.NORM_INF, cv2.NORM_HAMMING, cv2.NORM_HAMMING2, 77]
)
@pytest.mark.parametrize("rows", [Q, BYTES], ids=["float", "bytes"])
@pytest.mark.parametrize("cross_check", [False, True])
def test_other_norms_are_opencvs(norm, rows, cross_check, product):
    query, train = rows[:30], rows[20:]
    calls = [("match", ()), ("knnMatch", (2,)), ("radiusMatch", (3.0,))]
    for method, rest in calls:
        pair = both(norm, cross_check)
        got, wanted = (answer(m, method, query, train, *rest) for m in pair)
        assert got == wanted
    assert not product

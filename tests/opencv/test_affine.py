"""Affine features are OpenCV's for its backends, and find steep tilts with ours."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from contract import ALL, BLACK, COLOUR, CREATE, EMPTY, IMAGE, LEFT, all_fields

from cv2_superpoint import BFMatcher, SuperPoint_create, affine_feature

BACKENDS = pytest.mark.parametrize("create", [cv2.ORB_create, cv2.SIFT_create])


def assert_close(got, wanted) -> None:
    """Nearly all rows agree: float32 rounds here and there, and ties may change places."""
    assert [len(part) for part in got] == [len(part) for part in wanted]
    pairs = zip(all_fields(got[0]), all_fields(wanted[0]), strict=True)
    moved = [np.abs(np.subtract(ours[0], theirs[0])).max() for ours, theirs in pairs]
    changed = np.abs(got[1] - wanted[1].astype(float)).max(axis=1)
    assert np.mean((np.array(moved) < 0.1) & (changed <= 1)) > 0.95
    assert [point.class_id for point in got[0]] == [point.class_id for point in wanted[0]]


@BACKENDS
@pytest.mark.parametrize("settings", [(), (2, 1, 2.0), (3, 0, 1.7, 50.0)], ids=str)
def test_it_finds_what_opencv_s_finds(create, settings):
    theirs = cv2.AffineFeature_create(create(60), *settings)
    ours = affine_feature(create(60), *settings)
    got, wanted = ours.detectAndCompute(IMAGE, None), theirs.detectAndCompute(IMAGE, None)
    assert (got[1].shape[1], got[1].dtype) == (wanted[1].shape[1], wanted[1].dtype)
    assert_close(got, wanted)
    found = ours.detect(IMAGE)
    assert all_fields(found) == all_fields(got[0])
    again = ours.compute(IMAGE, found)
    assert_close(again, theirs.compute(IMAGE, found))
    np.testing.assert_array_equal(again[1], got[1])


@BACKENDS
def test_masks(create):
    theirs, ours = cv2.AffineFeature_create(create(60), 2, 1), affine_feature(create(60), 2, 1)
    assert_close(ours.detectAndCompute(IMAGE, LEFT), theirs.detectAndCompute(IMAGE, LEFT))
    # OpenCV forgets the mask in the view from the front.
    found = affine_feature(create(60), 1).detect(IMAGE, LEFT)
    assert found
    assert all(point.pt[0] < 122 for point in found)


def test_getters(feature):
    ours = affine_feature(feature)
    for getter in ("descriptorSize", "descriptorType", "defaultNorm"):
        assert getattr(ours, getter)() == getattr(feature, getter)()
    assert ours.getDefaultName() == cv2.AffineFeature_create(cv2.ORB_create()).getDefaultName()
    assert not ours.empty()


def test_views_can_be_chosen():
    ours = affine_feature(cv2.ORB_create(50))
    tilts, rolls = ours.getViewParams()
    assert (tilts[0], rolls[0]) == (1, 0)
    assert len(tilts) == len(rolls) == 43
    theirs = cv2.AffineFeature_create(cv2.ORB_create(50))
    for affine in (ours, theirs):
        affine.setViewParams([1, 2], [0, 90])
    assert ours.getViewParams() == ((1, 2), (0, 90))
    assert_close(ours.detectAndCompute(IMAGE, None), theirs.detectAndCompute(IMAGE, None))


def test_the_order_given_is_kept():
    ours = affine_feature(cv2.ORB_create(50), 1)
    found, rows = ours.detectAndCompute(IMAGE, None)
    kept, described = ours.compute(IMAGE, found[::-1])
    assert all_fields(kept) == all_fields(found[::-1])
    np.testing.assert_array_equal(described, rows[::-1])


def test_steep_tilts_match_with_superpoint():
    tilted = cv2.resize(cv2.GaussianBlur(IMAGE, (0, 0), 3.2, sigmaY=0.01), None, fx=0.2, fy=1)
    tilted = cv2.copyMakeBorder(tilted, 0, 0, 90, 90, cv2.BORDER_REPLICATE)
    correct = {}
    for affine in (False, True):
        feature = SuperPoint_create(200)
        if affine:
            feature = affine_feature(feature, 5, 4)
        (points1, rows1), (points2, rows2) = (
            feature.detectAndCompute(image, None) for image in (IMAGE, tilted)
        )
        matches = BFMatcher(crossCheck=True).match(rows1, rows2)
        errors = [
            np.subtract(points2[m.trainIdx].pt, np.multiply(points1[m.queryIdx].pt, (0.2, 1)))
            - (90, 0)
            for m in matches
        ]
        correct[affine] = (np.linalg.norm(errors, axis=1) < 3).sum()
    assert correct[True] > 3 * correct[False] + 20


def test_images_of_all_kinds():
    ours = affine_feature(cv2.ORB_create(50), 1)
    keypoints, rows = ours.detectAndCompute(COLOUR, None)
    grey = ours.detectAndCompute(cv2.cvtColor(COLOUR, cv2.COLOR_BGR2GRAY), None)
    assert all_fields(grey[0]) == all_fields(keypoints)
    assert isinstance(ours.detectAndCompute(cv2.UMat(COLOUR), None)[1], cv2.UMat)
    assert ours.detectAndCompute(BLACK, None) == ours.detectAndCompute(EMPTY, None) == ((), None)
    many = ours.detect([IMAGE, COLOUR], [LEFT, ALL])
    assert all_fields(many[1]) == all_fields(keypoints)
    described = ours.compute([IMAGE, COLOUR], many)[1]
    np.testing.assert_array_equal(described[1], rows)
    output = np.empty_like(rows)
    assert ours.detectAndCompute(COLOUR, None, output)[1] is output
    assert ours.compute(IMAGE, ()) == ((), None)


@pytest.mark.parametrize(
    "settings",
    [(1, 1), (2, -1), (5, 0, 0), (5, 0, 0.9), (5, 0, 1.4, -1), ("5",), (5, None)],
    ids=str,
)
def test_bad_settings_are_errors(settings):
    with pytest.raises(cv2.error, match="affine_feature"):
        affine_feature(cv2.ORB_create(), *settings)


def test_bad_arguments_are_errors():
    with pytest.raises(cv2.error, match="backend must have"):
        affine_feature(None)
    ours = affine_feature(CREATE["SuperPoint"](), 1)
    for tilts, rolls in [([1], [1, 2]), ([0.5], [0]), ([1], ["x"]), (1, 2), ([np.nan], [0])]:
        with pytest.raises(cv2.error, match="setViewParams"):
            ours.setViewParams(tilts, rolls)
    with pytest.raises(cv2.error, match="class_id"):
        ours.compute(IMAGE, [cv2.KeyPoint(50, 50, 31)])
    with pytest.raises(cv2.error, match="mask must be"):
        ours.detect(IMAGE, ALL[:5])
    with pytest.raises(cv2.error, match="as many masks"):
        ours.detect([IMAGE, IMAGE], ALL)
    with pytest.raises(cv2.error, match="as many sequences"):
        ours.compute([IMAGE, IMAGE], [()])
    with pytest.raises(cv2.error, match=r"use compute\(\)"):
        ours.detectAndCompute(IMAGE, None, None, True)
    with pytest.raises(cv2.error, match="image must be"):
        ours.detect(np.zeros((20, 20)))


def test_files_hold_nothing_as_opencvs(tmp_path):
    ours = affine_feature(cv2.ORB_create())
    contents = []
    for feature in (ours, cv2.AffineFeature_create(cv2.ORB_create())):
        memory = cv2.FileStorage(
            ".yml", cv2.FILE_STORAGE_WRITE | cv2.FILE_STORAGE_MEMORY | cv2.FILE_STORAGE_FORMAT_YAML
        )
        feature.write(memory, "node")
        contents.append(memory.releaseAndGetString())
    assert contents[0] == contents[1]
    for write in (ours.write, ours.save):
        write(str(tmp_path / "parameters.yml"))
        assert ours.read(str(tmp_path / "parameters.yml")) is ours.clear() is None
    with pytest.raises(cv2.error, match="save"):
        ours.save(str(tmp_path / "no" / "folder.yml"))

"""``upright``: whether keypoints have an angle."""

import copy
import pickle

import cv2
import numpy as np
import pytest
from angles import apart
from contract import BLACK, IMAGE, OTHER

import cv2_superpoint
from cv2_superpoint import SuperPoint_create
from cv2_superpoint.extract import orientation


@pytest.fixture(scope="module")
def turned() -> cv2_superpoint.SuperPoint:
    return SuperPoint_create(200, upright=False, device="cpu")


def test_keypoints_are_upright_unless_asked(turned):
    upright = SuperPoint_create(200, device="cpu")
    assert upright.getUpright() is True
    assert turned.getUpright() is False
    got, wanted = turned.extract(IMAGE), upright.extract(IMAGE)
    assert (wanted.angle == -1).all()
    assert ((got.angle >= 0) & (got.angle < 360)).all()
    assert np.ptp(got.angle) > 300
    for name in ("xy", "score", "size", "octave", "descriptors"):
        assert np.array_equal(getattr(got, name), getattr(wanted, name))


def test_each_image_has_its_angles(turned):
    several = turned.extract([IMAGE, BLACK, OTHER])
    assert len(several[1]) == 0
    for features, image in zip(several, (IMAGE, BLACK, OTHER), strict=True):
        np.testing.assert_allclose(features.angle, turned.extract(image).angle, atol=1e-3)


def test_angles_turn_with_the_image(turned):
    found, other = turned.extract(IMAGE), turned.extract(np.rot90(IMAGE).copy())
    # A quarter counter-clockwise takes (x, y) to (y, width - 1 - x).
    moved = np.stack([found.xy[:, 1], IMAGE.shape[1] - 1 - found.xy[:, 0]], axis=1)
    distance = np.linalg.norm(moved[:, None] - other.xy[None], axis=2)
    distance[found.octave[:, None] != other.octave[None]] = np.inf
    near = distance.min(1) < 0.5
    assert near.sum() > 50
    there = other.angle[distance.argmin(1)][near]
    assert (apart(there, found.angle[near] - 90) < 15).mean() > 0.9


def test_seams_between_tiles_change_no_angle(turned, monkeypatch):
    whole = turned.extract(IMAGE)
    monkeypatch.setattr(orientation, "CORE", 64)  # of what angles are measured in
    np.testing.assert_allclose(turned.extract(IMAGE).angle, whole.angle, atol=1e-3)


@pytest.mark.parametrize("value", [True, False, np.True_, 0, 1, np.int64(1)])
def test_truth_values_are_taken(value):
    feature = SuperPoint_create(upright=value)
    assert feature.getUpright() is bool(value)
    feature.setUpright(not value)
    assert feature.getUpright() is not bool(value)


@pytest.mark.parametrize("value", [2, -1, 1.0, "yes", None])
def test_other_values_are_refused(value):
    with pytest.raises(cv2.error, match="upright"):
        SuperPoint_create(upright=value)


def test_it_is_stored_and_copied(turned, tmp_path):
    path = str(tmp_path / "parameters.json")
    turned.write(path)
    read = SuperPoint_create()
    read.read(path)
    for again in (read, copy.deepcopy(turned), pickle.loads(pickle.dumps(turned))):
        assert again.getUpright() is False


@pytest.mark.parametrize("name", ["ORB", "SIFT", "AKAZE", "BRISK"])
def test_drop_ins_have_angles_as_what_they_replace(name):
    (point, *_) = getattr(cv2_superpoint, f"{name}_create")().detect(IMAGE)
    assert 0 <= point.angle < 360


@pytest.mark.parametrize(("kind", "upright"), [(2, True), (3, False), (4, True), (5, False)])
def test_akazes_types_say_it(kind, upright):
    assert cv2_superpoint.AKAZE_create(kind).getUpright() is upright

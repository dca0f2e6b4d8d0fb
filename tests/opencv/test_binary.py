"""``descriptorType=cv2.CV_8U``: 256 bits that take ORB's place in any matcher."""

from __future__ import annotations

import copy
import pickle

import cv2
import numpy as np
import pytest
import skimage.data
from contract import BLACK, EMPTY, IMAGE, all_fields

import cv2_superpoint
from cv2_superpoint import SuperPoint, SuperPoint_create
from cv2_superpoint.extract import extractor
from cv2_superpoint.model import weights as files


def hamming(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    return np.unpackbits(first[:, None] ^ second, axis=2).sum(2, dtype=int)


@pytest.fixture(scope="module")
def binary() -> SuperPoint:
    """Not to be changed by a test."""
    return SuperPoint_create(300, descriptorType=cv2.CV_8U)


def test_what_matchers_ask(binary):
    answers = (binary.descriptorSize(), binary.descriptorType(), binary.defaultNorm())
    assert answers == (32, cv2.CV_8U, cv2.NORM_HAMMING)
    assert [type(answer) for answer in answers] == [int, int, int]
    assert SuperPoint_create().descriptorType() == cv2.CV_32F


def test_only_descriptors_differ(binary):
    keypoints, bits = binary.detectAndCompute(IMAGE, None)
    float_keypoints, rows = SuperPoint_create(300).detectAndCompute(IMAGE, None)
    assert all_fields(keypoints) == all_fields(float_keypoints)
    assert (bits.shape, bits.dtype) == ((len(keypoints), 32), np.uint8)
    assert bits.flags.c_contiguous
    assert bits.flags.writeable
    # Descriptors are near each other if their bits are.
    likeness = rows @ rows.T
    differ = hamming(bits, bits)
    assert np.corrcoef(likeness.ravel(), differ.ravel())[0, 1] < -0.85


def test_compute_makes_the_same_bits(binary):
    keypoints, bits = binary.detectAndCompute(IMAGE, None)
    kept, again = binary.compute(IMAGE, keypoints)
    assert len(kept) == len(keypoints)
    assert np.unpackbits(bits ^ again, axis=1).sum(1).mean() < 2  # positions were rounded
    several = binary.compute([IMAGE, BLACK], [keypoints, ()])[1]
    assert np.array_equal(several[0], again)
    assert several[1] is None


def test_extract_makes_the_same_bits(binary):
    _, bits = binary.detectAndCompute(IMAGE, None)
    batch = binary.extract([IMAGE, EMPTY, BLACK])
    assert np.array_equal(batch[0].descriptors, bits)
    for features in batch[1:]:
        assert (features.descriptors.shape, features.descriptors.dtype) == ((0, 32), np.uint8)


def test_arrays_and_umats(binary):
    _, wanted = binary.detectAndCompute(IMAGE, None)
    output = np.zeros_like(wanted)
    assert binary.detectAndCompute(IMAGE, None, output)[1] is output
    assert np.array_equal(output, wanted)
    floats = np.zeros(wanted.shape, np.float32)  # does not fit
    assert binary.detectAndCompute(IMAGE, None, floats)[1] is not floats
    rows = binary.detectAndCompute(cv2.UMat(IMAGE), None)[1]
    assert type(rows) is cv2.UMat
    assert np.array_equal(rows.get(), wanted)


def test_nothing_found_has_no_descriptors(binary):
    assert binary.detectAndCompute(BLACK, None) == ((), None)
    assert binary.compute(IMAGE, ()) == ((), None)


def test_the_type_may_be_set():
    feature = SuperPoint_create(50)
    assert feature.getDescriptorType() == cv2.CV_32F
    feature.setDescriptorType(cv2.CV_8U)
    assert feature.getDescriptorType() == cv2.CV_8U
    assert feature.detectAndCompute(IMAGE, None)[1].dtype == np.uint8
    feature.setDescriptorType(descriptorType=cv2.CV_32F)
    assert feature.detectAndCompute(IMAGE, None)[1].dtype == np.float32


@pytest.mark.parametrize("value", [cv2.CV_8S, cv2.CV_64F, -1, 3.0, True, "CV_8U", None])
def test_other_types_are_refused(value):
    with pytest.raises(cv2.error, match="descriptorType"):
        SuperPoint_create(descriptorType=value)
    feature = SuperPoint_create()
    with pytest.raises(cv2.error, match="descriptorType"):
        feature.setDescriptorType(value)
    assert feature.descriptorType() == cv2.CV_32F


def test_the_type_is_stored_and_copied(binary, tmp_path):
    path = str(tmp_path / "parameters.yml")
    binary.write(path)
    read = SuperPoint_create()
    read.read(path)
    for again in (
        read,
        copy.copy(binary),
        copy.deepcopy(binary),
        pickle.loads(pickle.dumps(binary)),
    ):
        assert again.descriptorType() == cv2.CV_8U
        assert np.array_equal(
            again.detectAndCompute(IMAGE, None)[1][:9], binary.detectAndCompute(IMAGE, None)[1][:9]
        )


def test_files_without_the_type_leave_it(tmp_path):
    """Such as those of earlier versions."""
    path = tmp_path / "parameters.yml"
    SuperPoint_create(7).write(str(path))
    lines = [line for line in path.read_text().splitlines() if "descriptorType" not in line]
    path.write_text("\n".join(lines))
    feature = SuperPoint_create(descriptorType=cv2.CV_8U)
    feature.read(str(path))
    assert (feature.getMaxFeatures(), feature.descriptorType()) == (7, cv2.CV_8U)


def test_all_values_count_however_many_floats_are_kept(binary):
    short = SuperPoint_create(300, descriptorType=cv2.CV_8U, descriptorSize=8)
    assert short.descriptorSize() == 32
    assert np.array_equal(
        short.detectAndCompute(IMAGE, None)[1], binary.detectAndCompute(IMAGE, None)[1]
    )
    short.setDescriptorType(cv2.CV_32F)
    assert short.descriptorSize() == 8


def test_weights_without_a_code_make_bits_too(tmp_path):
    loaded = files.load_shipped("superpoint-lite")
    path = tmp_path / "plain.safetensors"
    path.write_bytes(files.serialise(files.Checkpoint(loaded.network)))
    feature = SuperPoint_create(200, descriptorType=cv2.CV_8U, weights=path)
    found = [feature.detectAndCompute(image, None) for image in (IMAGE, IMAGE[:, 8:])]
    matches = cv2.BFMatcher(cv2.NORM_HAMMING, crossCheck=True).match(found[0][1], found[1][1])
    moved = [np.subtract(found[0][0][m.queryIdx].pt, found[1][0][m.trainIdx].pt) for m in matches]
    assert np.mean(np.abs(np.array(moved) - [8, 0]).max(1) < 2) > 0.7
    again = pickle.loads(pickle.dumps(feature))  # by value
    assert np.array_equal(again.detectAndCompute(IMAGE, None)[1], found[0][1])


# As scripts match ORB's --------------------------------------------------------------------------


@pytest.fixture(scope="module")
def views() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """A photograph, the same seen from elsewhere in other light, and the homography."""
    first = cv2.cvtColor(skimage.data.coffee(), cv2.COLOR_RGB2GRAY)
    true = np.float32([[0.9, 0.12, 20], [-0.1, 0.95, 40], [1e-4, 0, 1]])
    second = cv2.convertScaleAbs(cv2.warpPerspective(first, true, (600, 400)), alpha=0.7, beta=20)
    return first, second, true


def distances(feature, views) -> tuple[np.ndarray, np.ndarray]:
    """Return the Hamming distances of correct matches, and of descriptors of other points."""
    first, second, true = views
    keypoints0, bits0 = feature.detectAndCompute(first, None)
    keypoints1, bits1 = feature.detectAndCompute(second, None)
    moved = cv2.perspectiveTransform(np.float32([[p.pt for p in keypoints0]]), true)[0]
    found = np.float32([p.pt for p in keypoints1])
    apart = np.linalg.norm(moved[:, None] - found, axis=2)
    differ = hamming(bits0, bits1)
    mutual = cv2.BFMatcher(cv2.NORM_HAMMING, crossCheck=True).match(bits0, bits1)
    right = [m.distance for m in mutual if apart[m.queryIdx, m.trainIdx] < 3]
    return np.array(right), differ[apart > 30]


def test_distances_lie_where_orbs_do(binary, views):
    right, wrong = distances(binary, views)
    orb_right, orb_wrong = distances(cv2.ORB_create(300), views)
    assert abs(np.median(right) - np.median(orb_right)) < 12
    assert abs(np.median(wrong) - np.median(orb_wrong)) < 30
    assert (right < 50).mean() > 0.9
    assert (wrong < 50).mean() < 0.01


@pytest.mark.parametrize("how", ["brute force", "LSH", "knn and ratio", "distance < 50"])
def test_scripts_for_orb_find_the_homography(binary, views, how):
    first, second, true = views
    keypoints0, descriptors0 = binary.detectAndCompute(first, None)
    keypoints1, descriptors1 = binary.detectAndCompute(second, None)
    if how == "brute force":
        matches = cv2.BFMatcher(cv2.NORM_HAMMING, crossCheck=True).match(descriptors0, descriptors1)
    elif how == "LSH":
        cv2.setRNGSeed(0)  # of which bits LSH looks at
        lsh = {"algorithm": 6, "table_number": 6, "key_size": 12, "multi_probe_level": 1}
        pairs = cv2.FlannBasedMatcher(lsh, {}).knnMatch(descriptors0, descriptors1, k=2)
        matches = [p[0] for p in pairs if len(p) == 2 and p[0].distance < 0.75 * p[1].distance]
    elif how == "knn and ratio":
        pairs = cv2_superpoint.BFMatcher(cv2.NORM_HAMMING).knnMatch(descriptors0, descriptors1, 2)
        matches = [m for m, n in pairs if m.distance < 0.75 * n.distance]
    else:
        matches = cv2.BFMatcher(cv2.NORM_HAMMING).match(descriptors0, descriptors1)
        matches = [m for m in matches if m.distance < 50]
    assert len(matches) > 60
    source = np.float32([keypoints0[m.queryIdx].pt for m in matches])
    target = np.float32([keypoints1[m.trainIdx].pt for m in matches])
    homography, _ = cv2.findHomography(source, target, cv2.RANSAC, 3.0)
    corners = np.float32([[[0, 0], [599, 0], [599, 399], [0, 399]]])
    moved, wanted = (cv2.perspectiveTransform(corners, h) for h in (homography, true))
    np.testing.assert_allclose(moved, wanted, atol=3)


def test_on_a_device_that_is_not_looked_at(binary, monkeypatch):
    """As on a GPU."""
    wanted = binary.extract(IMAGE)
    monkeypatch.setattr(extractor, "_ONE_BY_ONE", ())
    assert np.array_equal(binary.extract(IMAGE).descriptors, wanted.descriptors)

"""Our descriptors at keypoints of other detectors, and at our own."""

import cv2
import numpy as np
import pytest
from contract import IMAGE

import cv2_superpoint
from cv2_superpoint import SuperPoint_create
from cv2_superpoint.features import OWN_PATCH
from cv2_superpoint.opencv.conversion import given_points
from cv2_superpoint.settings import DetectionSettings

UPRIGHT, TURNED = DetectionSettings(), DetectionSettings(upright=False)
SIFTS = 255 + (1 << 8)  # octave -1, layer 1


def seen(size, angle, octave, settings=TURNED):
    """Level, scale and angle."""
    given = given_points((cv2.KeyPoint(9, 8, size, angle, 1, octave),), settings)
    assert given.xy.tolist() == [[9, 8]]
    return given.level[0], given.scale[0], given.angle[0]


@pytest.mark.parametrize("settings", [UPRIGHT, TURNED, DetectionSettings(scale_factor=1.2,
                                      first_level=2, nlevels=8)])  # fmt: skip
def test_our_keypoints_belong_to_their_level(settings):
    for octave in range(settings.nlevels):
        assert seen(8 * settings.scale(octave), 77, octave, settings)[0] == octave
    assert seen(8 * settings.scale(20), 77, 20, settings)[0] == settings.nlevels - 1


@pytest.mark.parametrize(
    ("size", "octave", "scale"),
    [
        (31, 0, 1),  # ORB's
        (31 * 1.2**7, 7, 1.2**7),
        (31 / 2, 7, 0.5),  # moved to a smaller image
        (8, 3, 0.258),  # not the size of our third level
        (31 / 6, SIFTS, 1),
        (31 / 6 * 3, 255, 3),
        (1, 0, 0.25),
        (0, SIFTS, 0.25),
        (1e9, 0, 64),
        (float("inf"), 0, 64),
        (float("nan"), -1, 0.25),
    ],
)
def test_others_are_seen_as_large_as_they_say(size, octave, scale):
    for settings, angle in ((UPRIGHT, 0), (TURNED, 200)):
        assert seen(size, 200, octave, settings) == (OWN_PATCH, pytest.approx(scale, 1e-2), angle)


@pytest.mark.parametrize(("size", "level"), [(1, 0), (31, 0), (36, 0), (38, 1), (124, 4), (999, 4)])
@pytest.mark.parametrize("angle", [-1, float("nan"), float("inf")])
def test_without_an_angle_they_share_a_level(size, level, angle):
    assert seen(size, angle, 3)[0] == level
    assert seen(size, angle, 0, UPRIGHT)[0] == level
    assert seen(31, angle, 0, DetectionSettings(first_level=1))[0] == 1


def test_they_are_described_alike_alone_and_among_others():
    feature = cv2_superpoint.SIFT_create(60, device="cpu", precision="float32")
    found, wanted = feature.detectAndCompute(IMAGE, None)
    others = cv2.ORB_create(70).detect(IMAGE) + cv2.SIFT_create(40).detect(IMAGE)
    corners = cv2.FastFeatureDetector_create(40).detect(IMAGE)[:30]
    points = [p for several in zip(found, others, corners, strict=False) for p in several]
    kept, rows = feature.compute([IMAGE, IMAGE], [points, others[:60]])
    assert [len(k) for k in kept] == [90, 60]
    np.testing.assert_allclose(rows[0][::3], wanted[:30], atol=1e-5)
    np.testing.assert_allclose(rows[0][1::3], rows[1][:30], atol=1e-5)
    assert not np.allclose(rows[0][1::3], rows[0][2::3], atol=0.1)


@pytest.mark.parametrize("size", [(1, 1), (3, 50)])
def test_in_tiny_images_too(size):
    point = cv2.KeyPoint(0, 0, 500, 30)
    kept, rows = cv2_superpoint.ORB_create().compute(np.full(size, 9, np.uint8), [point])
    assert (len(kept), rows.shape) == (1, (1, 32))


@pytest.mark.parametrize("upright", [True, False])
def test_they_resemble_ours_at_the_same_places(photographs, upright):
    feature = SuperPoint_create(300, upright=upright, device="cpu")
    image = photographs["camera"]
    found, ours = feature.detectAndCompute(image, None)
    alike = [cv2.KeyPoint(*p.pt, 31 / 8 * p.size, max(p.angle, 0)) for p in found]
    _, others = feature.compute(image, alike)
    place = np.array([p.pt for p in found])
    matches = cv2.BFMatcher(feature.defaultNorm()).match(ours, others)
    right = [np.hypot(*(place[m.queryIdx] - place[m.trainIdx])) < 3 for m in matches]
    print(f"ours and others at the same places, upright {upright}: {np.mean(right):.2f}")
    assert np.mean(right) > (0.9 if upright else 0.75)

"""SuperPoint under OpenCV's own names."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import cv2
import pytest
from contract import IMAGE

import cv2_superpoint
from cv2_superpoint import replace

ROOT = str(Path(cv2_superpoint.__file__).parents[1])
ORIGINAL = {name: getattr(cv2, name) for name in ("ORB", "ORB_create", "SIFT", "SIFT_create")}


def assert_as_before() -> None:
    for name, value in ORIGINAL.items():
        assert getattr(cv2, name) is value


def test_within_a_block_orb_is_ours():
    with cv2_superpoint.replacing("ORB"):
        for detector in (cv2.ORB_create(50), cv2.ORB.create(nfeatures=50, scoreType=1)):
            assert isinstance(detector, cv2_superpoint.ORB)
            assert isinstance(detector, cv2.ORB)
            _, rows = detector.detectAndCompute(IMAGE, None)
            assert len(cv2.BFMatcher(cv2.NORM_HAMMING).match(rows, rows)) == 50
        assert cv2.SIFT_create is ORIGINAL["SIFT_create"]
    assert_as_before()


def test_several_features_and_nested_blocks():
    with cv2_superpoint.replacing("ORB", "SIFT"):
        with cv2_superpoint.replacing():
            assert isinstance(cv2.SIFT_create(), cv2_superpoint.SIFT)
        assert isinstance(cv2.ORB_create(), cv2_superpoint.ORB)
    assert_as_before()


def test_akaze_and_brisk_are_replaced_wherever_they_are():
    contrib = getattr(cv2, "xfeatures2d", None)
    homes = [cv2, contrib] if hasattr(contrib, "AKAZE") else [cv2]
    before = [hasattr(home, "AKAZE_create") for home in homes]
    with cv2_superpoint.replacing("AKAZE", "BRISK"):
        for home in homes:
            assert isinstance(home.AKAZE_create(), cv2_superpoint.AKAZE)
            assert isinstance(home.BRISK.create(), cv2_superpoint.BRISK)
    assert [hasattr(home, "AKAZE_create") for home in homes] == before


def test_other_names_of_a_feature_are_replaced():
    contrib = getattr(cv2, "xfeatures2d", None)
    if contrib is None:
        pytest.skip("needs opencv_contrib")
    with cv2_superpoint.replacing("SIFT", "AKAZE"):
        assert isinstance(contrib.SIFT_create(), cv2_superpoint.SIFT)
        akaze = cv2.AKAZE_create(cv2.AKAZE_DESCRIPTOR_KAZE, diffusivity=cv2.KAZE_DIFF_CHARBONNIER)
        assert (akaze.descriptorType(), akaze.getDiffusivity()) == (cv2.CV_32F, 3)
        flat = getattr(cv2, "xfeatures2d_AKAZE", None)  # in OpenCV 5
        assert flat is None or isinstance(flat.create(), cv2_superpoint.AKAZE)
    assert not isinstance(contrib.SIFT_create(), cv2_superpoint.SIFT)


def test_what_wants_a_cpp_feature_takes_ours():
    stop = (cv2.TERM_CRITERIA_COUNT, 5, 0)
    before = cv2.detail.computeImageFeatures2, cv2.AffineFeature, cv2.AffineFeature_create
    with cv2_superpoint.replacing("SIFT"):
        sift = cv2.SIFT_create(50)
        one = cv2.detail.computeImageFeatures2(sift, IMAGE)
        several = cv2.detail.computeImageFeatures(featuresFinder=sift, images=[IMAGE, IMAGE])
        assert [len(found.getKeypoints()) for found in (one, *several)] == [50] * 3
        for make in (cv2.AffineFeature_create, cv2.AffineFeature.create):
            assert len(make(sift, 1).detect(IMAGE)) > 50
        keypoints, rows = sift.detectAndCompute(IMAGE, None)
        for module in (cv2, getattr(cv2, "xfeatures2d", cv2)):  # OpenCV 4, OpenCV 5
            if hasattr(module, "BOWImgDescriptorExtractor"):
                bag = module.BOWImgDescriptorExtractor(sift, cv2.BFMatcher())
                bag.setVocabulary(cv2.kmeans(rows, 8, None, stop, 1, cv2.KMEANS_PP_CENTERS)[2])
                assert bag.compute(IMAGE, keypoints).shape == (1, 8)
    after = cv2.detail.computeImageFeatures2, cv2.AffineFeature, cv2.AffineFeature_create
    assert before == after


def test_after_an_error_opencv_is_as_before():
    with pytest.raises(ZeroDivisionError), cv2_superpoint.replacing("ORB"):
        1 / 0  # noqa: B018
    with pytest.raises(ValueError, match="SURF"), cv2_superpoint.replacing("ORB", "SURF"):
        pass
    assert_as_before()


def test_a_function_may_be_decorated():
    @cv2_superpoint.replacing("ORB")
    def make():
        return cv2.ORB_create()

    for _ in range(2):
        assert isinstance(make(), cv2_superpoint.ORB)
    assert_as_before()


def python(*arguments: str, **kwargs) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, *arguments], capture_output=True, text=True, **kwargs)


def test_registered_it_is_in_cv2_and_a_bare_import_changes_nothing():
    code = (
        "import cv2; before = dict(vars(cv2)); import cv2_superpoint as c; c.SuperPoint_create(); "
        "c.ORB_create(); assert dict(vars(cv2)) == before; c.register(); c.register(); "
        "print(cv2.SuperPoint_create(9).getMaxFeatures(), cv2.SuperPoint is c.SuperPoint, "
        "set(vars(cv2)) - set(before) == {'SuperPoint', 'SuperPoint_create'})"
    )
    assert python("-c", code).stdout.split() == ["9", "True", "True"]


SCRIPT = """
import sys
import cv2
import neighbour
image = cv2.imread(sys.argv[1], 0)
orb = cv2.ORB_create(60)
_, rows = orb.detectAndCompute(image, None)
print(__name__, sys.argv[2:], type(orb).__module__, neighbour.NAME, rows.dtype, len(rows))
sys.exit(3)
"""


def test_a_script_runs_as_it_is(tmp_path):
    (tmp_path / "neighbour.py").write_text("NAME = 'next to it'")
    (tmp_path / "script.py").write_text(SCRIPT)
    cv2.imwrite(str(tmp_path / "photo.png"), IMAGE)
    run = ("-m", "cv2_superpoint.replace")
    script = (str(tmp_path / "script.py"), str(tmp_path / "photo.png"), "--features", "x")
    done = python(*run, *script)
    assert done.returncode == 3, done.stderr
    wanted = "__main__ ['--features', 'x'] cv2_superpoint.opencv.drop_ins next to it uint8 60\n"
    assert done.stdout == wanted
    plain = python(*run, "--features", "SIFT,AKAZE", *script)
    assert " cv2 next to it " in plain.stdout
    module = ("-m", "script", "photo.png", "-m", "x")
    done = python(*run, *module, cwd=tmp_path, env=os.environ | {"PYTHONPATH": ROOT})
    assert done.stdout == wanted.replace("--features", "-m"), done.stderr


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "required: script"),
        (["no such script.py"], "no such script"),
        (["-m", "no_such.module"], "no such module: no_such.module"),
        (["--features", "SURF", "script.py"], "can replace ORB, SIFT, AKAZE, BRISK, not SURF"),
    ],
)
def test_wrong_commands_are_refused(arguments, message, capsys):
    with pytest.raises(SystemExit) as caught:
        replace.main(arguments)
    assert caught.value.code == 2
    assert message in capsys.readouterr().err
    assert_as_before()

"""Methods by name: what they return, and what their results depend on."""

import sys
from pathlib import Path
from types import SimpleNamespace

import cv2
import numpy as np
import pytest

from benchmarks.common import detectors
from benchmarks.common.detectors import MethodError, find_factory, fingerprint, make

CLASSICAL = ("ORB", "SIFT", "RootSIFT", "AKAZE", "BRISK", "cv2:SIFT_create")


def _has_contrib() -> bool:
    return hasattr(cv2, "AKAZE") or hasattr(cv2, "xfeatures2d")


@pytest.fixture
def image() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (200, 200), np.uint8)


@pytest.mark.parametrize("name", CLASSICAL)
def test_classical_methods(name: str, image: np.ndarray) -> None:
    if name in ("AKAZE", "BRISK") and not _has_contrib():
        pytest.skip("this OpenCV 5 was built without opencv_contrib")
    detector = find_factory(name)(50)
    keypoints, descriptors = detector.detectAndCompute(image, None)
    assert descriptors is not None
    assert len(keypoints) == len(descriptors)
    assert keypoints
    # AKAZE has a limit since OpenCV 4.9, BRISK has none.
    if name != "BRISK" and (name != "AKAZE" or hasattr(detector, "setMaxPoints")):
        assert len(keypoints) <= 55
    assert detector.defaultNorm() in (cv2.NORM_L2, cv2.NORM_HAMMING)


@pytest.mark.parametrize("name", ["FAST", "Harris", "Shi"])
def test_detection_only(name: str, image: np.ndarray) -> None:
    detector = find_factory(name)(50)
    keypoints, descriptors = detector.detectAndCompute(image, None)
    assert len(keypoints) >= 20
    assert descriptors is None
    responses = [keypoint.response for keypoint in keypoints]
    assert max(responses) > min(responses) >= 0


def test_harris_and_shi_differ(image: np.ndarray) -> None:
    harris, shi = (
        find_factory(name)(50).detectAndCompute(image, None)[0] for name in ("Harris", "Shi")
    )
    assert [k.pt for k in harris] != [k.pt for k in shi]


def test_root_by_hand() -> None:
    rows = detectors.root(np.array([[1.0, 3.0], [0.0, 0.0]], np.float32))
    np.testing.assert_allclose(rows, [[0.5, 0.75**0.5], [0, 0]], rtol=1e-6)
    assert rows.dtype == np.float32


def test_root_sift_is_sift_with_other_descriptors(image: np.ndarray) -> None:
    plain, rooted = (
        find_factory(name)(30).detectAndCompute(image, None) for name in ("SIFT", "RootSIFT")
    )
    assert [k.pt for k in plain[0]] == [k.pt for k in rooted[0]]
    np.testing.assert_allclose(np.linalg.norm(rooted[1], axis=1), 1, rtol=1e-5)


def test_superpoint_is_imported_when_it_is_made(monkeypatch: pytest.MonkeyPatch) -> None:
    stand_in = SimpleNamespace(SuperPoint_create=lambda n, **settings: (n, settings))
    monkeypatch.setitem(sys.modules, "cv2_superpoint", stand_in)
    made = {name: find_factory(name)(300) for name in ("SuperPoint", "SuperPoint-lite")}
    assert made["SuperPoint"] == (300, {})
    assert made["SuperPoint-lite"] == (300, {"model": "superpoint-lite"})
    assert find_factory("SuperPoint[nlevels=3]")(300)[1]["nlevels"] == 3
    name = "SuperPoint-lite[nlevels=5, scaleFactor=1.414,precision=bfloat16]"
    assert find_factory(name)(300)[1] == {
        "model": "superpoint-lite",
        "nlevels": 5,
        "scaleFactor": 1.414,
        "precision": "bfloat16",
    }


def test_superpoint_with_binary_descriptors(photographs: dict[str, np.ndarray]) -> None:
    detector = find_factory("SuperPoint-binary")(40)
    keypoints, descriptors = detector.detectAndCompute(photographs["camera"], None)
    assert descriptors is not None
    assert (descriptors.shape, descriptors.dtype) == ((len(keypoints), 32), np.uint8)
    assert detector.defaultNorm() == cv2.NORM_HAMMING


def test_superpoint_with_weights_of_a_file(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    stand_in = SimpleNamespace(SuperPoint_create=lambda n, **settings: settings)
    monkeypatch.setitem(sys.modules, "cv2_superpoint", stand_in)
    file = tmp_path / "mine.safetensors"
    file.touch()
    assert find_factory(f"SuperPoint={file}")(9) == {"weights": str(file)}
    expected = {"weights": str(file), "nlevels": 2}
    assert find_factory(f"SuperPoint[nlevels=2]={file}")(9) == expected


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("SuperPoint[nlevel=5]", "unexpected keyword argument 'nlevel'"),
        ("SuperPoint[nlevels]", "a setting is like nlevels=5, not 'nlevels'"),
        ("SuperPoint[nlevels=0]", "nlevels"),
        ("SuperPoint[precision=int3]", "precision must be one of"),
        ("SuperPoint[nlevels=2]=no_such_file", "cannot find the file"),
        ("ORB[nlevels=2]", "unknown method"),
    ],
)
def test_wrong_settings_in_a_name(name: str, message: str) -> None:
    with pytest.raises(MethodError, match=message):
        make(name, 100)


@pytest.mark.parametrize("name", ["ALIKED", "DISK"])
def test_networks_of_opencv_5(name: str, tmp_path: Path) -> None:
    file = tmp_path / "network.onnx"
    file.write_bytes(b"not a network")
    if not hasattr(cv2, name):
        with pytest.raises(MethodError, match="needs OpenCV 5"):
            find_factory(f"{name}={file}")
        return
    with pytest.raises(MethodError, match="cannot make"):  # OpenCV is given the file, and refuses
        make(f"{name}={file}", 100)


def test_file_that_is_no_network_of_ours(tmp_path: Path) -> None:
    file = tmp_path / "notes.txt"
    file.write_text("no weights")
    with pytest.raises(MethodError, match="damaged, or no file of weights"):
        make(f"SuperPoint={file}", 100)


def test_whose_a_name_is() -> None:
    ours = ["SuperPoint", "SuperPoint-lite", "SuperPoint=a.safetensors", "SuperPoint=C:/a"]
    ours += ["SuperPoint[device='cuda:0']", "SuperPoint-binary[nlevels=2]=a"]
    assert all(map(detectors.is_ours, ours))
    assert not any(map(detectors.is_ours, ["ORB", "ALIKED=SuperPoint", "SuperPointNet:make"]))


@pytest.mark.parametrize(
    "name",
    ["orbb", "no_such_module:make", "cv2:no_such_detector", "ORB=file", "ALIKED=no_such_file"],
)
def test_unknown_method(name: str) -> None:
    with pytest.raises(MethodError, match=name):
        find_factory(name)


def test_fingerprints_of_methods_differ() -> None:
    names = [*detectors.METHODS, *detectors.OURS, "cv2:ORB_create"]
    assert len({fingerprint(name) for name in names}) == len(names)
    assert fingerprint("ORB") == fingerprint("ORB")


def test_fingerprint_follows_the_weights(tmp_path: Path) -> None:
    file = tmp_path / "weights.onnx"
    file.write_bytes(b"one")
    before = fingerprint(f"ALIKED={file}")
    file.write_bytes(b"two")
    assert fingerprint(f"ALIKED={file}") != before


def test_fingerprint_follows_settings_and_weights_of_ours(tmp_path: Path) -> None:
    file = tmp_path / "weights.safetensors"
    file.write_bytes(b"one")
    names = [f"SuperPoint[nlevels={n}]={file}" for n in (1, 2)]
    before = [fingerprint(name) for name in names]
    file.write_bytes(b"two")
    assert len({*before, *(fingerprint(name) for name in names)}) == 4


def test_fingerprint_follows_the_code(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(tmp_path)
    module = tmp_path / "my_method.py"
    module.write_text("make = 1\n")
    before = fingerprint("my_method:make")
    module.write_text("make = 2\n")
    assert fingerprint("my_method:make") != before

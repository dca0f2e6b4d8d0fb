"""Features on disk: what is stored comes back, and what is damaged is computed again."""

from pathlib import Path

import cv2
import numpy as np
import pytest
from dots import DotDetector

from benchmarks.common import features
from benchmarks.common.detectors import DetectionOnly
from cv2_superpoint import SuperPoint

IMAGE = np.zeros((9, 9), np.uint8)
FEATURES = features.Features(
    np.array([[1.5, 2.0], [3.0, 4.0]]), np.eye(2, 8, dtype=np.float32), 2.5, cv2.NORM_L2, 3
)


class EagerDetector(DotDetector):
    """Returns five points whatever it was asked for, the weakest first."""

    def detectAndCompute(self, image, mask):
        keypoints = [cv2.KeyPoint(float(i), 0.0, 1.0, -1.0, float(i)) for i in range(5)]
        return keypoints, np.arange(5, dtype=np.float32)[:, None]


def same(first: features.Features, second: features.Features) -> bool:
    return (
        np.array_equal(first.points, second.points)
        and np.array_equal(first.descriptors, second.descriptors)
        and first.descriptors.dtype == second.descriptors.dtype
        and (first.milliseconds, first.norm, first.workers)
        == (second.milliseconds, second.norm, second.workers)
    )


def find(folder: Path, calls: list[int], fingerprint: str = "f") -> features.Features:
    def compute(images):
        calls.append(len(images))
        return [FEATURES] * len(images)

    return features.cached(folder, fingerprint, [IMAGE], 10, compute)[0]


def test_extract_keeps_the_strongest_in_the_detectors_order() -> None:
    found = features.extract(EagerDetector(3), IMAGE, 3)
    assert found.points[:, 0].tolist() == [2, 3, 4]
    assert found.descriptors[:, 0].tolist() == [2, 3, 4]
    assert found.norm == cv2.NORM_L2


def test_extract_without_descriptors() -> None:
    image = np.zeros((64, 64), np.uint8)
    image[[20, 40], [30, 50]] = 255
    found = features.extract(DetectionOnly(cv2.FastFeatureDetector.create()), image, 100)
    assert found.points.tolist() == [[30, 20], [50, 40]]
    assert found.descriptors.shape == (2, 0)
    assert found.norm is None


def test_extract_of_a_blank_image() -> None:
    found = features.extract(cv2.ORB.create(), IMAGE, 100)
    assert (len(found.points), len(found.descriptors), found.norm) == (0, 0, cv2.NORM_HAMMING)


def test_batch_equals_single(detector: SuperPoint, photographs: dict[str, np.ndarray]) -> None:
    images = [photographs["camera"], photographs["astronaut"]]
    batch = features.extract_batch(detector, images, 200)
    for image, found in zip(images, batch, strict=True):
        alone = features.extract(detector, image, 200)
        np.testing.assert_allclose(found.points, alone.points, atol=1e-3)
        np.testing.assert_allclose(found.descriptors, alone.descriptors, atol=1e-4)


@pytest.mark.parametrize("norm", [cv2.NORM_HAMMING, None])
def test_load_gives_what_was_saved(tmp_path: Path, norm: int | None) -> None:
    stored = features.Features(FEATURES.points, np.ones((2, 4), np.uint8), 1.0, norm, 2)
    features.save(tmp_path / "a.npz", stored)
    loaded = features.load(tmp_path / "a.npz")
    assert loaded is not None
    assert same(loaded, stored)


def test_hit(tmp_path: Path) -> None:
    calls: list[int] = []
    assert same(find(tmp_path, calls), FEATURES)
    assert same(find(tmp_path, calls), FEATURES)
    assert calls == [1]
    find(tmp_path, calls, fingerprint="another method")
    assert calls == [1, 1]


@pytest.mark.parametrize("keep", [0, 10, 0.5, -1])
def test_damaged_file_is_computed_again_and_mended(tmp_path: Path, keep: float) -> None:
    calls: list[int] = []
    find(tmp_path, calls)
    (path,) = tmp_path.iterdir()
    content = path.read_bytes()
    path.write_bytes(content[: keep if isinstance(keep, int) else int(len(content) * keep)])
    assert same(find(tmp_path, calls), FEATURES)
    assert calls == [1, 1]
    assert len(list(tmp_path.iterdir())) == 1
    find(tmp_path, calls)
    assert calls == [1, 1]


def test_flipped_byte_is_noticed(tmp_path: Path) -> None:
    calls: list[int] = []
    find(tmp_path, calls)
    (path,) = tmp_path.iterdir()
    content = bytearray(path.read_bytes())
    at = content.index(FEATURES.points.tobytes())
    content[at] ^= 0xFF
    path.write_bytes(content)
    assert same(find(tmp_path, calls), FEATURES)
    assert calls == [1, 1]


def test_no_half_file_after_an_interruption(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stop_half_way(stream, **fields):
        stream.write(b"half")
        raise KeyboardInterrupt

    monkeypatch.setattr(np, "savez", stop_half_way)
    with pytest.raises(KeyboardInterrupt):
        features.save(tmp_path / "a.npz", FEATURES)
    assert not list(tmp_path.iterdir())

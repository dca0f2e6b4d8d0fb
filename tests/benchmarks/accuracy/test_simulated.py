"""The built-in set: it needs no network, and its homographies are true."""

import cv2
import numpy as np
import pytest
import skimage.data

from benchmarks.accuracy import simulated
from benchmarks.common import datasets

NAMES = ("camera", "coins")


@pytest.fixture(scope="module")
def sequences(tmp_path_factory: pytest.TempPathFactory) -> dict[str, datasets.Sequence]:
    folder = tmp_path_factory.mktemp("photographs")
    simulated.write_sequences(folder, {name: getattr(skimage.data, name)() for name in NAMES})
    return {sequence.name: sequence for sequence in datasets.read_sequences(folder)}


def test_a_sequence_of_each_kind_per_photograph(sequences: dict[str, datasets.Sequence]) -> None:
    assert list(sequences) == ["i_camera", "i_coins", "v_camera", "v_coins"]
    assert all(len(sequence.images) == 4 for sequence in sequences.values())


@pytest.mark.parametrize("name", [f"{kind}_{name}" for kind in "iv" for name in NAMES])
def test_homographies_are_true(sequences: dict[str, datasets.Sequence], name: str) -> None:
    images, homographies = sequences[name].load(None)
    height, width = simulated.SIZE
    for image, homography in zip(images[1:], homographies[1:], strict=True):
        size = (width, height)
        warped = cv2.warpPerspective(images[0], homography, size)
        seen = cv2.warpPerspective(np.full((height, width), 255, np.uint8), homography, size) == 255
        assert seen.mean() > 0.4

        true = _texture(warped)
        agreement = {
            (dx, dy): np.corrcoef(_texture(image)[seen], np.roll(true, (dy, dx), (0, 1))[seen])[
                0, 1
            ]
            for dx in (-2, 0, 2)
            for dy in (-2, 0, 2)
        }
        assert max(agreement, key=lambda shift: agreement[shift]) == (0, 0)
        assert agreement[0, 0] > 0.7


def _texture(image: np.ndarray) -> np.ndarray:
    """Leave out noise and slow changes of light."""
    smooth = cv2.GaussianBlur(image.astype(np.float32), (0, 0), 2)
    return smooth - cv2.GaussianBlur(smooth, (0, 0), 12)


def test_kinds_change_what_they_say(sequences: dict[str, datasets.Sequence]) -> None:
    light, homographies = sequences["i_camera"].load(None)
    np.testing.assert_allclose(homographies[3], np.eye(3), atol=1e-9)
    assert np.abs(light[3].astype(int) - light[0]).mean() > 20
    _, homographies = sequences["v_camera"].load(None)
    corners = np.array([[[0, 0], [639, 0], [639, 479], [0, 479]]], np.float64)
    moved = cv2.perspectiveTransform(corners, homographies[3])
    assert np.linalg.norm(moved - corners, axis=2).mean() > 25

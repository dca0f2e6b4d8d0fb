"""The loader: what it finds, what it refuses, and how exactly it resizes."""

from pathlib import Path

import cv2
import numpy as np
import pytest

from benchmarks.common import datasets, metrics


def test_finds_every_sequence(hpatches_folder: Path) -> None:
    (hpatches_folder / "notes").mkdir()
    dim, shift = datasets.read_sequences(hpatches_folder)
    assert (dim.name, shift.name) == ("i_dim", "v_shift")
    assert [path.name for path in shift.images] == ["1.ppm", "2.ppm", "3.ppm"]
    np.testing.assert_array_equal(shift.homographies[0], np.eye(3))
    np.testing.assert_array_equal(shift.homographies[2][:, 2], [-48, -32, 1])


def test_load_gives_one_size(hpatches_folder: Path) -> None:
    images, homographies = datasets.read_sequences(hpatches_folder)[1].load((120, 160))
    assert [image.shape for image in images] == [(120, 160)] * 3
    assert all(image.dtype == np.uint8 for image in images)
    np.testing.assert_allclose(homographies[0], np.eye(3), atol=1e-12)


def test_missing_folder_says_what_is_expected(tmp_path: Path) -> None:
    with pytest.raises(datasets.DatasetError, match="No such folder") as caught:
        datasets.read_sequences(tmp_path / "nowhere")
    assert "hpatches-sequences-release" in str(caught.value)
    assert "H_1_2 .. H_1_6" in str(caught.value)


def test_folder_without_sequences(tmp_path: Path) -> None:
    with pytest.raises(datasets.DatasetError, match="No sequence"):
        datasets.read_sequences(tmp_path)


@pytest.mark.parametrize(
    ("victim", "content", "message"),
    [
        ("1.ppm", None, "No reference image 1"),
        ("2.ppm", None, "No second image"),
        ("H_1_2", None, "Cannot read the homography"),
        ("H_1_2", "one two three", "Cannot read the homography"),
        ("H_1_2", "1 0 0\n0 1 0", "Not an invertible 3x3"),
        ("H_1_2", "1 0 0\n0 1 0\n0 0 0", "Not an invertible 3x3"),
        ("H_1_2", "1 0 nan\n0 1 0\n0 0 1", "Not an invertible 3x3"),
    ],
)
def test_broken_sequence(
    hpatches_folder: Path, victim: str, content: str | None, message: str
) -> None:
    path = hpatches_folder / "i_dim" / victim
    path.unlink()
    if content is not None:
        path.write_text(content)
    with pytest.raises(datasets.DatasetError, match=message):
        datasets.read_sequences(hpatches_folder)


def test_unreadable_image(hpatches_folder: Path) -> None:
    (hpatches_folder / "i_dim" / "2.ppm").write_bytes(b"not an image")
    dim = datasets.read_sequences(hpatches_folder)[0]
    with pytest.raises(datasets.DatasetError, match="Cannot read the image"):
        dim.load((120, 160))


@pytest.mark.parametrize(
    ("shape", "size", "expected"),
    [
        ((480, 640), (480, 640), [[1, 0, 0], [0, 1, 0], [0, 0, 1]]),
        # Half the size: the centre of the first 2x2 block, (0.5, 0.5), becomes pixel (0, 0).
        ((480, 640), (240, 320), [[0.5, 0, -0.25], [0, 0.5, -0.25], [0, 0, 1]]),
        # Twice the size: pixel (0, 0) becomes the centre of a 2x2 block.
        ((240, 320), (480, 640), [[2, 0, 0.5], [0, 2, 0.5], [0, 0, 1]]),
        # A wider image is halved by its height; 320 of its 400 columns stay.
        ((480, 800), (240, 320), [[0.5, 0, -40.25], [0, 0.5, -0.25], [0, 0, 1]]),
        # A taller image is halved by its width; 240 of its 300 rows stay.
        ((600, 640), (240, 320), [[0.5, 0, -0.25], [0, 0.5, -30.25], [0, 0, 1]]),
    ],
)
def test_fit_matrix(
    shape: tuple[int, int], size: tuple[int, int], expected: list[list[float]]
) -> None:
    fitted, matrix = datasets.fit(np.zeros(shape, np.uint8), size)
    assert fitted.shape == size
    np.testing.assert_allclose(matrix, expected, atol=1e-12)


@pytest.mark.parametrize("shape", [(522, 788), (700, 1000), (203, 311), (1001, 333)])
@pytest.mark.parametrize("size", [(240, 320), (480, 640)])
def test_fit_moves_blobs_where_the_matrix_says(
    shape: tuple[int, int], size: tuple[int, int]
) -> None:
    # A smooth blob's centre of mass survives resampling to a few hundredths of a pixel, so a
    # missing half-pixel term or a wrong rounding of the scale shows.
    y, x = np.mgrid[: shape[0], : shape[1]]
    centre = np.array([[shape[1] * 0.52 + 0.3, shape[0] * 0.47 + 0.1]])
    sigma = min(shape) / 25
    distance = (x - centre[0, 0]) ** 2 + (y - centre[0, 1]) ** 2
    blob = np.rint(255 * np.exp(-distance / (2 * sigma**2))).astype(np.uint8)

    fitted, matrix = datasets.fit(blob, size)
    moments = cv2.moments(fitted)
    found = np.array([[moments["m10"], moments["m01"]]]) / moments["m00"]
    np.testing.assert_allclose(found, metrics.warp_points(centre, matrix), atol=0.06)


def test_load_adjusts_the_homography_exactly(hpatches_folder: Path) -> None:
    shift = datasets.read_sequences(hpatches_folder)[1]
    # 400x560 is scaled by 0.6 to 240x336, so the shift of (24, 16) becomes (14.4, 9.6).
    _, homographies = shift.load((240, 320))
    expected = [[1, 0, -14.4], [0, 1, -9.6], [0, 0, 1]]
    np.testing.assert_allclose(homographies[1], expected, atol=1e-9)


def test_folder_around_the_release(hpatches_folder: Path, tmp_path: Path) -> None:
    around = tmp_path / "downloads"
    around.mkdir()
    hpatches_folder.rename(around / "hpatches-sequences-release")
    assert [s.name for s in datasets.read_sequences(around)] == ["i_dim", "v_shift"]


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".PNG"])
def test_other_formats(hpatches_folder: Path, suffix: str) -> None:
    for path in (hpatches_folder / "i_dim").glob("*.ppm"):
        cv2.imwrite(str(path.with_suffix(suffix)), cv2.imread(str(path)))
        path.unlink()
    images, _ = datasets.read_sequences(hpatches_folder)[0].load(None)
    assert [image.shape for image in images] == [(400, 560)] * 2


def test_splits(hpatches_folder: Path) -> None:
    dim, shift = datasets.read_sequences(hpatches_folder)
    assert (dim.split, shift.split) == ("illumination", "viewpoint")


def test_load_without_a_size_changes_nothing(hpatches_folder: Path) -> None:
    shift = datasets.read_sequences(hpatches_folder)[1]
    images, homographies = shift.load(None)
    expected = cv2.imread(str(hpatches_folder / "v_shift" / "2.ppm"), cv2.IMREAD_GRAYSCALE)
    np.testing.assert_array_equal(images[1], expected)
    np.testing.assert_allclose(homographies[1], shift.homographies[1])


@pytest.mark.parametrize(
    ("illumination", "viewpoint", "images", "full"),
    [(57, 59, 6, True), (57, 58, 6, False), (58, 58, 6, False), (57, 59, 5, False)],
)
def test_full_release(illumination: int, viewpoint: int, images: int, full: bool) -> None:
    names = [f"i_{i}" for i in range(illumination)] + [f"v_{i}" for i in range(viewpoint)]
    paths = tuple(Path(f"{i}.ppm") for i in range(images))
    sequences = [datasets.Sequence(name, paths, (np.eye(3),) * images) for name in names]
    assert datasets.is_full_release(sequences) == full


def test_eight_large_sequences_of_both_kinds() -> None:
    names = datasets.LARGE_SEQUENCES
    assert [sum(n.startswith(p) for n in names) for p in ("i_", "v_")] == [5, 3]

"""Image sequences in the HPatches layout, brought to one size with their homographies."""

from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

Image = NDArray[np.uint8]

IMAGE_SUFFIXES = {".ppm", ".png", ".jpg", ".jpeg"}

RELEASE = "hpatches-sequences-release"

LAYOUT = f"""\
HPatches is a set of 116 image sequences with known homographies, on which local features are
compared (Balntas et al., CVPR 2017). Get the archive {RELEASE} (1.3 GB) from
    https://github.com/hpatches/hpatches-dataset or
    https://huggingface.co/datasets/vbalnt/hpatches
and unpack it. DIR is the folder that it unpacks to, or the one around it. Expected layout, with
fewer images allowed and ppm, png or jpg files:
    DIR/i_*/  sequences with illumination changes
    DIR/v_*/  sequences with viewpoint changes
        1.ppm .. 6.ppm
        H_1_2 .. H_1_6    3x3 matrices as text, mapping image 1 to image k"""

SPLITS = {"i_": "illumination", "v_": "viewpoint"}
"""By the beginning of the name of a sequence."""


def in_split(sequence: str, split: str) -> bool:
    """Tell whether a sequence of this name belongs to a split, or to ``"all"``."""
    return split == "all" or SPLITS[sequence[:2]] == split


# fmt: off
LARGE_SEQUENCES = frozenset({
    "i_contruction", "i_crownnight", "i_dc", "i_pencils", "i_whitebuilding",
    "v_artisans", "v_astronautis", "v_talent",
})
# fmt: on
"""Those beyond 1600x1200 that D2-Net left out (arXiv 1905.03561, section 5.1)."""


class DatasetError(ValueError):
    """The folder does not hold HPatches-format sequences; the message says what is wrong."""

    def __init__(self, problem: str) -> None:
        super().__init__(f"{problem}\n\n{LAYOUT}")


@dataclass(frozen=True)
class Sequence:
    """One scene: a reference image and the images that a homography relates it to.

    Attributes
    ----------
    name : str
        Folder name; it starts with ``i_`` (illumination) or ``v_`` (viewpoint).
    images : tuple of Path
        The reference image first.
    homographies : tuple of ndarray, each (3, 3) float64
        ``homographies[i]`` maps ``images[0]`` to ``images[i]`` in full-size pixels; the first is
        the identity.
    """

    name: str
    images: tuple[Path, ...]
    homographies: tuple[NDArray[np.float64], ...]

    @property
    def split(self) -> str:
        """Either "illumination" or "viewpoint"."""
        return SPLITS[self.name[:2]]

    def load(self, size: tuple[int, int] | None) -> tuple[list[Image], list[NDArray[np.float64]]]:
        """Read the images in grey at one size.

        Parameters
        ----------
        size : tuple of int or None
            (height, width) of the images returned; None leaves each as it is.

        Returns
        -------
        images : list of (height, width) uint8 arrays
        homographies : list of (3, 3) float64 arrays
            From the first returned image to each of them, in their pixels.
        """
        greys = [_read_grey(path) for path in self.images]
        fitted = [fit(grey, size or grey.shape) for grey in greys]
        to_reference = np.linalg.inv(fitted[0][1])
        return (
            [image for image, _ in fitted],
            [
                resize @ homography @ to_reference
                for (_, resize), homography in zip(fitted, self.homographies, strict=True)
            ],
        )


def read_sequences(folder: Path) -> list[Sequence]:
    """Find the sequences ``i_*`` and ``v_*`` in a folder, or in the release it holds, by name.

    Raises
    ------
    DatasetError
        If the folder is missing, holds no sequence, or one of its sequences is incomplete.
    """
    if not folder.is_dir():
        raise DatasetError(f"No such folder: {folder}")
    if (folder / RELEASE).is_dir():
        folder = folder / RELEASE
    sequences = [
        _read_sequence(child)
        for child in sorted(folder.iterdir())
        if child.is_dir() and child.name.startswith(tuple(SPLITS))
    ]
    if not sequences:
        raise DatasetError(f"No sequence i_* or v_* in {folder}")
    return sequences


def is_full_release(sequences: list[Sequence]) -> bool:
    """Tell whether these are as many sequences and images as HPatches has.

    The release has 57 sequences with illumination changes and 59 with viewpoint changes, of six
    images each.
    """
    splits = [sequence.split for sequence in sequences]
    return (
        splits.count("illumination") == 57
        and splits.count("viewpoint") == 59
        and all(len(sequence.images) == 6 for sequence in sequences)
    )


def fit(image: Image, size: tuple[int, int]) -> tuple[Image, NDArray[np.float64]]:
    """Resize an image with its ratio kept until it covers `size`, and crop its centre.

    Parameters
    ----------
    image : (H, W) uint8 array
    size : tuple of int
        (height, width) of the result.

    Returns
    -------
    fitted : (height, width) uint8 array
    matrix : (3, 3) float64 array
        Maps pixel coordinates of `image` to those of `fitted`. A resize by s maps the pixel
        centre x to s (x + 1/2) - 1/2, because the image begins half a pixel before its first
        pixel centre.
    """
    height, width = size
    old_height, old_width = image.shape
    scale = max(height / old_height, width / old_width)
    new_height, new_width = round(old_height * scale), round(old_width * scale)
    # INTER_AREA averages what it shrinks, so nothing aliases; it is not meant for enlarging.
    interpolation = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
    resized = cv2.resize(image, (new_width, new_height), interpolation=interpolation)

    left, top = (new_width - width) // 2, (new_height - height) // 2
    # The two scales differ slightly once the size is rounded to whole pixels.
    scale_x, scale_y = new_width / old_width, new_height / old_height
    matrix = np.array(
        [
            [scale_x, 0, (scale_x - 1) / 2 - left],
            [0, scale_y, (scale_y - 1) / 2 - top],
            [0, 0, 1],
        ]
    )
    fitted = np.ascontiguousarray(resized[top : top + height, left : left + width], np.uint8)
    return fitted, matrix


def _read_sequence(folder: Path) -> Sequence:
    images = {
        int(path.stem): path
        for path in sorted(folder.iterdir())
        if path.suffix.lower() in IMAGE_SUFFIXES and path.stem.isdecimal()
    }
    numbers = sorted(images)
    if numbers[:1] != [1]:
        raise DatasetError(f"No reference image 1 (ppm, png or jpg) in {folder}")
    if len(numbers) < 2:
        raise DatasetError(f"No second image in {folder}")
    homographies = (_read_homography(folder / f"H_1_{number}") for number in numbers[1:])
    return Sequence(
        name=folder.name,
        images=tuple(images[number] for number in numbers),
        homographies=(np.eye(3), *homographies),
    )


def _read_homography(path: Path) -> NDArray[np.float64]:
    try:
        matrix = np.loadtxt(path, dtype=np.float64, ndmin=2)
    except (OSError, ValueError) as error:
        raise DatasetError(f"Cannot read the homography {path}: {error}") from error
    if matrix.shape != (3, 3) or not np.isfinite(matrix).all() or np.linalg.det(matrix) == 0:
        raise DatasetError(f"Not an invertible 3x3 matrix: {path}")
    return matrix


def _read_grey(path: Path) -> Image:
    image = cv2.imread(str(path), cv2.IMREAD_GRAYSCALE)
    if image is None:
        raise DatasetError(f"Cannot read the image {path}")
    return np.asarray(image, np.uint8)

"""Pictures to look at before and during training: shapes, pseudo-labels, matches.

Every function returns a BGR picture; :func:`write` and :func:`shapes_preview` save one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

from cv2_superpoint.files import write_atomically

from ..data.shapes import SHAPES, draw

Picture = npt.NDArray[np.uint8]
Points = npt.NDArray[np.floating]

_GREEN, _RED, _WHITE = (80, 220, 60), (60, 60, 240), (255, 255, 255)
_GROUND = 60  # grey level around the pictures
_GAP = 8  # pixels between the pictures of a sheet
_BAR = 30  # height of a caption
_SUBPIXEL = 4  # OpenCV's drawing functions take positions in units of 1 / 2**_SUBPIXEL pixel


def mark_points(image: Picture, points: Points, zoom: int = 3) -> Picture:
    """Enlarge an image so that its pixels can be seen, and circle points on it.

    Parameters
    ----------
    image
        ``(H, W)`` uint8.
    points
        ``(N, 2)`` pixels ``(x, y)`` of `image`, fractions included.
    zoom
        How many times larger the result is.

    Returns
    -------
    ndarray
        ``(zoom H, zoom W, 3)`` BGR.
    """
    picture = _enlarge(image, zoom)
    for x, y in _fixed(_enlarged(points, zoom)):
        for colour, thickness in (((0, 0, 0), 4), (_GREEN, 2)):  # an outline, for light grounds
            place, radius = (int(x), int(y)), 5 << _SUBPIXEL
            cv2.circle(picture, place, radius, colour, thickness, cv2.LINE_AA, _SUBPIXEL)
    return picture


def _enlarge(image: Picture, zoom: int) -> Picture:
    large = cv2.resize(image, None, fx=zoom, fy=zoom, interpolation=cv2.INTER_NEAREST)
    return cv2.cvtColor(large, cv2.COLOR_GRAY2BGR)


def _enlarged(points: Points, zoom: int) -> npt.NDArray[np.float64]:
    """Return where pixel positions lie in an enlarged image; integers are pixel centres."""
    return (np.asarray(points, np.float64).reshape(-1, 2) + 0.5) * zoom - 0.5


def _fixed(points: npt.NDArray[np.float64]) -> npt.NDArray[np.int32]:
    return np.round(points * (1 << _SUBPIXEL)).astype(np.int32)


def _caption(picture: Picture, text: str) -> Picture:
    bar = np.full((_BAR, picture.shape[1], 3), _GROUND, np.uint8)
    place = (_GAP, _BAR - 10)
    cv2.putText(bar, text, place, cv2.FONT_HERSHEY_SIMPLEX, 0.5, _WHITE, 1, cv2.LINE_AA)
    return np.vstack([bar, picture])


def grid(pictures: Sequence[Picture], columns: int) -> Picture:
    """Lay BGR pictures out row by row, each cell as large as the largest of them."""
    height, width = (max(p.shape[axis] for p in pictures) for axis in (0, 1))
    columns = min(columns, len(pictures))
    rows = -(-len(pictures) // columns)
    shape = (rows * (height + _GAP) - _GAP, columns * (width + _GAP) - _GAP, 3)
    sheet = np.full(shape, _GROUND, np.uint8)
    for i, picture in enumerate(pictures):
        top, left = (i // columns) * (height + _GAP), (i % columns) * (width + _GAP)
        sheet[top : top + picture.shape[0], left : left + picture.shape[1]] = picture
    return sheet


def shapes_sheet(
    pictures: Mapping[str, Sequence[tuple[Picture, Points]]], zoom: int = 3
) -> Picture:
    """Return figures of Synthetic Shapes with their labels, one row per name.

    Parameters
    ----------
    pictures
        By name, equally many pairs of ``(H, W)`` uint8 and ``(N, 2)`` pixels ``(x, y)``.
    zoom
        Enlargement.
    """
    cells = [
        _caption(mark_points(image, points, zoom), f"{name}: {len(points)} corners")
        for name, row in pictures.items()
        for image, points in row
    ]
    return grid(cells, max(map(len, pictures.values())))


def labels_sheet(
    images: Sequence[Picture], points: Sequence[Points], columns: int = 3, zoom: int = 3
) -> Picture:
    """Return photographs with their pseudo-labels.

    Parameters
    ----------
    images
        ``(H, W)`` uint8 each; sizes may differ.
    points
        ``(N, 2)`` pixels ``(x, y)`` of each.
    columns, zoom
        Layout and enlargement.
    """
    cells = [
        _caption(mark_points(image, found, zoom), f"{len(found)} points")
        for image, found in zip(images, points, strict=True)
    ]
    return grid(cells, columns)


def adaptation_sheet(
    images: Sequence[Picture], points: Mapping[int, Sequence[Points]], zoom: int = 2
) -> Picture:
    """Return what Homographic Adaptation finds with few and with many copies, side by side.

    Parameters
    ----------
    images
        ``(H, W)`` uint8 each; one row per image.
    points
        By number of copies (the paper's N_h), the ``(N, 2)`` pixels ``(x, y)`` of each image; one
        column per number.
    zoom
        Enlargement.
    """
    cells = [
        _caption(mark_points(image, found[i], zoom), f"N_h = {copies}: {len(found[i])} points")
        for i, image in enumerate(images)
        for copies, found in points.items()
    ]
    return grid(cells, len(points))


def matches_sheet(
    first: Picture,
    second: Picture,
    first_points: Points,
    second_points: Points,
    correct: npt.NDArray[np.bool_],
    zoom: int = 3,
) -> Picture:
    """Return two views side by side with their matches: green lines right, red ones wrong.

    Parameters
    ----------
    first, second
        ``(H, W)`` uint8; sizes may differ.
    first_points, second_points
        ``(N, 2)`` pixels ``(x, y)``; row i of one is matched to row i of the other.
    correct
        ``(N,)`` bool.
    zoom
        Enlargement.
    """
    picture = grid([_enlarge(first, zoom), _enlarge(second, zoom)], 2)
    shift = [max(first.shape[1], second.shape[1]) * zoom + _GAP, 0]
    starts, ends = _enlarged(first_points, zoom), _enlarged(second_points, zoom) + shift
    for i in np.argsort(correct, kind="stable"):  # right ones on top
        start, end = _fixed(starts[i]), _fixed(ends[i])
        colour = _GREEN if correct[i] else _RED
        cv2.line(picture, start, end, colour, 1, cv2.LINE_AA, _SUBPIXEL)
        for place in (start, end):
            cv2.circle(picture, place, 3 << _SUBPIXEL, colour, -1, cv2.LINE_AA, _SUBPIXEL)
    text = f"{np.count_nonzero(correct)} of {len(correct)} matches are right"
    return _caption(picture, text)


def write(picture: Picture, path: Path) -> None:
    """Write a BGR picture to a file; its suffix says the format.

    Raises
    ------
    OSError
        If it cannot be written.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    encoded, data = cv2.imencode(path.suffix, picture)
    if not encoded:
        raise OSError(f"OpenCV cannot encode {path.name}")
    write_atomically(path, data.tobytes())


def shapes_preview(out: Path, seed: int, size: tuple[int, int], columns: int = 4) -> None:
    """Draw every figure of Synthetic Shapes a few times and write the sheet.

    Parameters
    ----------
    out
        Such as ``shapes.png``.
    seed
        Of the drawing.
    size
        ``(height, width)`` of a picture.
    columns
        Pictures of each figure.
    """
    rng = np.random.default_rng(seed)
    pictures = {name: [draw(rng, size, name) for _ in range(columns)] for name in SHAPES}
    write(shapes_sheet(pictures), out)

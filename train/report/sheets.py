"""Sheets of pictures to judge by eye: shapes, pseudo-labels, matches.

Every function returns a BGR picture; :mod:`train.report.previews` writes them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import cv2
import numpy as np
import numpy.typing as npt

from cv2_superpoint.apps.drawing import GREEN, caption, circle, draw_matches, grid

Picture = npt.NDArray[np.uint8]
Points = npt.NDArray[np.floating]


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
    for point in _enlarged(points, zoom):
        for colour, thickness in (((0, 0, 0), 4), (GREEN, 2)):  # an outline, for light grounds
            circle(picture, point, 5, colour, thickness)
    return picture


def _enlarge(image: Picture, zoom: int) -> Picture:
    large = cv2.resize(image, None, fx=zoom, fy=zoom, interpolation=cv2.INTER_NEAREST)
    return cv2.cvtColor(large, cv2.COLOR_GRAY2BGR)


def _enlarged(points: Points, zoom: int) -> npt.NDArray[np.float64]:
    """Return where pixel positions lie in an enlarged image; integers are pixel centres."""
    return (np.asarray(points, np.float64).reshape(-1, 2) + 0.5) * zoom - 0.5


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
        caption(mark_points(image, points, zoom), f"{name}: {len(points)} corners")
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
        caption(mark_points(image, found, zoom), f"{len(found)} points")
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
        caption(mark_points(image, found[i], zoom), f"N_h = {copies}: {len(found[i])} points")
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
    picture = draw_matches(
        _enlarge(first, zoom),
        _enlarge(second, zoom),
        _enlarged(first_points, zoom),
        _enlarged(second_points, zoom),
        correct,
    )
    text = f"{np.count_nonzero(correct)} of {len(correct)} matches are right"
    return caption(picture, text)

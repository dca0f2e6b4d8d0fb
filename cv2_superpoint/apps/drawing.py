"""Pictures of keypoints, matches and tracks, drawn with OpenCV."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
import numpy.typing as npt

Image = npt.NDArray[np.uint8]
Points = npt.NDArray[np.floating]

GREEN, RED, WHITE = (80, 200, 60), (60, 60, 220), (255, 255, 255)
_GROUND = 60  # grey level around pictures
_GAP = 8  # pixels between pictures
_SUBPIXEL = 4  # OpenCV's drawing functions take positions in units of 1 / 2**_SUBPIXEL pixel


def _colour(image: Image) -> Image:
    return cv2.cvtColor(image, cv2.COLOR_GRAY2BGR) if image.ndim == 2 else image.copy()


def _fixed(points: Points) -> npt.NDArray[np.int32]:
    return np.round(np.asarray(points) * (1 << _SUBPIXEL)).astype(np.int32)


def circle(
    picture: Image, point: Points, radius: int, colour: tuple[int, int, int], thickness: int
) -> None:
    """Draw a circle into a BGR picture, around a pixel ``(x, y)``, fractions included.

    A `thickness` of -1 fills it.
    """
    x, y = _fixed(point)
    place = (int(x), int(y))
    cv2.circle(picture, place, radius << _SUBPIXEL, colour, thickness, cv2.LINE_AA, _SUBPIXEL)


def caption(picture: Image, text: str) -> Image:
    """Return a BGR picture with a line of text in a bar above it."""
    scale = max(0.45, min(0.9, picture.shape[1] / 1600))
    bar = np.full((round(44 * scale), picture.shape[1], 3), _GROUND, np.uint8)
    place = (round(10 * scale), round(30 * scale))
    cv2.putText(bar, text, place, cv2.FONT_HERSHEY_SIMPLEX, scale, WHITE, 1, cv2.LINE_AA)
    return np.vstack([bar, picture])


def grid(pictures: Sequence[Image], columns: int) -> Image:
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


def draw_matches(
    first: Image,
    second: Image,
    first_points: Points,
    second_points: Points,
    right: npt.NDArray[np.bool_],
) -> Image:
    """Return two images side by side with their matches, correct ones green and wrong ones red.

    Parameters
    ----------
    first, second
        ``(H, W)`` grey or ``(H, W, 3)`` BGR; sizes may differ.
    first_points, second_points
        ``(M, 2)`` pixels ``(x, y)`` of each image; row i of one is matched to row i of the other.
    right
        ``(M,)`` bool: which matches are correct.

    Returns
    -------
    ndarray
        BGR.
    """
    picture = grid([_colour(first), _colour(second)], 2)
    ends = second_points + np.array([max(first.shape[1], second.shape[1]) + _GAP, 0])
    for i in np.argsort(right, kind="stable"):  # right ones on top
        colour = GREEN if right[i] else RED
        line = _fixed(first_points[i]), _fixed(ends[i])
        cv2.line(picture, *line, colour, 1, cv2.LINE_AA, _SUBPIXEL)
        for point in (first_points[i], ends[i]):
            circle(picture, point, 3, colour, -1)
    return picture


def draw_keypoints(image: Image, xy: Points) -> Image:
    """Return the image in BGR with a circle at each of the ``(N, 2)`` positions, in pixels."""
    picture = _colour(image)
    for point in xy:
        circle(picture, point, 3, GREEN, 1)
    return picture


def draw_tracks(frame: Image, tracks: Sequence[Sequence[tuple[float, float]]]) -> Image:
    """Return the frame in BGR with the path, in pixels, of each keypoint seen before."""
    picture = _colour(frame)
    moved = [track for track in tracks if len(track) > 1]
    if moved:
        # All at once: array by array would take longer than the drawing.
        places = _fixed(np.array([place for track in moved for place in track]))
        ends = np.cumsum([len(track) for track in moved])
        paths = np.split(places, ends[:-1])
        cv2.polylines(picture, paths, False, GREEN, 1, cv2.LINE_AA, _SUBPIXEL)
        for place in places[ends - 1].tolist():
            cv2.circle(picture, place, 2 << _SUBPIXEL, RED, -1, cv2.LINE_AA, _SUBPIXEL)
    return picture

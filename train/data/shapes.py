"""Synthetic Shapes: pictures of simple figures whose corners are known exactly.

The data that MagicPoint learns from (arXiv 1712.07629, section 4.1). Figures are drawn at three
times the wanted size and reduced by area, so that corners keep fractional positions. Coordinates
are pixels ``(x, y)``, integer at pixel centres.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import cv2
import numpy as np
import numpy.typing as npt

Image = npt.NDArray[np.uint8]
Points = npt.NDArray[np.float32]
Corner = npt.NDArray[np.float64]
Rng = np.random.Generator

_OVERSAMPLING = 3  # figures are drawn so many times larger
_SHIFT = 4  # OpenCV's drawing functions take positions in units of 1 / 2**_SHIFT pixel
_NO_POINTS: Points = np.zeros((0, 2), np.float32)


def _fixed(points: npt.ArrayLike) -> npt.NDArray[np.int32]:
    return np.round(np.asarray(points, np.float64) * (1 << _SHIFT)).astype(np.int32)


def _shade(rng: Rng, away_from: float, least: float = 45) -> int:
    """Draw a grey level that differs visibly from another one."""
    while True:
        value = rng.uniform(0, 255)
        if abs(value - away_from) >= least:
            return int(value)


def _mean(image: Image) -> float:
    return cv2.mean(image)[0]


def background(rng: Rng, size: tuple[int, int]) -> Image:
    """Draw an uneven grey ground: a gradient with soft blobs.

    Parameters
    ----------
    rng
        Source of chance.
    size
        ``(height, width)``.
    """
    height, width = size
    coarse = rng.uniform(0, 255) + rng.uniform(0, 25) * rng.standard_normal((4, 5))
    ground = cv2.resize(coarse.astype(np.float32), (width, height), interpolation=cv2.INTER_CUBIC)
    return np.clip(ground, 0, 255).astype(np.uint8)


def _inside(points: npt.NDArray[np.floating], size: tuple[int, int]) -> Points:
    limit = np.array([size[1] - 1, size[0] - 1])
    return points[((points >= 0) & (points <= limit)).all(1)].astype(np.float32)


def _segments_cross(a: Corner, b: Corner, c: Corner, d: Corner) -> bool:
    def side(p: Corner, q: Corner, r: Corner) -> float:
        return float((q[0] - p[0]) * (r[1] - p[1]) - (q[1] - p[1]) * (r[0] - p[0]))

    return side(a, b, c) * side(a, b, d) < 0 and side(c, d, a) * side(c, d, b) < 0


def _uniform_points(rng: Rng, n: int, size: tuple[int, int]) -> npt.NDArray[np.float64]:
    return rng.uniform((0, 0), (size[1] - 1, size[0] - 1), (n, 2))


def lines(rng: Rng, image: Image) -> Points:
    """Draw up to ten segments that do not cross; their ends are points."""
    size = (image.shape[0], image.shape[1])
    kept: list[npt.NDArray[np.float64]] = []
    for _ in range(int(rng.integers(1, 11))):
        a, b = _uniform_points(rng, 2, size)
        crossing = any(_segments_cross(a, b, c, d) for c, d in kept)
        near = any(np.linalg.norm(p - q) < 15 for p in (a, b) for pair in kept for q in pair)
        if np.linalg.norm(a - b) < 30 or crossing or near:
            continue
        kept.append(np.stack([a, b]))
        thickness = int(rng.integers(2, 9))
        shade = _shade(rng, _mean(image))
        cv2.line(image, _fixed(a), _fixed(b), shade, thickness, cv2.LINE_AA, _SHIFT)
    return np.asarray(kept, np.float32).reshape(-1, 2)


def _convex_corners(
    rng: Rng, centre: npt.NDArray[np.float64], radius: float
) -> npt.NDArray[np.float64]:
    """Draw the corners of a convex polygon with no angle too flat to see."""
    n = int(rng.integers(3, 7))
    angles = 2 * np.pi * (np.arange(n) + rng.uniform(-0.35, 0.35, n)) / n + rng.uniform(0, 7)
    reach = radius * rng.uniform(0.6, 1.0, (n, 1))
    corners = centre + reach * np.stack([np.cos(angles), np.sin(angles)], 1)
    (bx, by), (ax, ay) = (corners - np.roll(corners, 1, 0)).T, (np.roll(corners, -1, 0) - corners).T
    turn = np.arctan2(bx * ay - by * ax, bx * ax + by * ay)
    return corners[turn > np.radians(25)]  # dropping a corner keeps the rest convex


def _fill(image: Image, corners: npt.NDArray[np.floating], shade: int) -> None:
    """Fill a convex polygon: exactly the pixels whose centres are inside.

    OpenCV's own filling rounds y and grows every polygon by 0.7 pixels, which moves the corners
    of neighbouring ones away from their labels.
    """
    (x0, y0), (x1, y1) = corners.T, np.concatenate([corners[1:], corners[:1]]).T
    height, width = image.shape
    top, left = max(0, math.ceil(y0.min())), max(0, math.ceil(x0.min()))
    bottom = max(top, min(height, math.floor(y0.max()) + 1))
    right = max(left, min(width, math.floor(x0.max()) + 1))
    x, y = np.arange(left, right), np.arange(top, bottom)[:, None]

    def crossings(edges: npt.NDArray[np.bool_]) -> npt.NDArray[np.float64]:
        slope = (x1[edges] - x0[edges]) / (y1[edges] - y0[edges])
        return x0[edges] + (y - y0[edges]) * slope

    begins, ends = y1 < y0, y1 > y0
    if np.dot(x0, y1) < np.dot(y0, x1):  # the corners go round the other way
        begins, ends = ends, begins
    first = crossings(begins).max(1, keepdims=True)
    last = crossings(ends).min(1, keepdims=True)
    np.copyto(image[top:bottom, left:right], shade, where=(x >= first) & (x <= last))


def polygon(rng: Rng, image: Image) -> Points:
    """Draw one convex polygon."""
    height, width = image.shape
    centre = rng.uniform((width * 0.2, height * 0.2), (width * 0.8, height * 0.8))
    corners = _convex_corners(rng, centre, rng.uniform(0.15, 0.6) * min(height, width))
    if len(corners) < 3:
        return _NO_POINTS
    _fill(image, corners, _shade(rng, _mean(image)))
    return corners.astype(np.float32)


def polygons(rng: Rng, image: Image) -> Points:
    """Draw several convex polygons that do not touch."""
    height, width = image.shape
    placed: list[tuple[npt.NDArray[np.float64], float]] = []
    points = [_NO_POINTS]
    for _ in range(int(rng.integers(4, 30))):
        radius = rng.uniform(0.05, 0.25) * min(height, width)
        centre = _uniform_points(rng, 1, (height, width))[0]
        if any(np.linalg.norm(centre - c) < radius + r + 6 for c, r in placed):
            continue
        corners = _convex_corners(rng, centre, radius)
        if len(corners) < 3:
            continue
        placed.append((centre, radius))
        _fill(image, corners, _shade(rng, _mean(image)))
        points.append(corners.astype(np.float32))
    return np.concatenate(points)


def star(rng: Rng, image: Image) -> Points:
    """Draw rays from one point; the ends and the centre are points."""
    height, width = image.shape
    n = int(rng.integers(3, 7))
    centre = rng.uniform((width * 0.3, height * 0.3), (width * 0.7, height * 0.7))
    angles = 2 * np.pi * (np.arange(n) + rng.uniform(-0.3, 0.3, n)) / n + rng.uniform(0, 7)
    reach = rng.uniform(0.15, 0.6, (n, 1)) * min(height, width)
    ends = centre + reach * np.stack([np.cos(angles), np.sin(angles)], 1)
    thickness = int(rng.integers(2, 9))
    for end in ends:
        shade = _shade(rng, _mean(image))
        cv2.line(image, _fixed(centre), _fixed(end), shade, thickness, cv2.LINE_AA, _SHIFT)
    return np.concatenate([centre[None], ends]).astype(np.float32)


def ellipses(rng: Rng, image: Image) -> Points:
    """Draw ellipses that do not touch; they have no corners."""
    height, width = image.shape
    placed: list[tuple[npt.NDArray[np.float64], float]] = []
    for _ in range(int(rng.integers(3, 20))):
        axes = rng.uniform(0.03, 0.2, 2) * min(height, width)
        centre = _uniform_points(rng, 1, (height, width))[0]
        if any(np.linalg.norm(centre - c) < axes.max() + r + 3 for c, r in placed):
            continue
        placed.append((centre, float(axes.max())))
        angle, shade = rng.uniform(0, 180), _shade(rng, _mean(image))
        box = (_fixed(centre), _fixed(axes), angle, 0, 360, shade)
        cv2.ellipse(image, *box, -1, cv2.LINE_AA, _SHIFT)
    return _NO_POINTS


def _grid(
    rng: Rng, size: tuple[int, int], rows: int, columns: int
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Draw a grid in perspective: its nodes, and what takes units of its cells to pixels.

    The nodes are ``(rows + 1, columns + 1, 2)``; the homography moves each of the grid's corners
    by up to a quarter of the image.
    """
    height, width = size
    box = np.array([[0, 0], [width, 0], [width, height], [0, height]]) * rng.uniform(0.6, 1.1)
    box += (np.array([width, height]) - box[2]) / 2
    box += rng.uniform(-0.25, 0.25, (4, 2)) * min(size)
    corners = np.array([[0, 0], [columns, 0], [columns, rows], [0, rows]])
    to_pixels = cv2.getPerspectiveTransform(corners.astype(np.float32), box.astype(np.float32))
    nodes = np.stack(np.meshgrid(np.arange(columns + 1.0), np.arange(rows + 1.0)), -1)
    return cv2.perspectiveTransform(nodes, to_pixels), to_pixels


def checkerboard(rng: Rng, image: Image) -> Points:
    """Draw a board in perspective; points are the nodes where shades meet."""
    rows, columns = rng.integers(3, 9, 2)
    nodes, to_pixels = _grid(rng, image.shape, rows, columns)
    dark = int(rng.uniform(0, 120))
    light = _shade(rng, dark, 60)
    shades = np.where(np.indices((rows, columns)).sum(0) % 2, light, dark)
    shades = (shades + rng.integers(-12, 13, shades.shape)).clip(0, 255).astype(np.uint8)
    cv2.warpPerspective(
        shades,
        to_pixels @ [[1, 0, 0.5], [0, 1, 0.5], [0, 0, 1]],  # whose pixels are the cells' middles
        (image.shape[1], image.shape[0]),
        dst=image,
        flags=cv2.INTER_NEAREST,
        borderMode=cv2.BORDER_TRANSPARENT,
    )
    return nodes.reshape(-1, 2).astype(np.float32)


def stripes(rng: Rng, image: Image) -> Points:
    """Draw one row of uneven stripes in perspective; their ends are points."""
    columns = int(rng.integers(4, 13))
    nodes, _ = _grid(rng, image.shape, 1, columns)
    kept = np.sort(rng.choice(columns + 1, max(3, columns // 2), replace=False))
    nodes = nodes[:, kept]
    shade = int(rng.uniform(0, 255))
    for j in range(nodes.shape[1] - 1):
        shade = _shade(rng, shade, 40)
        _fill(image, nodes[[0, 0, 1, 1], [j, j + 1, j + 1, j]], shade)
    return nodes.reshape(-1, 2).astype(np.float32)


def cube(rng: Rng, image: Image) -> Points:
    """Draw a box that shows three faces; its seven visible corners are points."""
    height, width = image.shape
    sides = rng.uniform(0.25, 0.7, 3) * min(height, width)
    yaw, pitch, roll = rng.uniform(20, 70), rng.uniform(20, 60), rng.uniform(0, 360)
    unit = np.array([[x, y, z] for x in (0, 1) for y in (0, 1) for z in (0, 1)]) - 0.5
    cy, sy, cp, sp = (f(np.radians(a)) for a in (yaw, pitch) for f in (np.cos, np.sin))
    cr, sr = np.cos(np.radians(roll)), np.sin(np.radians(roll))
    about_y = np.array([[cy, 0, sy], [0, 1, 0], [-sy, 0, cy]])
    about_x = np.array([[1, 0, 0], [0, cp, -sp], [0, sp, cp]])
    about_z = np.array([[cr, -sr, 0], [sr, cr, 0], [0, 0, 1]])
    corners = (unit * sides) @ (about_z @ about_x @ about_y).T
    depth = corners[:, 2]
    centre = rng.uniform((width * 0.3, height * 0.3), (width * 0.7, height * 0.7))
    flat = corners[:, :2] / (1 + depth[:, None] / (6 * sides.max())) + centre
    nearest, farthest = int(depth.argmin()), int(depth.argmax())
    shade = _mean(image)
    for axis in range(3):  # the three faces that meet at the nearest corner
        bit = 4 >> axis
        others = [b for b in (4, 2, 1) if b != bit]
        face = [nearest, nearest ^ others[0], nearest ^ others[0] ^ others[1], nearest ^ others[1]]
        shade = _shade(rng, shade, 30)
        _fill(image, flat[face], int(shade))
    return np.delete(flat, farthest, 0).astype(np.float32)


def noise(rng: Rng, image: Image) -> Points:
    """Draw nothing but noise; it has no corners."""
    image[:] = rng.integers(0, 256, image.shape, dtype=np.uint8)
    cv2.blur(image, (int(rng.integers(1, 11)),) * 2, dst=image)
    return _NO_POINTS


SHAPES: dict[str, tuple[Callable[[Rng, Image], Points], float]] = {
    "checkerboard": (checkerboard, 18),
    "polygons": (polygons, 14),
    "cube": (cube, 14),
    "stripes": (stripes, 12),
    "lines": (lines, 10),
    "polygon": (polygon, 10),
    "star": (star, 8),
    "ellipses": (ellipses, 6),
    "noise": (noise, 4),
}
"""Every figure, with how often it is drawn."""


def draw(rng: Rng, size: tuple[int, int], name: str | None = None) -> tuple[Image, Points]:
    """Draw one picture with its points.

    Parameters
    ----------
    rng
        Source of chance.
    size
        ``(height, width)`` of the picture.
    name
        Which figure of :data:`SHAPES`; by default one at random.

    Returns
    -------
    image : ndarray
        ``(height, width)`` uint8.
    points : ndarray
        ``(N, 2)`` float32 ``(x, y)`` in pixels, inside the picture.
    """
    if name is None:
        weights = np.array([weight for _, weight in SHAPES.values()], float)
        name = str(rng.choice(list(SHAPES), p=weights / weights.sum()))
    large = background(rng, size).repeat(_OVERSAMPLING, 0).repeat(_OVERSAMPLING, 1)
    points = SHAPES[name][0](rng, large)
    image = cv2.resize(large, (size[1], size[0]), interpolation=cv2.INTER_AREA)
    if rng.random() < 0.5:
        image = cv2.GaussianBlur(image, (0, 0), rng.uniform(0.8, 3.0) / _OVERSAMPLING)
    return image, _inside((points + 0.5) / _OVERSAMPLING - 0.5, size)

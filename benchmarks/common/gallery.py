"""Pairs of pictures drawn with their matches, correct ones green and wrong ones red."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import cv2
import numpy as np
from numpy.typing import NDArray

from . import metrics
from .datasets import Image
from .detectors import is_ours
from .features import Features

RULES = """\
The best, the median and the worst pair of the method on the left, by the corner error of its
homography. Green: correct matches; red: wrong ones."""

_CORRECT, _WRONG = (90, 255, 120), (60, 60, 235)  # BGR; light and dark, for eyes blind to colours
_WIDTH = 560  # pixels of the picture
_GAP = 6
_SUBPIXEL = 4  # cv2.line takes units of 1 / 2**_SUBPIXEL pixel

Record = TypeVar("Record")


@dataclass(frozen=True)
class Picture:
    """A JPEG, by its path in the report's folder, with the words above it."""

    file: str
    title: str
    caption: str
    content: bytes


@dataclass(frozen=True, eq=False)
class MatchedPair:
    """Two images with the features of a method.

    Attributes
    ----------
    first, second : tuple of (H, W) uint8 array and Features
        An image and what a method found in it.
    homography : (3, 3) array
        From pixels of the first image to those of the second.
    corner_error : float
        Of the homography that was estimated, in pixels of the second image; infinite if there is
        none.
    """

    first: tuple[Image, Features]
    second: tuple[Image, Features]
    homography: metrics.Floats
    corner_error: float


@dataclass(frozen=True)
class Exhibit:
    """A pair as several methods match it."""

    title: str
    pictures: Sequence[Picture]


def choose_methods(methods: Sequence[str]) -> list[str]:
    """Choose whom to draw, of methods with descriptors: the first of ours, SIFT and ORB.

    In the place of one that is missing comes the first of the others.
    """
    ours = [*filter(is_ours, methods)][:1]
    classical = [name for name in ("SIFT", "ORB") if name in methods]
    return list(dict.fromkeys([*ours, *classical, *methods]))[:3]


def choose_pairs(records: Sequence[Record], key: Callable[[Record], Any]) -> dict[str, Record]:
    """Choose the best, the median and the worst of records, the best having the smallest key."""
    ranked = sorted(records, key=key)
    if not ranked:
        return {}
    return {"best": ranked[0], "median": ranked[len(ranked) // 2], "worst": ranked[-1]}


def draw_exhibit(
    title: str,
    stem: str,
    methods: Sequence[str],
    match: Callable[[str], MatchedPair],
    threshold: float,
) -> Exhibit:
    """Draw a pair as each of some methods matches it.

    Parameters
    ----------
    title : str
    stem : str
        Of the pictures' files.
    methods : sequence of str
    match : callable
        Takes a method and returns the pair with its features.
    threshold : float
        Pixels of the second image within which a match is correct.
    """
    pictures = []
    for i, method in enumerate(methods, start=1):
        content, caption = _draw_pair(match(method), threshold)
        pictures.append(Picture(f"gallery/{stem}_{i}.jpg", method, caption, content))
    return Exhibit(title, pictures)


def _draw_pair(pair: MatchedPair, threshold: float) -> tuple[bytes, str]:
    (image1, found1), (image2, found2) = pair.first, pair.second
    assert found1.norm is not None
    matches = metrics.mutual_nearest_neighbours(found1.descriptors, found2.descriptors, found1.norm)
    points1, points2 = found1.points[matches[:, 0]], found2.points[matches[:, 1]]
    correct = metrics.transfer_errors(points1, points2, pair.homography) <= threshold
    corners = f"corners off by {pair.corner_error:.1f} px"
    caption = (
        f"{correct.sum()} of {len(correct)} matches are correct, "
        f"{corners if np.isfinite(pair.corner_error) else 'no homography'}"
    )
    return draw_matches(image1, image2, points1, points2, correct), caption


def draw_matches(
    first: Image,
    second: Image,
    points1: metrics.Floats,
    points2: metrics.Floats,
    correct: NDArray[np.bool_],
) -> bytes:
    """Draw two pictures, landscapes one above the other, with their matches, as a JPEG.

    Parameters
    ----------
    first, second : (H, W) uint8 array
    points1, points2 : (M, 2) array
        Pixels (x, y) of each; row i of one is matched to row i of the other.
    correct : (M,) bool array
        Which matches are correct.

    Returns
    -------
    bytes
        The encoded file.
    """
    height, width = (max(side) for side in zip(first.shape, second.shape, strict=True))
    stacked = width >= height
    shift = np.array([0, height + _GAP]) if stacked else np.array([width + _GAP, 0])
    canvas = np.full((height + shift[1], width + shift[0]), 128, np.uint8)
    for image, (x, y) in ((first, (0, 0)), (second, shift)):
        canvas[y : y + image.shape[0], x : x + image.shape[1]] = image
    scale = _WIDTH / canvas.shape[1]
    shrunk = cv2.resize(canvas, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    picture = cv2.cvtColor(shrunk, cv2.COLOR_GRAY2BGR)
    # From pixel centres of the canvas to those of the picture.
    ends = (np.stack([points1, points2 + shift], axis=1) + 0.5) * scale - 0.5
    fixed = np.round(ends * (1 << _SUBPIXEL)).astype(int).tolist()
    colours = [_CORRECT if is_correct else _WRONG for is_correct in correct]
    order = np.argsort(correct, kind="stable")  # correct ones on top
    lines = picture.copy()
    for i in order:
        cv2.line(lines, *fixed[i], colours[i], 1, cv2.LINE_AA, _SUBPIXEL)
    picture = cv2.addWeighted(lines, 0.3, picture, 0.7, 0)
    for i in order:
        for point in fixed[i]:
            cv2.circle(picture, point, 2 << _SUBPIXEL, colours[i], -1, cv2.LINE_AA, _SUBPIXEL)
    _, code = cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, 80])
    return code.tobytes()

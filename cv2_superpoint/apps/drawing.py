"""Pictures of keypoints, matches and tracks, drawn with OpenCV."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
import numpy.typing as npt

from .matching import PairMatch

Image = npt.NDArray[np.uint8]

_GREEN, _RED, _WHITE = (80, 200, 60), (60, 60, 220), (255, 255, 255)


def _colour(image: Image) -> Image:
    return cv2.cvtColor(image, cv2.COLOR_GRAY2BGR) if image.ndim == 2 else image


def _caption(image: Image, text: str) -> Image:
    """Return the image below a bar with a line of text."""
    scale = max(0.45, min(0.9, image.shape[1] / 1600))
    bar = np.full((round(44 * scale), image.shape[1], 3), 30, np.uint8)
    place = (round(10 * scale), round(30 * scale))
    cv2.putText(bar, text, place, cv2.FONT_HERSHEY_SIMPLEX, scale, _WHITE, 1, cv2.LINE_AA)
    return np.vstack([bar, image])


def draw_pair(first: Image, second: Image, found: PairMatch, text: str) -> Image:
    """Return both images side by side, with the inlier matches as green lines.

    Parameters
    ----------
    first, second
        ``(H, W)`` grey or ``(H, W, 3)`` BGR; sizes may differ.
    found
        What was matched.
    text
        Caption.

    Returns
    -------
    ndarray
        BGR.
    """
    picture = cv2.drawMatches(
        _colour(first),
        found.first,
        _colour(second),
        found.second,
        found.matches,
        None,
        matchColor=_GREEN,
        singlePointColor=_RED,
        matchesMask=found.inliers.astype(int).tolist(),
        flags=cv2.DRAW_MATCHES_FLAGS_NOT_DRAW_SINGLE_POINTS,
    )
    return _caption(picture, text)


def stack(pictures: Sequence[Image]) -> Image:
    """Return BGR pictures one below the other, padded on the right to one width."""
    width = max(picture.shape[1] for picture in pictures)
    padded = [np.pad(p, ((0, 0), (0, width - p.shape[1]), (0, 0))) for p in pictures]
    return np.vstack(padded)


def draw_keypoints(image: Image, xy: npt.NDArray[np.float32]) -> Image:
    """Return the image in BGR with a circle at each of the ``(N, 2)`` positions, in pixels."""
    keypoints = cv2.KeyPoint.convert(xy)
    return cv2.drawKeypoints(_colour(image), keypoints, None, color=_GREEN)


def draw_tracks(frame: Image, tracks: Sequence[Sequence[tuple[float, float]]]) -> Image:
    """Return the frame in BGR with the path, in pixels, of each keypoint seen before."""
    picture = _colour(frame).copy()
    for track in tracks:
        if len(track) < 2:
            continue
        path = np.round(np.array(track) * 16).astype(np.int32)
        cv2.polylines(picture, [path], False, _GREEN, 1, cv2.LINE_AA, shift=4)
        end = (int(path[-1, 0]), int(path[-1, 1]))
        cv2.circle(picture, end, 2 * 16, _RED, -1, cv2.LINE_AA, shift=4)
    return picture

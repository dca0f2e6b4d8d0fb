"""Tracks of keypoints through a video, by matching each frame to the one before."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

from .matching import mutual_matches

Frame = npt.NDArray[np.uint8]
Track = list[tuple[float, float]]

_LONGEST = 15  # positions that a track remembers: half a second of a video


def track_keypoints(
    feature: Any, frames: Iterable[Frame], max_jump: float = 0.15
) -> Iterator[tuple[Frame, list[Track]]]:
    """Yield each frame with the tracks of its keypoints.

    Parameters
    ----------
    feature
        A ``cv2.Feature2D``, or an object that behaves like one.
    frames
        Images, in order.
    max_jump
        Largest movement between two frames, as a share of the frame's width.

    Yields
    ------
    frame : ndarray
        The frame, unchanged.
    tracks : list
        One per keypoint of the frame: its last positions ``(x, y)`` in pixels, oldest first.
    """
    tracks: list[Track] = []
    previous = None
    for frame in frames:
        keypoints, descriptors = feature.detectAndCompute(frame, None)
        grown: list[Track] = [[point.pt] for point in keypoints]
        for i, j in mutual_matches(previous, descriptors, feature.defaultNorm()).tolist():
            old, (x, y) = tracks[i], keypoints[j].pt
            if math.hypot(x - old[-1][0], y - old[-1][1]) <= max_jump * frame.shape[1]:
                grown[j] = [*old[1 - _LONGEST :], (x, y)]
        tracks, previous = grown, descriptors
        yield frame, tracks

"""Conversion between plain arrays and what OpenCV returns: keypoints, ndarrays, UMats."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from ..features import Descriptors, Features
from ..settings import DetectionSettings
from .arguments import as_array

KeyPoints = tuple[cv2.KeyPoint, ...]

_SIFT_SIZE = 3.2
"""Of SIFT's keypoints at the scale of the image: twice its sigma."""


def to_keypoints(features: Features) -> KeyPoints:
    """Return features as OpenCV keypoints, in the same order."""
    x, y = features.xy.T.tolist()
    columns = (features.size, features.angle, features.score, features.octave)
    return tuple(map(cv2.KeyPoint, x, y, *(column.tolist() for column in columns)))


def inside_image(points: Sequence[cv2.KeyPoint], shape: tuple[int, ...]) -> KeyPoints:
    """Return copies of the keypoints inside an image; OpenCV's bindings return copies, too."""
    return tuple(
        cv2.KeyPoint(*p.pt, p.size, p.angle, p.response, p.octave, p.class_id)
        for p in points
        if 0 <= p.pt[0] < shape[1] and 0 <= p.pt[1] < shape[0]
    )


def levels_of(points: KeyPoints, settings: DetectionSettings) -> npt.NDArray[np.int32]:
    """Return the level of the pyramid at which each keypoint is to be described, ``(N,)``.

    That is its octave, except for SIFT's keypoints, whose octave packs several numbers into one:
    theirs is the level nearest to their scale.
    """
    level = np.array([p.octave for p in points], np.int32)
    packed = np.flatnonzero(level > 255)
    if len(packed):
        scales = [settings.scale(i) for i in range(settings.nlevels)]
        wanted = np.array([points[i].size for i in packed]) / _SIFT_SIZE
        ratio = np.log(np.maximum(wanted, 1e-6))[:, None] - np.log(scales)
        level[packed] = np.abs(ratio).argmin(1)
    return level


def return_descriptors(rows: Descriptors | None, image: Any, output: Any, function: str) -> Any:
    """Return descriptors as OpenCV does: into `output` if it fits, UMat for UMat."""
    target = as_array(output, "descriptors", function)
    if rows is None:
        return None
    if isinstance(output, cv2.UMat):
        return cv2.copyTo(cv2.UMat(rows), None, output)
    if isinstance(image, cv2.UMat):
        return cv2.UMat(rows)
    if target is None or target.shape != rows.shape or target.dtype != rows.dtype:
        return rows
    if not (target.flags.writeable and target.flags.c_contiguous):
        return rows
    target[:] = rows
    return target

"""Conversion between plain arrays and what OpenCV returns: keypoints, ndarrays, UMats."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import cv2

from ..features import Descriptors, Features
from .arguments import as_array

KeyPoints = tuple[cv2.KeyPoint, ...]


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

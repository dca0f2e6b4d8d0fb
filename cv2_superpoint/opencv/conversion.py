"""Conversion between plain arrays and what OpenCV returns: keypoints, ndarrays, UMats."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import cv2
import numpy as np

from ..extract.merge import sizes
from ..features import OWN_PATCH, Descriptors, Features, GivenPoints
from ..settings import DetectionSettings
from .arguments import as_array
from .errors import bad_argument

KeyPoints = tuple[cv2.KeyPoint, ...]

_ORB_PATCH = 31
"""Diameter in pixels of what ORB describes at the scale of the image, and of its keypoints."""

_SIFT_PATCH = 6
"""How many times larger than its keypoint's size is what SIFT describes."""

_PACKED = 255
"""Octaves from here on are SIFT's, which pack several numbers into one."""

_FINEST, _COARSEST = 0.25, 64
"""Scales of patches: they are enlarged at most four times."""

_MOST_LEVELS = 64


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


def given_points(points: KeyPoints, settings: DetectionSettings) -> GivenPoints:
    """Return how keypoints are to be seen when they are described.

    Ours are those whose size is exactly the one that our pyramid gives to their octave. They are
    described on that level, where they were found, so that descriptors are those of
    ``detectAndCompute``.

    Others say by their size how large the part of the image is that they stand for: in ORB's way
    its diameter; or in SIFT's, known by octaves that pack several numbers, a sixth of it. It is
    shown to the network as large as ORB's patch. Keypoints with an angle get a patch each, of
    exactly this scale and, unless keypoints are `upright`, turned by the angle. Those without, such
    as corners and grids, share the level of the pyramid that is nearest to it.
    """
    xy = np.array([p.pt for p in points], np.float32)
    size, angle = np.array([(p.size, p.angle) for p in points], np.float32).T
    octave = np.array([p.octave for p in points], np.int32)

    known = octave.clip(0, _MOST_LEVELS - 1)
    ours = (octave == known) & np.isclose(size, sizes(known, settings), rtol=1e-5)

    seen = np.where(octave >= _PACKED, _SIFT_PATCH * size, size)
    scale = np.nan_to_num(seen / _ORB_PATCH).clip(_FINEST, _COARSEST).astype(np.float32)
    of_levels = np.array([settings.scale(i) for i in range(settings.nlevels)])
    nearest = np.abs(np.log(scale)[:, None] - np.log(of_levels)).argmin(1)

    has_angle = (angle >= 0) & np.isfinite(angle)
    others = np.where(has_angle, OWN_PATCH, nearest)
    level = np.where(ours, np.minimum(octave, settings.nlevels - 1), others).astype(np.int32)
    turn = np.where(has_angle & (not settings.upright), angle, 0).astype(np.float32)
    return GivenPoints(xy, level, scale, turn)


def return_descriptors(rows: Descriptors | None, image: Any, output: Any, function: str) -> Any:
    """Return descriptors as OpenCV does: into `output` if it has their shape, UMat for UMat."""
    target = as_array(output, "descriptors", function)
    if rows is None:
        return cv2.UMat() if cv2.UMat in (type(image), type(output)) else None
    if isinstance(output, cv2.UMat):
        return cv2.copyTo(cv2.UMat(rows), None, output)
    if isinstance(image, cv2.UMat):
        return cv2.UMat(rows)
    if target is None or target.shape != rows.shape or target.dtype != rows.dtype:
        return rows
    # As for cv::Mat, rows may lie apart, but the values of a row may not.
    in_order = target.strides[1] == target.itemsize and target.strides[0] >= rows.strides[0]
    if not (target.flags.writeable and in_order):
        raise bad_argument(
            function, "descriptors cannot be written to: read-only, or not in C order"
        )
    target[:] = rows
    return target

"""SuperPoint as a ``cv2.Feature2D``: one line from ORB to a learned local feature.

>>> import cv2_superpoint
>>> detector = cv2_superpoint.ORB_create(1000)  # where cv2.ORB_create(1000) stood
>>> detector.getMaxFeatures()
1000
"""

from __future__ import annotations

from importlib import import_module
from importlib.util import find_spec
from typing import TYPE_CHECKING

from . import forks as forks  # before PyTorch is loaded

if TYPE_CHECKING:
    from .features import Features
    from .opencv.affine import affine_feature
    from .opencv.bag_of_words import bow_image_descriptor_extractor
    from .opencv.bfmatcher import BFMatcher, BFMatcher_create
    from .opencv.drop_ins import (
        AKAZE,
        BRISK,
        ORB,
        SIFT,
        AKAZE_create,
        BRISK_create,
        ORB_create,
        SIFT_create,
    )
    from .opencv.feature2d import SuperPoint, SuperPoint_create
    from .opencv.image_features import compute_image_features
    from .opencv.replacing import register, replacing

__all__ = [
    "AKAZE",
    "BRISK",
    "ORB",
    "SIFT",
    "AKAZE_create",
    "BFMatcher",
    "BFMatcher_create",
    "BRISK_create",
    "Features",
    "ORB_create",
    "SIFT_create",
    "SuperPoint",
    "SuperPoint_create",
    "affine_feature",
    "bow_image_descriptor_extractor",
    "compute_image_features",
    "register",
    "replacing",
]
__version__ = "0.1.0"

# Not a dependency: several wheels provide cv2, and two of them in one environment break each other.
if find_spec("cv2") is None:
    raise ImportError(
        "cv2_superpoint needs OpenCV: install opencv-contrib-python, or "
        "opencv-contrib-python-headless on a machine without a display"
    )

# PyTorch takes seconds to load, so names are imported when they are first used (PEP 562).
_HOMES = {
    "AKAZE": ".opencv.drop_ins",
    "AKAZE_create": ".opencv.drop_ins",
    "BFMatcher": ".opencv.bfmatcher",
    "BFMatcher_create": ".opencv.bfmatcher",
    "BRISK": ".opencv.drop_ins",
    "BRISK_create": ".opencv.drop_ins",
    "Features": ".features",
    "ORB": ".opencv.drop_ins",
    "ORB_create": ".opencv.drop_ins",
    "SIFT": ".opencv.drop_ins",
    "SIFT_create": ".opencv.drop_ins",
    "SuperPoint": ".opencv.feature2d",
    "SuperPoint_create": ".opencv.feature2d",
    "affine_feature": ".opencv.affine",
    "bow_image_descriptor_extractor": ".opencv.bag_of_words",
    "compute_image_features": ".opencv.image_features",
    "register": ".opencv.replacing",
    "replacing": ".opencv.replacing",
}

if not TYPE_CHECKING:  # a type checker would take it that every name exists

    def __getattr__(name: str) -> object:
        if name not in _HOMES:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        value = getattr(import_module(_HOMES[name], __name__), name)
        globals()[name] = value
        return value


def __dir__() -> list[str]:
    return sorted([*__all__, "__version__"])

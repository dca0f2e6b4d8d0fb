"""SuperPoint under OpenCV's own names, for code that is not to be edited."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from types import ModuleType
from typing import Any
from unittest import mock

import cv2

from . import drop_ins
from .affine import AffineFeature, affine_feature
from .bag_of_words import BOWImgDescriptorExtractor
from .feature2d import SuperPoint, SuperPoint_create
from .image_features import compute_image_features

REPLACEABLE = ("ORB", "SIFT", "AKAZE", "BRISK")

# What accepts features written in C++ only, and what stands in for it, which accepts any.
_STAND_INS: dict[str, Callable[..., Any]] = {
    "AffineFeature": AffineFeature,
    "AffineFeature_create": affine_feature,
    "BOWImgDescriptorExtractor": BOWImgDescriptorExtractor,
    "computeImageFeatures": compute_image_features,
    "computeImageFeatures2": compute_image_features,
}

_CONTRIB: Any = getattr(cv2, "xfeatures2d", None)  # not in every wheel


@contextmanager
def replacing(*features: str) -> Iterator[None]:
    """Let OpenCV's features be SuperPoint, within a ``with`` block or a decorated function.

    ``cv2.ORB_create``, ``cv2.ORB.create`` and ``cv2.ORB`` are then those of this package, in all
    threads; afterwards they are OpenCV's again. Names taken from ``cv2`` before, as by
    ``from cv2 import ORB_create``, stay OpenCV's. ``cv2.AKAZE`` and ``cv2.BRISK``, and AKAZE's
    constants, are there in OpenCV 5 as well, which has moved them to ``cv2.xfeatures2d``. What
    accepts only features written in C++ accepts any: ``cv2.detail.computeImageFeatures`` and
    ``computeImageFeatures2``, ``cv2.AffineFeature`` and ``cv2.BOWImgDescriptorExtractor``.

    Parameters
    ----------
    *features
        Any of ``"ORB"``, ``"SIFT"``, ``"AKAZE"`` and ``"BRISK"``; none: ORB.

    Raises
    ------
    ValueError
        For another name.

    Examples
    --------
    >>> import cv2
    >>> import cv2_superpoint
    >>> with cv2_superpoint.replacing("ORB"):
    ...     detector = cv2.ORB_create(500)
    >>> isinstance(detector, cv2_superpoint.SuperPoint)
    True
    >>> isinstance(cv2.ORB_create(500), cv2_superpoint.SuperPoint)
    False
    """
    unknown = [name for name in features if name not in REPLACEABLE]
    if unknown:
        wanted = ", ".join(REPLACEABLE)
        raise ValueError(f"can replace {wanted}, not {', '.join(map(repr, unknown))}")
    ours = {
        attribute: getattr(drop_ins, attribute)
        for name in features or ("ORB",)
        for attribute in (name, f"{name}_create")
    }
    with ExitStack() as stack:

        def put(module: ModuleType, name: str, value: Any) -> None:
            stack.enter_context(mock.patch.object(module, name, value, create=True))

        for name, value in (ours | _STAND_INS).items():
            if name in ours or hasattr(cv2, name):
                put(cv2, name, value)
            for module, alias in _other_places(name):
                put(module, alias, value)
        if "AKAZE" in ours:
            for name in _moved_constants():
                put(cv2, name, getattr(_CONTRIB, name))
        yield


def register() -> None:
    """Add ``cv2.SuperPoint`` and ``cv2.SuperPoint_create``, for good.

    Examples
    --------
    >>> import cv2
    >>> import cv2_superpoint
    >>> cv2_superpoint.register()
    >>> cv2.SuperPoint_create(500).getMaxFeatures()
    500
    """
    cv2.SuperPoint, cv2.SuperPoint_create = SuperPoint, SuperPoint_create  # type: ignore[attr-defined]


def _other_places(name: str) -> list[tuple[ModuleType, str]]:
    """Return where else a name is: ``cv2.xfeatures2d.SIFT_create``, ``cv2.xfeatures2d_AKAZE``."""
    places = [(_CONTRIB, name), (cv2.detail, name), (cv2, f"xfeatures2d_{name}")]
    return [(module, alias) for module, alias in places if hasattr(module, alias)]


def _moved_constants() -> list[str]:
    """Return AKAZE's constants that OpenCV 5 has in ``cv2.xfeatures2d`` only."""
    names = (name for name in dir(_CONTRIB) if name.startswith(("AKAZE_DESC", "KAZE_DIFF")))
    return [name for name in names if not hasattr(cv2, name)]

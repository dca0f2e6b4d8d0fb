"""SuperPoint under OpenCV's own names, for code that is not to be edited."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from types import ModuleType
from typing import Any
from unittest import mock

import cv2

from . import (
    drop_ins,
    image_features,  # noqa: F401  needs OpenCV's ORB, so it is loaded before that is replaced
)
from .feature2d import SuperPoint, SuperPoint_create

REPLACEABLE = ("ORB", "SIFT", "AKAZE", "BRISK")


@contextmanager
def replacing(*features: str) -> Iterator[None]:
    """Let OpenCV's features be SuperPoint, within a ``with`` block or a decorated function.

    ``cv2.ORB_create``, ``cv2.ORB.create`` and ``cv2.ORB`` are then those of this package, in all
    threads; afterwards they are OpenCV's again. Names taken from ``cv2`` before, as by
    ``from cv2 import ORB_create``, stay OpenCV's. ``cv2.AKAZE`` and ``cv2.BRISK`` are there in
    OpenCV 5 as well, which has moved them to ``cv2.xfeatures2d``.

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
    with ExitStack() as stack:
        for name in features or ("ORB",):
            for module in _modules_with(name):
                for attribute in (name, f"{name}_create"):
                    ours: Any = getattr(drop_ins, attribute)
                    stack.enter_context(mock.patch.object(module, attribute, ours, create=True))
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


def _modules_with(name: str) -> list[ModuleType]:
    """Return OpenCV's modules that have, or had, a feature: some have moved in OpenCV 5."""
    contrib = getattr(cv2, "xfeatures2d", None)
    return [cv2, contrib] if contrib is not None and hasattr(contrib, name) else [cv2]

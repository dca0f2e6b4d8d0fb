"""Methods by name. A method is a callable that takes the number of points to keep."""

from collections.abc import Callable, Sequence
from importlib import import_module
from typing import Any, Protocol

import cv2
import numpy as np
from numpy.typing import NDArray


class Detector(Protocol):
    """The part of cv2.Feature2D that the benchmark uses."""

    def detectAndCompute(
        self, image: NDArray[np.uint8], mask: None
    ) -> tuple[Sequence[cv2.KeyPoint], NDArray[Any] | None]:
        """Find keypoints and describe them; the descriptors are None where there are none."""

    def defaultNorm(self) -> int:
        """Norm in which the descriptors are compared, e.g. cv2.NORM_L2."""


Factory = Callable[[int], Detector]


class UnknownMethodError(ValueError):
    """There is no method of this name; the message lists what there is."""


def _akaze(n: int) -> Detector:
    # OpenCV 5 moved AKAZE to opencv_contrib.
    home: Any = cv2 if hasattr(cv2, "AKAZE") else cv2.xfeatures2d
    detector = home.AKAZE.create()
    if hasattr(
        detector, "setMaxPoints"
    ):  # before OpenCV 4.9 only the benchmark's own cut limits it
        detector.setMaxPoints(n)
    return detector


def _superpoint(n: int, **settings: Any) -> Detector:
    # Imported here, so that the classical methods run without PyTorch.
    return import_module("cv2_superpoint").SuperPoint_create(n, **settings)


METHODS: dict[str, Factory] = {
    "ORB": lambda n: cv2.ORB.create(n),
    "SIFT": lambda n: cv2.SIFT.create(n),
    "AKAZE": _akaze,
    "SuperPoint": _superpoint,
    "SuperPoint-pyramid": lambda n: _superpoint(n, scaleFactor=2**0.5, nlevels=3),
    "SuperPoint-lite": lambda n: _superpoint(n, model="superpoint-lite"),
}


def find_factory(name: str) -> Factory:
    """Look up a method.

    Parameters
    ----------
    name : str
        A key of `METHODS`, or "module:callable" for any callable that takes the number of points
        and returns something with detectAndCompute and defaultNorm.

    Raises
    ------
    UnknownMethodError
    """
    if name in METHODS:
        return METHODS[name]
    module, colon, attribute = name.partition(":")
    if not colon:
        raise UnknownMethodError(
            f"unknown method {name!r}: choose from {', '.join(METHODS)}, or give module:callable"
        )
    try:
        return getattr(import_module(module), attribute)
    except (ImportError, AttributeError) as error:
        raise UnknownMethodError(f"cannot find the method {name!r}: {error}") from error

"""Methods by name. A method is a callable that takes the number of points to keep."""

import ast
import hashlib
import json
import re
from collections.abc import Callable, Sequence
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Protocol

import cv2
import numpy as np
from numpy.typing import NDArray

from .datasets import Image
from .machine import has_cuda, processor, version_of

KeyPoints = Sequence[cv2.KeyPoint]


class Detector(Protocol):
    """The part of cv2.Feature2D that the benchmark uses."""

    def detectAndCompute(self, image: Image, mask: None) -> tuple[KeyPoints, NDArray[Any] | None]:
        """Find keypoints and describe them; the descriptors are None where there are none."""

    def defaultNorm(self) -> int:
        """Norm in which the descriptors are compared, e.g. cv2.NORM_L2."""


Factory = Callable[..., Detector]


class MethodError(ValueError):
    """There is no method of this name, or it cannot be made; the message says why."""


class DetectionOnly:
    """A detector without descriptors: scored by repeatability and localisation error alone."""

    def __init__(self, feature: Any) -> None:
        self._feature = feature

    def detectAndCompute(self, image: Image, mask: None) -> tuple[KeyPoints, None]:
        """Detect; the descriptors are always None."""
        return self._feature.detect(image, mask), None

    def defaultNorm(self) -> int:
        """Return what OpenCV returns, though there is nothing to compare."""
        return int(self._feature.defaultNorm())


class Redescribed:
    """A method whose descriptors are changed after it made them.

    Parameters
    ----------
    feature
        The method.
    change
        Takes its (N, D) descriptors and returns others, one row each.
    norm
        To compare those in.
    """

    def __init__(
        self, feature: Any, change: Callable[[NDArray[Any]], NDArray[Any]], norm: int
    ) -> None:
        self._feature, self._change, self._norm = feature, change, norm

    def detectAndCompute(self, image: Image, mask: None) -> tuple[KeyPoints, NDArray[Any] | None]:
        """Detect, describe and change the descriptors."""
        keypoints, descriptors = self._feature.detectAndCompute(image, mask)
        return keypoints, None if descriptors is None else self._change(descriptors)

    def defaultNorm(self) -> int:
        """Return the norm of the changed descriptors."""
        return self._norm


def root(descriptors: NDArray[np.float32]) -> NDArray[np.float32]:
    """Turn SIFT into RootSIFT: Hellinger's kernel (Arandjelovic, Zisserman, CVPR 2012)."""
    total = np.abs(descriptors).sum(axis=1, keepdims=True)
    return np.sqrt(descriptors / np.maximum(total, 1e-12))


def _contrib(name: str) -> Any:
    # OpenCV 5 moved AKAZE and BRISK to opencv_contrib.
    return getattr(cv2 if hasattr(cv2, name) else cv2.xfeatures2d, name)


def _akaze(n: int) -> Detector:
    detector = _contrib("AKAZE").create()
    if hasattr(detector, "setMaxPoints"):  # before OpenCV 4.9 only the benchmark's cut limits it
        detector.setMaxPoints(n)
    return detector


def _corners(n: int, harris: bool) -> Detector:
    # The suppression radius of the SuperPoint paper's table 3.
    return DetectionOnly(
        cv2.GFTTDetector.create(
            n, qualityLevel=1e-4, minDistance=4, blockSize=3, useHarrisDetector=harris
        )
    )


_PLAIN = "benchmarks.speed.plain:PlainSuperPoint"

METHODS: dict[str, Factory] = {
    "ORB": lambda n: cv2.ORB.create(n),
    "SIFT": lambda n: cv2.SIFT.create(n),
    "RootSIFT": lambda n: Redescribed(cv2.SIFT.create(n), root, cv2.NORM_L2),
    "AKAZE": _akaze,
    "BRISK": lambda n: _contrib("BRISK").create(),
    "FAST": lambda n: DetectionOnly(cv2.FastFeatureDetector.create()),
    "Harris": lambda n: _corners(n, harris=True),
    "Shi": lambda n: _corners(n, harris=False),
    "PlainSuperPoint": lambda n: _find_foreign(_PLAIN)(n),
}
"""What needs nothing but its name."""

WITH_FILE: dict[str, Callable[[int, str], Detector]] = {
    "ALIKED": lambda n, file: cv2.ALIKED.create(file),
    "DISK": lambda n, file: cv2.DISK.create(file, n),
}
"""What is given as NAME=FILE: the networks of OpenCV 5's ALIKED and DISK."""

OURS: dict[str, dict[str, Any]] = {
    "SuperPoint": {},
    "SuperPoint-full": {"model": "superpoint"},
    "SuperPoint-lite": {"model": "superpoint-lite"},
    "SuperPoint-binary": {"descriptorType": cv2.CV_8U},
}
"""Settings of `cv2_superpoint.SuperPoint` that have a name; others go in brackets after it."""

_OURS = re.compile(r"(?P<stem>[\w-]+)(\[(?P<settings>[^]]*)])?(=(?P<file>.+))?")

NAMES = (
    f"{', '.join([*METHODS, *OURS])}; with settings: SuperPoint[nlevels=5,precision=bfloat16]; "
    f"with a file: {', '.join(f'{name}=FILE' for name in [*WITH_FILE, 'SuperPoint'])}"
)


def settings_of(name: str) -> dict[str, Any] | None:
    """Read the settings of `cv2_superpoint.SuperPoint` in a name; None if it names no such method.

    Parameters
    ----------
    name : str
        A key of `OURS`, then perhaps settings in brackets, then perhaps ``=FILE`` of weights.

    Raises
    ------
    MethodError
        For a setting without a value.
    """
    parts = _OURS.fullmatch(name)
    if parts is None or parts["stem"] not in OURS:
        return None
    settings = dict(OURS[parts["stem"]])
    for setting in filter(None, (parts["settings"] or "").split(",")):
        key, equals, value = setting.partition("=")
        if not equals:
            raise MethodError(f"{name!r}: a setting is like nlevels=5, not {setting!r}")
        settings[key.strip()] = _literal(value.strip())
    if parts["file"]:
        settings["weights"] = parts["file"]
    return settings


def _literal(text: str) -> Any:
    try:
        return ast.literal_eval(text)
    except (ValueError, SyntaxError):
        return text  # a word, such as bfloat16, needs no quotes


def _superpoint(name: str, settings: dict[str, Any]) -> Factory:
    def make(n: int, **more: Any) -> Detector:
        # Imported here, so that the classical methods run without PyTorch.
        create = import_module("cv2_superpoint").SuperPoint_create
        try:
            return create(n, **settings | more)
        except TypeError as error:  # a name that it does not have
            raise MethodError(f"cannot make the method {name!r}: {error}") from error

    return make


def find_factory(name: str) -> Factory:
    """Look up a method.

    Parameters
    ----------
    name : str
        A key of `METHODS`; "NAME=FILE" with a key of `WITH_FILE`; one of ours (`settings_of`); or
        "module:callable" for any callable that takes the number of points and returns something
        with detectAndCompute and defaultNorm.

    Returns
    -------
    callable
        Takes the number of points; one of ours also more settings.

    Raises
    ------
    MethodError
    """
    if name in METHODS:
        return METHODS[name]
    settings = settings_of(name)
    stem, _, file = name.partition("=")
    if settings is not None:
        file = settings.get("weights", "")
    elif stem not in WITH_FILE:
        return _find_foreign(name)
    if (file or settings is None) and not Path(file).is_file():
        raise MethodError(f"cannot find the file of {name!r}")
    if settings is not None:
        return _superpoint(name, settings)
    if not hasattr(cv2, stem):
        raise MethodError(f"{stem} needs OpenCV 5; this is {cv2.__version__}")
    return lambda n: WITH_FILE[stem](n, file)


def _find_foreign(name: str) -> Factory:
    module, colon, attribute = name.partition(":")
    if not colon:
        raise MethodError(f"unknown method {name!r}: choose from {NAMES}; or give module:callable")
    try:
        return getattr(import_module(module), attribute)
    except (ImportError, AttributeError) as error:
        raise MethodError(f"cannot find the method {name!r}: {error}") from error


def make(name: str, count: int, **settings: Any) -> Detector:
    """Make the method of a name, for so many points; one of ours with more settings.

    Raises
    ------
    MethodError
        Also if its file is none that it can read.
    """
    try:
        return find_factory(name)(count, **settings)
    except cv2.error as error:
        raise MethodError(f"cannot make the method {name!r}: {error}") from error


def make_describing(name: str, count: int) -> Detector:
    """Do as `make` for a method that must have descriptors.

    Raises
    ------
    MethodError
        Also if it only detects.
    """
    detector = make(name, count)
    if isinstance(detector, DetectionOnly):
        raise MethodError(f"{name} only detects: it has no descriptors to match")
    return detector


def is_ours(name: str) -> bool:
    """Tell whether a method of this name is backed by `cv2_superpoint`."""
    return settings_of(name) is not None


def runs_on_gpu(name: str) -> bool:
    """Tell whether a method of this name computes on a GPU here, and so prefers batches."""
    return is_ours(name) and has_cuda()


def fingerprint(name: str) -> str:
    """Name everything that the results of a method depend on, besides the image.

    That is its name, the versions of the libraries, the CPU, and the contents of this module and of
    ``features.py``, of the file of weights, of the package `cv2_superpoint`, or of the module of
    the callable (not of what that one imports).
    """
    ours = settings_of(name)
    file = name.partition("=")[2] if ours is None else ours.get("weights", "")
    module, colon, _ = (_PLAIN if name == "PlainSuperPoint" else name).partition(":")
    files = [Path(__file__), Path(__file__).with_name("features.py")]
    packages = ["numpy", "torch"]
    packages += ["opencv-contrib-python", "opencv-python", "opencv-python-headless"]
    if file:
        files.append(Path(file))
    if ours is not None:
        package = Path(import_module("cv2_superpoint").__file__ or "").parent
        files += sorted([*package.rglob("*.py"), *package.glob("weights/*.safetensors")])
    elif colon:
        spec = find_spec(module)
        if spec is not None and spec.origin is not None and Path(spec.origin).is_file():
            files.append(Path(spec.origin))
    parts: list[Any] = [name, cv2.__version__, {p: version_of(p) for p in packages}]
    parts += [hashlib.sha256(path.read_bytes()).hexdigest() for path in files]
    parts += [processor(), runs_on_gpu(name)]
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()

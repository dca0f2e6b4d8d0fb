"""``cv2.AffineFeature`` for any feature: detection in simulated views of an image (ASIFT)."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import cv2
import numpy as np
import numpy.typing as npt

from . import storage
from .arguments import (
    grey_image,
    is_batch,
    keypoint_list,
    keypoint_mask,
    mask_list,
    no_provided_keypoints,
    one_per_image,
    opencv_call,
    with_methods,
)
from .conversion import KeyPoints, return_descriptors
from .errors import bad_argument
from .factory import Factory, as_function

_METHODS = (
    "detect", "compute", "detectAndCompute", "descriptorSize", "descriptorType", "defaultNorm",
)  # fmt: skip


class View(NamedTuple):
    """An image as a camera would see it from the side.

    Attributes
    ----------
    image, mask
        ``(H, W)`` uint8; the mask is None if every pixel is allowed.
    pose
        ``(2, 3)`` float32, from pixels of the original image to those of the view.
    """

    image: npt.NDArray[np.uint8]
    mask: npt.NDArray[np.uint8] | None
    pose: npt.NDArray[np.float32]


class AffineFeature:
    """Detects and describes in views of an image from many sides, so that steep tilts match.

    As ``cv2.AffineFeature``, which accepts features written in C++ only: the same views, and the
    view of each keypoint in its ``class_id``. The backend runs once per view, of which there are 43
    by default: fewer, by `maxTilt`, take less time.

    Parameters
    ----------
    backend
        SuperPoint, or one of OpenCV's features.
    maxTilt, minTilt
        Highest and lowest power of `tiltStep`: how steep views are.
    tiltStep
        Factor between the tilts. A tilt of t shrinks the image t times in one direction.
    rotateStepBase
        Degrees between the directions of views of tilt 1; those of tilt t are t times denser.

    Raises
    ------
    cv2.error
        If a value is out of range, or the backend is not a feature.

    Notes
    -----
    Yu, Morel, "ASIFT: An Algorithm for Fully Affine Invariant Comparison", Image Processing On
    Line 1, 2011, doi:10.5201/ipol.2011.my-asift.

    Examples
    --------
    >>> from skimage import data
    >>> import cv2_superpoint
    >>> detector = cv2_superpoint.SuperPoint_create(100)
    >>> affine = cv2_superpoint.affine_feature(detector, maxTilt=2)
    >>> keypoints, descriptors = affine.detectAndCompute(data.camera(), None)
    >>> tilts, rolls = affine.getViewParams()
    >>> len(tilts), len(keypoints) > 5 * 100  # each view adds its own
    (10, True)
    """

    def __init__(
        self,
        backend: Any,
        maxTilt: int = 5,
        minTilt: int = 0,
        tiltStep: float = 2**0.5,
        rotateStepBase: float = 72.0,
    ) -> None:
        name = "affine_feature"
        self._backend = with_methods(backend, _METHODS, "backend", name)
        try:
            fits = 0 <= minTilt < maxTilt and tiltStep >= 1 and rotateStepBase > 0
        except TypeError as error:
            raise bad_argument(name, str(error)) from None
        if not fits:
            raise bad_argument(
                name, "0 <= minTilt < maxTilt, tiltStep >= 1 and rotateStepBase > 0 are wanted"
            )
        self._views = view_parameters(maxTilt, minTilt, tiltStep, rotateStepBase)

    create = Factory(__init__)

    @opencv_call
    def setViewParams(self, tilts: Any, rolls: Any) -> None:
        """Choose the views.

        Parameters
        ----------
        tilts, rolls
            As many tilts (1 and more) as directions, in degrees.

        Raises
        ------
        cv2.error
            If they are not numbers, or not as many.
        """
        try:
            views = list(zip(map(float, tilts), map(float, rolls), strict=True))
        except (TypeError, ValueError):
            message = "tilts and rolls must be as many numbers"
            raise bad_argument("setViewParams", message) from None
        if not all(tilt >= 1 and math.isfinite(tilt + roll) for tilt, roll in views):
            raise bad_argument("setViewParams", "tilts must be 1 or more, and all values finite")
        self._views = views

    def getViewParams(self) -> tuple[tuple[float, ...], tuple[float, ...]]:
        """Return tilts and directions; OpenCV's fills copies, which Python never sees."""
        tilts, rolls = zip(*self._views, strict=True) if self._views else ((), ())
        return tilts, rolls

    @opencv_call
    def detect(self, image: Any, mask: Any = None) -> KeyPoints | tuple[KeyPoints, ...]:
        """Detect keypoints in all views.

        Parameters
        ----------
        image
            uint8 grey, BGR or BGRA, as array or ``cv2.UMat``; or a list of images.
        mask
            uint8 or bool of the image's size, non-zero where keypoints may lie; or a list.

        Returns
        -------
        tuple of cv2.KeyPoint
            In pixels of the image, view by view; for a list of images a tuple of such tuples.

        Raises
        ------
        cv2.error
            For an image or mask of a wrong type or size.
        """
        if not is_batch(image):
            return self._detect(image, mask)
        return tuple(map(self._detect, image, mask_list(mask, image, "detect")))

    def _detect(self, image: Any, mask: Any) -> KeyPoints:
        found: list[cv2.KeyPoint] = []
        for index, view in self._each(image, mask, "detect"):
            found += _in_image(self._backend.detect(view.image, view.mask), view.pose, index)
        return tuple(found)

    @opencv_call
    def compute(self, image: Any, keypoints: Any, descriptors: Any = None) -> tuple[Any, Any]:
        """Describe keypoints that :meth:`detect` has found, each in its view.

        Parameters
        ----------
        image
            As for :meth:`detect`; or a list of images.
        keypoints
            Sequence of ``cv2.KeyPoint`` whose ``class_id`` is the view; or a list of sequences.
        descriptors
            Array to write into if it fits.

        Returns
        -------
        keypoints : tuple of cv2.KeyPoint
            Those that the backend describes, in the order given.
        descriptors : ndarray, cv2.UMat or None
            One row each.

        Raises
        ------
        cv2.error
            For an image or keypoints of a wrong type, or keypoints of no view.
        """
        if not is_batch(image):
            return self._compute(image, keypoints, descriptors)
        one_per_image(keypoints, image, "sequences of keypoints", "compute")
        pairs = [self._compute(*pair, None) for pair in zip(image, keypoints, strict=True)]
        return tuple(kept for kept, _ in pairs), tuple(rows for _, rows in pairs)

    def _compute(self, image: Any, keypoints: Any, output: Any) -> tuple[KeyPoints, Any]:
        given = keypoint_list(keypoints, "compute")
        if not all(0 <= point.class_id < len(self._views) for point in given):
            raise bad_argument("compute", "class_id must be the view of the keypoint")
        rows: dict[int, npt.NDArray[Any]] = {}
        for index, view in self._each(image, None, "compute"):
            numbers = [n for n, point in enumerate(given) if point.class_id == index]
            if not numbers:
                continue
            there = _moved([given[n] for n in numbers], view.pose, numbers)
            kept, found = self._backend.compute(view.image, there)
            # The backend may drop and reorder keypoints; class_id says which are which.
            rows |= zip((point.class_id for point in kept), found if kept else (), strict=True)
        order = sorted(rows)
        described = np.stack([rows[n] for n in order]) if order else None
        kept_points = _moved([given[n] for n in order], np.eye(2, 3, dtype=np.float32))
        return kept_points, return_descriptors(described, image, output, "compute")

    @opencv_call
    def detectAndCompute(
        self, image: Any, mask: Any, descriptors: Any = None, useProvidedKeypoints: bool = False
    ) -> tuple[KeyPoints, Any]:
        """Detect keypoints in all views, and describe them there.

        Parameters
        ----------
        image
            uint8 grey, BGR or BGRA, as array or ``cv2.UMat``.
        mask
            As for :meth:`detect`, or None.
        descriptors
            Array to write into if it fits.
        useProvidedKeypoints
            Must be False: from Python, keypoints cannot be provided here. Use :meth:`compute`.

        Returns
        -------
        keypoints : tuple of cv2.KeyPoint
            In pixels of the image, view by view.
        descriptors : ndarray, cv2.UMat or None
            One row each; None without keypoints.

        Raises
        ------
        cv2.error
            For an image or mask of a wrong type or size.
        """
        no_provided_keypoints(useProvidedKeypoints)
        keypoints: list[cv2.KeyPoint] = []
        rows: list[npt.NDArray[Any]] = []
        for index, view in self._each(image, mask, "detectAndCompute"):
            found, described = self._backend.detectAndCompute(view.image, view.mask)
            if found:
                keypoints += _in_image(found, view.pose, index)
                rows.append(described)
        stacked = np.concatenate(rows) if rows else None
        return tuple(keypoints), return_descriptors(stacked, image, descriptors, "detectAndCompute")

    def _each(self, image: Any, mask: Any, function: str) -> Iterator[tuple[int, View]]:
        grey = grey_image(image, function)
        if grey is None:
            return
        allowed = keypoint_mask(mask, grey.shape, function)
        for index, (tilt, roll) in enumerate(self._views):
            yield index, make_view(grey, allowed, tilt, roll)

    def descriptorSize(self) -> int:
        """Return the number of columns of the backend's descriptors."""
        return self._backend.descriptorSize()

    def descriptorType(self) -> int:
        """Return the type of the backend's descriptors."""
        return self._backend.descriptorType()

    def defaultNorm(self) -> int:
        """Return the norm to match the backend's descriptors with."""
        return self._backend.defaultNorm()

    def empty(self) -> bool:
        """Return False: there is always a backend."""
        return False

    def getDefaultName(self) -> str:
        """Return ``"Feature2D.AffineFeature"``."""
        return "Feature2D.AffineFeature"

    def clear(self) -> None:
        """Do nothing: nothing is kept between calls."""

    @opencv_call
    def write(self, fileName: Any, name: str | None = None) -> None:
        """Write nothing into a file or an open ``cv2.FileStorage``, as OpenCV's.

        Raises
        ------
        cv2.error
            If the file cannot be written. What was there before stays.
        """
        storage.write(fileName, name, {}, "write")

    @opencv_call
    def save(self, filename: Any) -> None:
        """Write a file with nothing in it.

        Raises
        ------
        cv2.error
            If the file cannot be written. What was there before stays.
        """
        storage.write(filename, None, {}, "save")

    @opencv_call
    def read(self, fileName: Any) -> None:
        """Do nothing, as OpenCV's: views are not stored."""


affine_feature = as_function(AffineFeature, "affine_feature")


def view_parameters(
    max_tilt: int, min_tilt: int, tilt_step: float, roll_base: float
) -> list[tuple[float, float]]:
    """Return tilt and direction in degrees of each view, as OpenCV chooses them.

    In float32, like OpenCV's: rounding decides whether a view at 180 degrees, which repeats the
    first, is left out.
    """
    views = [(1.0, 0.0)] if min_tilt == 0 else []
    tilt = np.float32(1)
    for _ in range(max(min_tilt, 1), max_tilt + 1):
        tilt *= np.float32(tilt_step)
        step = np.float32(roll_base) / tilt
        last = math.floor(np.float32(180) / step)
        if last * step == np.float32(180):
            last -= 1
        views += [(float(tilt), float(step * np.float32(n))) for n in range(last + 1)]
    return views


def make_view(
    image: npt.NDArray[np.uint8], mask: npt.NDArray[np.bool_] | None, tilt: float, roll: float
) -> View:
    """Turn an image by `roll` degrees, then shrink it `tilt` times in x."""
    height, width = image.shape
    pose = np.eye(2, 3, dtype=np.float32)
    seen = image
    if roll:
        angle = np.float32(roll) * np.float32(math.pi) / np.float32(180)
        pose[:, 0] = np.cos(angle), np.sin(angle)
        pose[:, 1] = -pose[1, 0], pose[0, 0]
        corners = (
            np.array([[0, 0], [width, 0], [width, height], [0, height]], np.float32) @ pose[:, :2].T
        )
        left, top, *size = cv2.boundingRect(corners.round().astype(np.int32))
        pose[:, 2] = -left, -top
        seen = cv2.warpAffine(seen, pose, size, borderMode=cv2.BORDER_REPLICATE)
    if tilt != 1:
        seen = cv2.GaussianBlur(seen, (0, 0), 0.8 * math.sqrt(tilt**2 - 1), sigmaY=0.01)
        seen = cv2.resize(seen, (0, 0), fx=1 / tilt, fy=1, interpolation=cv2.INTER_NEAREST)
        pose[0] /= np.float32(tilt)
    if mask is None and not roll and tilt == 1:
        return View(seen, None, pose)
    allowed = np.full(image.shape, 255, np.uint8) if mask is None else np.uint8(mask) * 255
    size = seen.shape[1::-1]
    return View(seen, cv2.warpAffine(allowed, pose, size, flags=cv2.INTER_NEAREST), pose)


def _in_image(points: KeyPoints, pose: npt.NDArray[np.float32], index: int) -> KeyPoints:
    """Return a view's keypoints in pixels of the image, with the view as their class."""
    return _moved(points, cv2.invertAffineTransform(pose), [index] * len(points))


def _moved(
    points: Sequence[cv2.KeyPoint],
    pose: npt.NDArray[np.float32],
    classes: Sequence[int] | None = None,
) -> KeyPoints:
    """Return copies with their positions transformed, and classes if given."""
    if not points:
        return ()
    targets = cv2.transform(np.array([[point.pt for point in points]], np.float32), pose)[0]
    classes = [point.class_id for point in points] if classes is None else classes
    return tuple(
        cv2.KeyPoint(x, y, point.size, point.angle, point.response, point.octave, class_id)
        for (x, y), point, class_id in zip(targets.tolist(), points, classes, strict=True)
    )

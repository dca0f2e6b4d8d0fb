"""Checks of arguments (images, masks, keypoints), and OpenCV's calling conventions."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Sequence
from typing import Any, ParamSpec, TypeVar

import cv2
import numpy as np
import numpy.typing as npt

from .errors import bad_argument

P = ParamSpec("P")
R = TypeVar("R")
Several = Sequence[Any] | npt.NDArray[Any]
"""Lists of images, masks or keypoints; of images and masks also a stack."""

# OpenCV's keywords of the other overloads: those for lists, and those of write and read.
_OVERLOADS = {"images": "image", "masks": "mask", "fs": "fileName", "arg1": "fileName"}


def opencv_call(method: Callable[P, R]) -> Callable[P, R]:
    """Make a method accept the keywords of all OpenCV overloads, and raise its error for others."""
    signature = inspect.signature(method)

    @functools.wraps(method)
    def call(*args: P.args, **kwargs: P.kwargs) -> R:
        renamed: dict[str, Any] = {_OVERLOADS.get(k, k): v for k, v in kwargs.items()}
        try:
            if len(renamed) < len(kwargs):
                raise TypeError(f"an argument is given twice: {', '.join(kwargs)}")
            signature.bind(*args, **renamed)
        except TypeError as error:
            raise bad_argument(method.__name__, str(error)) from None
        return method(*args, **renamed)  # type: ignore[arg-type]

    return call


def is_batch(image: object) -> bool:
    """Tell whether `image` is several: a list, a tuple, or an ``(N, H, W)`` stack of grey ones.

    OpenCV 5.1 takes every array for a stack that has too many channels for an image. Here those of
    5 to 31 are refused, as they are more likely those of a multispectral picture.
    """
    stack = isinstance(image, np.ndarray) and image.ndim == 3 and image.shape[2] >= 32
    return stack or isinstance(image, list | tuple)


def as_array(value: object, name: str, function: str) -> npt.NDArray[Any] | None:
    """Return an array or UMat as ``ndarray``; None for None."""
    if isinstance(value, cv2.UMat):
        value = value.get()  # None if it is empty
    if value is None:
        return None
    if not isinstance(value, np.ndarray):
        got = type(value).__name__
        raise bad_argument(function, f"{name} must be a numpy array or a UMat, not {got}")
    return np.asarray(value)


def grey_image(value: object, function: str) -> npt.NDArray[np.uint8] | None:
    """Return an image as ``(H, W)`` uint8 grey; None if there is none, or it is empty.

    Raises
    ------
    cv2.error
        If the image is neither uint8 grey, HxWx1, BGR nor BGRA.
    """
    image = as_array(value, "image", function)
    if image is None or image.size == 0:
        return None
    shape_fits = image.ndim == 2 or (image.ndim == 3 and image.shape[2] in (1, 3, 4))
    if image.dtype != np.uint8 or not shape_fits:
        raise bad_argument(
            function,
            "image must be uint8 of shape (H, W), (H, W, 1), (H, W, 3) BGR or (H, W, 4) BGRA, "
            f"not {image.dtype} of shape {image.shape}",
            cv2.Error.StsUnsupportedFormat,
        )
    if image.ndim == 3 and image.shape[2] != 1:
        code = cv2.COLOR_BGR2GRAY if image.shape[2] == 3 else cv2.COLOR_BGRA2GRAY
        image = cv2.cvtColor(np.ascontiguousarray(image), code)
    return image.reshape(image.shape[:2])


def keypoint_mask(
    value: object, shape: tuple[int, ...], function: str
) -> npt.NDArray[np.bool_] | None:
    """Return ``(H, W)`` bool, True where keypoints may lie; None if there is no mask.

    Raises
    ------
    cv2.error
        If the mask is neither uint8 nor bool, or not of the image's size.
    """
    mask = as_array(value, "mask", function)
    if mask is None or mask.size == 0:
        return None
    if mask.ndim == 3 and mask.shape[2] == 1:
        mask = mask[:, :, 0]
    if mask.dtype not in (np.uint8, np.bool_) or mask.shape != shape[:2]:
        raise bad_argument(
            function,
            f"mask must be uint8 (CV_8UC1) or bool of the image's shape {shape[:2]}, "
            f"not {mask.dtype} of shape {mask.shape}",
            cv2.Error.StsBadMask,
        )
    return mask != 0


def one_per_image(values: Any, images: Several, what: str, function: str) -> Several:
    """Return what belongs to a list of images: a sequence, as long; `what` names it in errors.

    Raises
    ------
    cv2.error
        If it is no sequence, or not as long.
    """
    if not isinstance(values, Sequence | np.ndarray) or len(values) != len(images):
        raise bad_argument(function, f"as many {what} are wanted as images")
    return values


def mask_list(masks: Any, images: Several, function: str) -> Several:
    """Return a mask, or None, for each of a list of images; no list, or an empty one: no masks.

    Raises
    ------
    cv2.error
        If there are not as many.
    """
    if masks is None or (is_batch(masks) and len(masks) == 0):
        return [None] * len(images)
    return one_per_image(masks, images, "masks", function)


def no_provided_keypoints(useProvidedKeypoints: object) -> None:
    """Refuse to describe provided keypoints in ``detectAndCompute``.

    Raises
    ------
    cv2.error
        If that is what is asked for, or the value is no truth value to OpenCV's bindings.
    """
    flags = int | np.integer | np.bool_ | None
    if not isinstance(useProvidedKeypoints, flags) or useProvidedKeypoints:
        raise bad_argument(
            "detectAndCompute", "from Python no keypoints can be provided; use compute()"
        )


def keypoint_list(value: object, function: str) -> list[cv2.KeyPoint]:
    """Return a sequence of keypoints as a list (None: no keypoints).

    Raises
    ------
    cv2.error
        If it is not a sequence, or something in it is not a keypoint.
    """
    if value is None:
        return []
    if not isinstance(value, Sequence | np.ndarray) or isinstance(value, str):
        got = type(value).__name__
        raise bad_argument(function, f"keypoints must be a sequence of cv2.KeyPoint, not {got}")
    for i, point in enumerate(value):
        if not isinstance(point, cv2.KeyPoint):
            got = type(point).__name__
            raise bad_argument(function, f"keypoints[{i}] must be a cv2.KeyPoint, not {got}")
    return list(value)


def with_methods(value: Any, methods: Sequence[str], name: str, function: str) -> Any:
    """Return a feature or matcher, ours or OpenCV's, that has the methods which are needed.

    Raises
    ------
    cv2.error
        If it lacks one.
    """
    missing = [method for method in methods if not callable(getattr(value, method, None))]
    if missing:
        got = type(value).__name__
        raise bad_argument(function, f"{name} must have {', '.join(missing)}(); {got} does not")
    return value

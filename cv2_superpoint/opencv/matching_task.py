"""What a call of a matcher asks for: the arguments of OpenCV's overloads, read and checked."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any, NamedTuple

import cv2
import numpy as np
import numpy.typing as npt

from .arrays import Array, is_tensor, to_host
from .nearest import Pairs
from .scores import LARGEST

Matches = tuple[cv2.DMatch, ...]


class Task(NamedTuple):
    """What is to be matched by the product."""

    query: Array  # (N, D) float32
    train: Array  # (M, D) float32, of all images
    starts: npt.NDArray[np.int64]  # (images,): the first row of each image in train
    mask: npt.NDArray[np.uint8] | None  # (N, M)
    compact: bool

    def matches(self, pairs: Pairs) -> Matches:
        """Return OpenCV's matches of pairs, in their order."""
        image = np.searchsorted(self.starts, pairs.train, side="right") - 1
        columns = (pairs.query, pairs.train - self.starts[image], pairs.distance)
        matches = tuple(map(cv2.DMatch, *(column.tolist() for column in columns)))
        # DMatch tries its constructors in turn: the one with the image takes six times as long.
        for match, index in zip(matches, image.tolist(), strict=True):
            match.imgIdx = index
        return matches

    def rows(self, pairs: Pairs) -> tuple[Matches, ...]:
        """Return the matches of each query descriptor."""
        matches = self.matches(pairs)
        ends = np.searchsorted(pairs.query, np.arange(len(self.query) + 1)).tolist()
        return tuple(matches[start:end] for start, end in itertools.pairwise(ends))


def read_task(given: dict[str, Any], added: Sequence[npt.NDArray[Any]]) -> Task | None:
    """Return what a call asks to be matched; None if OpenCV has to do it, or to refuse it.

    Parameters
    ----------
    given
        Arguments by name (:func:`named_arguments`).
    added
        The matcher's collection, for calls without train descriptors.
    """
    query: Any = given.get("queryDescriptors")
    masks: Any
    if "trainDescriptors" in given:
        images, masks = [given["trainDescriptors"]], [given.get("mask")]
    else:
        images = list(added)
        masks = given.get("masks", [])
        if masks is None or (isinstance(masks, list | tuple) and not masks):
            masks = [None] * len(images)
    compact = given.get("compactResult", False)
    if (
        not images
        or not all(_is_matchable(rows) for rows in (query, *images))
        or any(rows.shape[1] != query.shape[1] for rows in images)
        or not isinstance(masks, list | tuple)
        or len(masks) != len(images)
        or not all(map(_is_mask, masks, [(len(query), len(rows)) for rows in images]))
        or not isinstance(compact, bool)
    ):
        return None
    starts = np.cumsum([0] + [len(rows) for rows in images[:-1]])
    query, train = _together(query, images)
    return Task(query, train, starts, _joined(masks, query, images), compact)


def named_arguments(
    names: tuple[str, ...], args: tuple[Any, ...], kwargs: dict[str, Any]
) -> dict[str, Any]:
    """Return a call's arguments by name; none if OpenCV has to make sense of them.

    `names` are those of the overload with train descriptors.
    """
    args = tuple(map(_downloaded, args))
    kwargs = {name: _downloaded(value) for name, value in kwargs.items()}
    if "trainDescriptors" not in kwargs and not (len(args) > 1 and _is_array(args[1])):
        names = tuple(
            "masks" if name == "mask" else name for name in names if name != "trainDescriptors"
        )
        # To OpenCV, None in place of the train descriptors is an empty array of them.
        if any(value is None for value in args):
            return {}
    named = dict(zip(names, args, strict=False))
    fits = len(args) <= len(names) and not named.keys() & kwargs and kwargs.keys() <= {*names}
    return named | kwargs if fits else {}


def is_number(value: object, kinds: Any) -> bool:
    """Tell whether a value is a number of some kinds; booleans are none."""
    return isinstance(value, kinds) and not isinstance(value, bool)


def _is_array(value: object) -> bool:
    return isinstance(value, np.ndarray) or is_tensor(value)


def _is_matchable(value: Any) -> bool:
    """Tell whether these are float descriptors, at least one, of finite distances."""
    return (
        _is_array(value)
        and value.ndim == 2
        and 0 not in value.shape
        and (value.dtype == np.float32 if isinstance(value, np.ndarray) else _is_float(value))
        and bool(value.max() < LARGEST and value.min() > -LARGEST)
    )


def _is_float(tensor: Array) -> bool:
    return tensor.dtype.is_floating_point and tensor.dtype.itemsize <= 4


def _is_mask(value: Any, shape: tuple[int, int]) -> bool:
    if value is None:
        return True
    fits = _is_array(value) and tuple(value.shape) == shape
    return fits and str(value.dtype).removeprefix("torch.") == "uint8"


def _together(query: Array, images: list[Array]) -> tuple[Array, Array]:
    """Return query and train descriptors: tensors if they are on one GPU, else ndarrays."""
    if all(is_tensor(rows) and rows.device == query.device for rows in (query, *images)) and (
        query.device.type != "cpu"
    ):
        return query.float(), images[0].float()
    arrays = [to_host(rows) for rows in images]
    return to_host(query), arrays[0] if len(arrays) == 1 else np.concatenate(arrays)


def _joined(
    masks: Sequence[Any], query: Array, images: list[Array]
) -> npt.NDArray[np.uint8] | None:
    """Return one mask of all images; None if there are no masks."""
    if all(mask is None for mask in masks):
        return None
    return np.hstack(
        [
            np.ones((len(query), len(rows)), np.uint8) if mask is None else to_host(mask)
            for mask, rows in zip(masks, images, strict=True)
        ]
    )


def _downloaded(value: Any) -> Any:
    return value.get() if isinstance(value, cv2.UMat) else value


def on_host(value: Any) -> Any:
    """Return ndarrays in place of tensors and UMats, in containers too."""
    if isinstance(value, list | tuple):
        return type(value)(map(on_host, value))
    if isinstance(value, dict):
        return {key: on_host(element) for key, element in value.items()}
    return to_host(value) if is_tensor(value) else _downloaded(value)

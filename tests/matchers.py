"""OpenCV's matcher and ours, called alike."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np

from cv2_superpoint import BFMatcher

RANDOM = np.random.default_rng(0)
Q = RANDOM.normal(size=(50, 8)).astype(np.float32)
T = RANDOM.normal(size=(40, 8)).astype(np.float32)
S = RANDOM.normal(size=(30, 8)).astype(np.float32)
BYTES = RANDOM.integers(0, 256, (50, 32), np.uint8)
MASK = RANDOM.integers(0, 2, (50, 40), np.uint8)
MASK[3] = 0


def plain(answer: Any) -> Any:
    """Matches as tuples, else the answer itself."""
    if isinstance(answer, cv2.DMatch):
        return answer.queryIdx, answer.trainIdx, answer.imgIdx, answer.distance
    return tuple(map(plain, answer)) if isinstance(answer, tuple) else answer


def answer(matcher: Any, method: str, *args: Any, **kwargs: Any) -> Any:
    """What a call returns, or what it raises without the place in OpenCV's code."""
    try:
        return plain(getattr(matcher, method)(*args, **kwargs))
    except (cv2.error, TypeError) as error:
        return type(error), getattr(error, "code", None), getattr(error, "err", str(error))


def raised(result: Any) -> bool:
    return isinstance(result, tuple) and len(result) == 3 and isinstance(result[0], type)


def both(*args: Any, images: list | None = None, **options: Any) -> tuple[Any, Any]:
    pair = BFMatcher(*args, **options), cv2.BFMatcher(*args, **options)
    for matcher in pair if images is not None else ():
        matcher.add(images)
    return pair

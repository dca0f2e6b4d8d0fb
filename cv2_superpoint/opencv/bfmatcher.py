"""``cv2.BFMatcher``, which finds matches of float descriptors by one matrix product."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, overload

import cv2
import numpy as np
import numpy.typing as npt

from . import nearest
from .matching_task import Matches, Task, is_number, named_arguments, on_host, read_task
from .nearest import Pairs
from .scores import LARGEST

_EPSILON = np.finfo(np.float32).eps  # OpenCV refuses radii up to it


class BFMatcher:
    """Brute-force matcher with the interface, and the matches, of ``cv2.BFMatcher``.

    Float descriptors under ``NORM_L2`` and ``NORM_L2SQR`` are matched by one matrix product (see
    :mod:`cv2_superpoint.opencv.nearest`), several times faster. Everything else is left to OpenCV's
    own matcher: other norms, uint8, values that are not finite, wrong arguments. Matches, distances
    and errors are OpenCV's either way; ties go to the lower index.

    Descriptors may also be ``torch.Tensor``; two on the same GPU are matched there. Those given to
    :meth:`add` are kept in host memory.

    Not a subclass of ``cv2.BFMatcher``: OpenCV's bindings crash on Python subclasses of it.

    Parameters
    ----------
    normType
        Such as ``cv2.NORM_L2``: the feature's ``defaultNorm()``.
    crossCheck
        Whether to keep only pairs that are each other's nearest neighbour.

    Raises
    ------
    TypeError
        If an argument has the wrong type, as in OpenCV.

    Examples
    --------
    >>> import cv2
    >>> from skimage import data
    >>> import cv2_superpoint
    >>> detector = cv2_superpoint.SuperPoint_create(200)
    >>> _, first = detector.detectAndCompute(data.camera(), None)
    >>> _, second = detector.detectAndCompute(data.camera()[:, ::-1].copy(), None)
    >>> mutual = cv2_superpoint.BFMatcher(cv2.NORM_L2, crossCheck=True).match(first, second)
    >>> theirs = cv2.BFMatcher(cv2.NORM_L2, crossCheck=True).match(first, second)
    >>> [(m.queryIdx, m.trainIdx, m.distance) for m in mutual] == [
    ...     (m.queryIdx, m.trainIdx, m.distance) for m in theirs]
    True
    """

    def __init__(self, normType: int = cv2.NORM_L2, crossCheck: bool = False) -> None:
        self._opencv = cv2.BFMatcher(normType, crossCheck)
        self._norm = cv2.NORM_L2 if normType is None else int(normType)  # as OpenCV takes None
        self._cross_check = bool(crossCheck)

    @classmethod
    def create(cls, normType: int = cv2.NORM_L2, crossCheck: bool = False) -> BFMatcher:
        """Make a :class:`BFMatcher`, as ``cv2.BFMatcher.create`` does."""
        return cls(normType, crossCheck)

    # Matching -------------------------------------------------------------------------------------

    @overload
    def match(self, queryDescriptors: Any, trainDescriptors: Any, mask: Any = None) -> Matches: ...

    @overload
    def match(self, queryDescriptors: Any, masks: Any = None) -> Matches: ...

    def match(self, *args: Any, **kwargs: Any) -> Matches:
        """Find the best match of each query descriptor.

        Parameters
        ----------
        queryDescriptors
            ``(N, D)`` float32, or uint8.
        trainDescriptors
            ``(M, D)`` of the same type; if omitted, those given to :meth:`add`.
        mask
            ``(N, M)`` uint8, zero for pairs that may not match. `masks`: a list, one for each array
            given to :meth:`add`.

        Returns
        -------
        tuple of cv2.DMatch
            In the order of the query; none for a descriptor without a match.

        Raises
        ------
        cv2.error
            For descriptors or masks of a wrong type or size.
        """
        names = ("queryDescriptors", "trainDescriptors", "mask")
        task = self._task(named_arguments(names, args, kwargs))
        pairs = self._nearest(task, 1)
        if task is None or pairs is None:
            return self._opencv.match(*on_host(args), **on_host(kwargs))
        return task.matches(pairs)

    @overload
    def knnMatch(
        self,
        queryDescriptors: Any,
        trainDescriptors: Any,
        k: int,
        mask: Any = None,
        compactResult: bool = False,
    ) -> tuple[Matches, ...]: ...

    @overload
    def knnMatch(
        self, queryDescriptors: Any, k: int, masks: Any = None, compactResult: bool = False
    ) -> tuple[Matches, ...]: ...

    def knnMatch(self, *args: Any, **kwargs: Any) -> tuple[Matches, ...]:
        """Find the `k` best matches of each query descriptor.

        Parameters
        ----------
        queryDescriptors, trainDescriptors, mask, masks
            As for :meth:`match`.
        k
            How many at most for each; only 1 with a cross check.
        compactResult
            Whether to leave out query descriptors without a match.

        Returns
        -------
        tuple of tuple of cv2.DMatch
            One per query descriptor, the nearest first.

        Raises
        ------
        cv2.error
            As for :meth:`match`; for `k` below 1, or above 1 with a cross check.
        """
        names = ("queryDescriptors", "trainDescriptors", "k", "mask", "compactResult")
        given = named_arguments(names, args, kwargs)
        task = self._task(given)
        pairs = self._nearest(task, given.get("k"))
        if task is None or pairs is None:
            return self._opencv.knnMatch(*on_host(args), **on_host(kwargs))
        rows = task.rows(pairs)
        return tuple(filter(None, rows)) if task.compact else rows

    @overload
    def radiusMatch(
        self,
        queryDescriptors: Any,
        trainDescriptors: Any,
        maxDistance: float,
        mask: Any = None,
        compactResult: bool = False,
    ) -> tuple[Matches, ...]: ...

    @overload
    def radiusMatch(
        self,
        queryDescriptors: Any,
        maxDistance: float,
        masks: Any = None,
        compactResult: bool = False,
    ) -> tuple[Matches, ...]: ...

    def radiusMatch(self, *args: Any, **kwargs: Any) -> tuple[Matches, ...]:
        """Find all matches of each query descriptor up to a distance.

        Parameters
        ----------
        queryDescriptors, trainDescriptors, mask, masks
            As for :meth:`match`.
        maxDistance
            Distance between descriptors, inclusive.
        compactResult
            Whether query descriptors without a match come last.

        Returns
        -------
        tuple of tuple of cv2.DMatch
            One per query descriptor, the nearest first; ties in the order of the train
            descriptors, which OpenCV leaves open.

        Raises
        ------
        cv2.error
            As for :meth:`match`; for a distance of 0 or less.
        """
        names = ("queryDescriptors", "trainDescriptors", "maxDistance", "mask", "compactResult")
        given = named_arguments(names, args, kwargs)
        task = self._task(given)
        pairs = self._within(task, given.get("maxDistance"))
        if task is None or pairs is None:
            return self._opencv.radiusMatch(*on_host(args), **on_host(kwargs))
        rows = task.rows(pairs)
        # OpenCV moves the empty ones to the end, and leaves them there.
        return tuple(sorted(rows, key=lambda row: not row)) if task.compact else rows

    def _task(self, given: dict[str, Any]) -> Task | None:
        """Return what is to be matched; None if OpenCV's matcher has to do it, or to refuse it."""
        if self._norm not in (cv2.NORM_L2, cv2.NORM_L2SQR):
            return None
        return read_task(given, self.getTrainDescriptors())

    def _nearest(self, task: Task | None, k: Any) -> Pairs | None:
        """Return the `k` nearest; None if OpenCV has to find them, or to refuse it."""
        if task is None or not is_number(k, int | np.integer) or k < 1:
            return None
        try:
            if not self._cross_check:
                return nearest.nearest(task.query, task.train, int(k), task.mask, self._norm)
            if min(k, len(task.train)) > 1 or task.mask is not None or len(task.starts) > 1:
                return None
            return nearest.mutual(task.query, task.train, self._norm)
        except nearest.TooManyError:
            return None

    def _within(self, task: Task | None, radius: Any) -> Pairs | None:
        """Return the pairs up to a distance; None if OpenCV has to find them, or to refuse it."""
        if task is None or not is_number(radius, int | float | np.integer | np.floating):
            return None
        if not _EPSILON < radius < LARGEST:  # near the largest, masked pairs match
            return None
        try:
            return nearest.within(task.query, task.train, float(radius), task.mask, self._norm)
        except nearest.TooManyError:
            return None

    # The collection -------------------------------------------------------------------------------

    def add(self, descriptors: Sequence[Any]) -> None:
        """Add descriptors to match queries against: one array per image."""
        self._opencv.add(on_host(descriptors))

    def train(self) -> None:
        """Do nothing: a brute-force matcher has nothing to learn."""
        self._opencv.train()

    def clear(self) -> None:
        """Forget the descriptors that were added."""
        self._opencv.clear()

    def empty(self) -> bool:
        """Return whether no descriptors were added."""
        return self._opencv.empty()

    def getTrainDescriptors(self) -> tuple[npt.NDArray[Any], ...]:
        """Return the descriptors that were added, an array for each image."""
        return self._opencv.getTrainDescriptors()

    def isMaskSupported(self) -> bool:
        """Return True: masks work."""
        return self._opencv.isMaskSupported()

    def setImagePairInfo(self, *args: Any, **kwargs: Any) -> None:
        """Do nothing: keypoints do not matter here (OpenCV 5.1 and later)."""
        self._opencv.setImagePairInfo(*args, **kwargs)

    def clone(self, emptyTrainData: bool = False) -> BFMatcher:
        """Return a matcher with the same parameters, with copies of added descriptors or none."""
        copy = type(self)(self._norm, self._cross_check)
        if not emptyTrainData and not self.empty():
            copy.add([descriptors.copy() for descriptors in self.getTrainDescriptors()])
        return copy

    def read(self, *args: Any, **kwargs: Any) -> None:
        """Read parameters like OpenCV's matcher, which has none."""
        self._opencv.read(*args, **kwargs)

    def write(self, *args: Any, **kwargs: Any) -> None:
        """Write parameters like OpenCV's matcher, which has none."""
        self._opencv.write(*args, **kwargs)

    def save(self, filename: str) -> None:
        """Save parameters to a file like OpenCV's matcher, which has none."""
        self._opencv.save(filename)

    def getDefaultName(self) -> str:
        """Return OpenCV's name for the class."""
        return self._opencv.getDefaultName()

    def __reduce__(self) -> tuple[Any, ...]:
        state = list(self.getTrainDescriptors())
        return type(self), (self._norm, self._cross_check), state

    def __setstate__(self, state: list[npt.NDArray[Any]]) -> None:
        if state:
            self.add(state)

    def __repr__(self) -> str:
        return f"{type(self).__name__}(normType={self._norm}, crossCheck={self._cross_check})"


def BFMatcher_create(normType: int = cv2.NORM_L2, crossCheck: bool = False) -> BFMatcher:
    """Make a :class:`BFMatcher`, as ``cv2.BFMatcher_create`` does; same arguments.

    Examples
    --------
    >>> import numpy as np
    >>> import cv2_superpoint
    >>> rows = np.eye(3, 64, dtype=np.float32)
    >>> matches = cv2_superpoint.BFMatcher_create().knnMatch(rows, rows, k=2)
    >>> [[match.trainIdx for match in row] for row in matches]
    [[0, 1], [1, 0], [2, 0]]
    """
    return BFMatcher(normType, crossCheck)

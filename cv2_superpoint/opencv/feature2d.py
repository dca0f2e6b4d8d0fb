"""SuperPoint as a ``cv2.Feature2D``: OpenCV's calls, arguments, results and errors."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeAlias, overload

import cv2
import numpy as np
import numpy.typing as npt
import torch

from ..features import Descriptors, Features, no_features
from ..settings import BINARY, DetectionSettings
from .arguments import (
    grey_image,
    is_batch,
    keypoint_list,
    keypoint_mask,
    mask_list,
    no_provided_keypoints,
    one_per_image,
    opencv_call,
)
from .conversion import KeyPoints, given_points, inside_image, return_descriptors, to_keypoints
from .errors import bad_argument
from .factory import Factory, as_function
from .parameters import Parameters
from .source import Source

Image: TypeAlias = "npt.NDArray[np.uint8] | cv2.UMat"


class SuperPoint(Parameters):
    """SuperPoint features with the interface of a ``cv2.Feature2D``.

    Replace ``cv2.ORB_create(1000)`` by ``SuperPoint_create(1000)``. Match descriptors in the norm
    that :meth:`defaultNorm` returns: ``cv2.NORM_L2`` for float ones, the default, and
    ``cv2.NORM_HAMMING`` for binary ones. Coordinates are OpenCV's: pixels ``(x, y)``, integer at
    pixel centres.

    Not a subclass of ``cv2.Feature2D``: OpenCV's bindings crash on Python subclasses of it.

    Parameters
    ----------
    nfeatures
        Maximum number of keypoints, strongest first; 0 or less: no limit.
    scaleFactor, nlevels
        Image pyramid, for changes of scale: each level is `scaleFactor` times smaller than the one
        before. ``nlevels=1`` is faster, and enough where the scale changes by less than 2.
    edgeThreshold
        Width of the border without keypoints, in pixels of each level.
    scoreThreshold
        Only points with a higher response are keypoints; from 0 to 1. The response is the sum of
        the network's probabilities in the 3x3 pixels around the point.
    nmsRadius
        Keypoints suppress weaker ones of their level within this many pixels in both x and y.
    firstLevel
        Level of the pyramid that has the image's own size. Those before it are enlarged, which
        locates keypoints more precisely, but takes longer.
    descriptorType
        ``cv2.CV_32F``: unit vectors; or ``cv2.CV_8U``: binary descriptors of 32 bytes, as ORB's.
    upright
        If True, keypoints have no angle (-1), as descriptors need none. If False, it is the
        direction from the keypoint to the intensity centroid around it, as in ORB, and
        :meth:`compute` honours the angles of other detectors' keypoints.
    descriptorSize
        Keep only the first values of each float descriptor, the most important ones; by default
        all.
    model
        ``"superpoint-lite"``, the fastest and the default; ``"superpoint"``, more accurate at
        two to four times the cost; or ``"superpoint-paper"``, which needs `weights`.
    weights
        File of weights to use instead: our safetensors, or a SuperPoint state_dict in the layout of
        Magic Leap, rpautrat or Hugging Face transformers.
    device
        Such as ``"cpu"``, ``"cuda:1"`` or ``"mps"``; by default CUDA, else the CPU. Tested on CPUs
        so far.
    precision
        Arithmetic of the convolutions: ``"int8"`` (CPU), ``"bfloat16"``, ``"float16"`` (GPU) or
        ``"float32"``. ``"auto"`` is the fastest on this device that costs no accuracy, and
        :meth:`getPrecision` returns which that is. (PyTorch may compute float32 in TF32 on CUDA.)
    threads
        PyTorch threads on a CPU; by default as many as there are idle cores, at most
        ``torch.get_num_threads()``. Always one in a forked child.

    Raises
    ------
    cv2.error
        If a value is out of range, weights cannot be loaded, or a device is missing.

    Notes
    -----
    DeTone, Malisiewicz, Rabinovich, "SuperPoint: Self-Supervised Interest Point Detection and
    Description", arXiv:1712.07629.

    Examples
    --------
    >>> import cv2
    >>> from skimage import data
    >>> import cv2_superpoint
    >>> detector = cv2_superpoint.SuperPoint_create(100)
    >>> keypoints, descriptors = detector.detectAndCompute(data.camera(), None)
    >>> descriptors.shape, descriptors.dtype
    ((100, 64), dtype('float32'))

    Binary descriptors, and their norm:

    >>> detector.setDescriptorType(cv2.CV_8U)
    >>> detector.descriptorSize(), detector.defaultNorm() == cv2.NORM_HAMMING
    (32, True)

    Plain arrays, of one image or of many:

    >>> features = detector.extract([data.camera(), data.brick()])
    >>> [len(each) for each in features], features[0].xy.shape
    ([100, 100], (100, 2))
    """

    _NEED_IMAGES: tuple[str, ...] = ()
    """Methods that raise without an image, as some of OpenCV's; the others find nothing."""

    def __init__(
        self,
        nfeatures: int = 500,
        scaleFactor: float = 2**0.5,
        nlevels: int = 5,
        *,
        edgeThreshold: int = 4,
        scoreThreshold: float = 0.02,
        nmsRadius: int = 4,
        firstLevel: int = 0,
        descriptorType: int = cv2.CV_32F,
        upright: bool = True,
        descriptorSize: int | None = None,
        model: str | None = None,
        weights: str | Path | None = None,
        device: str | torch.device | None = None,
        precision: str = "auto",
        threads: int | None = None,
    ) -> None:
        function = f"{type(self).__name__}_create"
        source = Source.of(
            function, model, weights, device=device, precision=precision,
            descriptor_size=descriptorSize, threads=threads,
        )  # fmt: skip
        self._settings = DetectionSettings()
        self._set(
            function,
            nfeatures=nfeatures,
            scale_factor=scaleFactor,
            nlevels=nlevels,
            edge_threshold=edgeThreshold,
            score_threshold=scoreThreshold,
            nms_radius=nmsRadius,
            first_level=firstLevel,
            descriptor_type=descriptorType,
            upright=upright,
        )
        self._source, self._extractor = source, source.open(function)

    create = Factory(__init__)

    # Detection and description ---------------------------------------------------------------

    @opencv_call
    def detect(self, image: Any, mask: Any = None) -> KeyPoints | tuple[KeyPoints, ...]:
        """Detect keypoints.

        Parameters
        ----------
        image
            uint8 grey, BGR or BGRA, as array or ``cv2.UMat``; or a list of images, or an
            ``(N, H, W)`` stack of grey ones at least 32 pixels wide.
        mask
            uint8 or bool of the image's size, non-zero where keypoints may lie; or a list.

        Returns
        -------
        tuple of cv2.KeyPoint
            The strongest first; for a list of images a tuple of such tuples.

        Raises
        ------
        cv2.error
            For an image or mask of a wrong type or size.
        """
        if is_batch(image):
            found = self._detect(image, mask, "detect", describe=False)
            return tuple(to_keypoints(features) for features in found)
        return to_keypoints(self._detect([image], [mask], "detect", describe=False)[0])

    @opencv_call
    def compute(self, image: Any, keypoints: Any, descriptors: Any = None) -> tuple[Any, Any]:
        """Describe given keypoints, from any detector.

        Keypoints detected by this feature get the descriptors of :meth:`detectAndCompute`. They are
        recognised by their size, which matches their octave exactly. Keypoints of other detectors
        are described at the scale given by their size, as ORB defines it, or as SIFT does if their
        octave is packed like SIFT's. Each of them that has an angle gets a patch of its own,
        rotated by the angle unless `upright` is True. The time this takes grows with their number.

        Parameters
        ----------
        image
            As for :meth:`detect`; or a list of images.
        keypoints
            Sequence of ``cv2.KeyPoint``; or a list of sequences.
        descriptors
            Array to write into if it fits.

        Returns
        -------
        keypoints : tuple of cv2.KeyPoint
            Those inside the image, in the order given, with all fields unchanged.
        descriptors : ndarray, cv2.UMat or None
            ``(N, descriptorSize())``, one row each: float32 of unit norm, or uint8; None without
            keypoints. UMat if the image is one, empty without keypoints.

        Raises
        ------
        cv2.error
            For an image or keypoints of a wrong type.
        """
        if not is_batch(image):
            (kept,), (rows,) = self._compute([image], [keypoints])
            return kept, return_descriptors(rows, image, descriptors, "compute")
        one_per_image(keypoints, image, "sequences of keypoints", "compute")
        kept_of, rows_of = self._compute(image, keypoints)
        outputs = zip(rows_of, image, strict=True)
        return tuple(kept_of), tuple(
            return_descriptors(rows, i, None, "compute") for rows, i in outputs
        )

    @opencv_call
    def detectAndCompute(
        self, image: Any, mask: Any, descriptors: Any = None, useProvidedKeypoints: bool = False
    ) -> tuple[KeyPoints, Any]:
        """Detect keypoints and describe them, in one pass of the network.

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
            The strongest first.
        descriptors : ndarray, cv2.UMat or None
            ``(N, descriptorSize())``: float32 of unit norm, or uint8; None without keypoints. UMat
            if the image is one, empty without keypoints.

        Raises
        ------
        cv2.error
            For an image or mask of a wrong type or size; in the place of SIFT, AKAZE and BRISK also
            without an image, as theirs.
        """
        no_provided_keypoints(useProvidedKeypoints)
        if is_batch(image):
            raise bad_argument("detectAndCompute", "give one image here, or many to extract()")
        features = self._detect([image], [mask], "detectAndCompute", describe=True)[0]
        rows = features.descriptors if len(features) else None
        return to_keypoints(features), return_descriptors(
            rows, image, descriptors, "detectAndCompute"
        )

    @overload
    def extract(self, image: Image, mask: Any = None) -> Features: ...

    @overload
    def extract(self, image: Sequence[Image | None], mask: Any = None) -> list[Features]: ...

    def extract(self, image: Any, mask: Any = None) -> Features | list[Features]:
        """Detect and describe, into plain arrays instead of ``cv2.KeyPoint``.

        Parameters
        ----------
        image, mask
            As for :meth:`detect`; a list of images makes a batch.

        Returns
        -------
        Features or list of Features
            One per image.

        Raises
        ------
        cv2.error
            For an image or mask of a wrong type or size.
        """
        if is_batch(image):
            return self._detect(image, mask, "extract", describe=True)
        return self._detect([image], [mask], "extract", describe=True)[0]

    def _detect(
        self, images: Sequence[Any], masks: Any, function: str, describe: bool
    ) -> list[Features]:
        settings = self._settings  # one look: another thread may set it meanwhile
        masks = mask_list(masks, images, function)
        grey = [grey_image(image, function) for image in images]
        if function in self._NEED_IMAGES and any(image is None for image in grey):
            raise bad_argument(function, "the image is empty: was it read?")
        allowed = [
            None if image is None else keypoint_mask(mask, image.shape, function)
            for image, mask in zip(grey, masks, strict=True)
        ]
        present = [i for i, image in enumerate(grey) if image is not None]
        try:
            found = self._extractor.extract(
                [image for image in grey if image is not None],
                [allowed[i] for i in present],
                settings,
                describe,
            )
        except MemoryError as error:
            raise bad_argument(function, str(error), cv2.Error.StsNoMem) from error
        columns = self._extractor.descriptor_columns(settings)
        nothing = no_features(columns, binary=settings.descriptor_type == BINARY)
        by_image = dict(zip(present, map(self._presented, found), strict=True))
        return [by_image.get(i, nothing) for i in range(len(grey))]

    def _presented(self, features: Features) -> Features:
        rows = features.descriptors
        return features if rows is None else replace(features, descriptors=self._present(rows))

    def _compute(
        self, images: Sequence[Any], keypoints: Sequence[Any]
    ) -> tuple[list[KeyPoints], list[Descriptors | None]]:
        settings = self._settings
        kept: list[KeyPoints] = []
        grey = [grey_image(image, "compute") for image in images]
        for image, points in zip(grey, keypoints, strict=True):
            given = keypoint_list(points, "compute")
            kept.append(() if image is None else inside_image(given, image.shape))
        present = [i for i, points in enumerate(kept) if points]
        try:
            found = self._extractor.describe(
                [image for i, image in enumerate(grey) if image is not None and kept[i]],
                [given_points(kept[i], settings) for i in present],
                settings,
            )
        except MemoryError as error:
            raise bad_argument("compute", str(error), cv2.Error.StsNoMem) from error
        rows = dict(zip(present, map(self._present, found), strict=True))
        return kept, [rows.get(i) for i in range(len(kept))]

    def _present(self, rows: Descriptors) -> Descriptors:
        """Return descriptors as the user gets them, which for a drop-in may be different."""
        return rows

    # What OpenCV's matchers and generic code ask -----------------------------------------------

    def descriptorSize(self) -> int:
        """Return the number of columns of descriptors; 32 for binary ones."""
        return self._extractor.descriptor_columns(self._settings)

    def descriptorType(self) -> int:
        """Return the type of descriptors: ``cv2.CV_32F``, or ``cv2.CV_8U`` for binary ones."""
        return self._settings.descriptor_type

    def defaultNorm(self) -> int:
        """Return the norm to match with: ``cv2.NORM_L2``, or ``cv2.NORM_HAMMING`` for binary."""
        return int(cv2.NORM_HAMMING if self._settings.descriptor_type == BINARY else cv2.NORM_L2)

    def getPrecision(self) -> str:
        """Return the arithmetic of the convolutions: never ``"auto"``, but what that has chosen."""
        return self._extractor.runner.precision

    def empty(self) -> bool:
        """Return False: there is always a network."""
        return False

    def getDefaultName(self) -> str:
        """Return ``"Feature2D.SuperPoint"``."""
        return self._NAME

    def clear(self) -> None:
        """Do nothing, like OpenCV's own features: nothing is kept between calls."""

    def __repr__(self) -> str:
        model = self._source.model or "weights from a file"
        runner = self._extractor.runner
        return f"<{type(self).__name__} {model} on {runner.device} in {runner.precision}>"

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle shipped weights by name, others by value."""
        own = {k: v for k, v in vars(self).items() if k not in _OPENED}
        return _restore, (type(self), self._source, self._settings), own


_OPENED = {"_source", "_settings", "_extractor"}
"""Attributes that are not copied, but made again from the source and the settings."""


def _restore(cls: type[SuperPoint], source: Source, settings: DetectionSettings) -> SuperPoint:
    restored = cls.__new__(cls)
    restored._settings, restored._source = settings, source
    restored._extractor = source.open(f"{cls.__name__}_create")
    return restored


SuperPoint_create = as_function(SuperPoint, "SuperPoint_create")

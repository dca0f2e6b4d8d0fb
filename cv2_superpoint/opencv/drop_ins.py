"""Drop-in replacements of ORB, SIFT, AKAZE and BRISK: their arguments, getters and setters.

None stands for the default of an argument, as in OpenCV's bindings.

Arguments that mean something to SuperPoint are used: the number of keypoints, the pyramid and
border of ORB, and whether descriptors are binary. The others can be set, read and stored, but have
no effect.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import cv2
import numpy as np

from ..features import Descriptors
from . import storage
from .errors import bad_argument
from .factory import Factory, as_function
from .kept_parameters import DropIn, SuperPointArguments, accessors, none_is_default
from .parameters import Parameter

if TYPE_CHECKING:
    from typing_extensions import Unpack

# AKAZE's constants, which OpenCV 5 moved to opencv_contrib.
_MLDB, _DIFF_PM_G2 = 5, 1
_TYPES = {2: cv2.CV_32F, 3: cv2.CV_32F, 4: cv2.CV_8U, 5: cv2.CV_8U}
"""Our types of descriptors by AKAZE's: KAZE upright and rotated, MLDB upright and rotated."""
_UPRIGHT = (2, 4)


class ORB(DropIn):
    """SuperPoint with the arguments, getters and setters of ``cv2.ORB``, and binary descriptors.

    Parameters
    ----------
    nfeatures, edgeThreshold, firstLevel
        As for ORB, except that ``nfeatures=0`` sets no limit.
    scaleFactor, nlevels
        As for ORB, but by default those of :class:`SuperPoint`, which cover the same scales: on
        levels as close as ORB's it finds the same corners, so ratio tests leave fewer matches.
    WTA_K, scoreType, patchSize, fastThreshold
        Do nothing.
    **ours
        As for :class:`SuperPoint`.

    Raises
    ------
    cv2.error
        As for :class:`SuperPoint`.

    Examples
    --------
    >>> from skimage import data
    >>> import cv2_superpoint
    >>> detector = cv2_superpoint.ORB_create(100)  # was: cv2.ORB_create(100)
    >>> keypoints, descriptors = detector.detectAndCompute(data.camera(), None)
    >>> descriptors.shape, descriptors.dtype
    ((100, 32), dtype('uint8'))
    """

    _NAME = "Feature2D.ORB"

    @none_is_default
    def __init__(
        self,
        nfeatures: int = 500,
        scaleFactor: float = 2**0.5,
        nlevels: int = 5,
        edgeThreshold: int = 31,
        firstLevel: int = 0,
        WTA_K: int = 2,
        scoreType: int = cv2.ORB_HARRIS_SCORE,
        patchSize: int = 31,
        fastThreshold: int = 20,
        **ours: Unpack[SuperPointArguments],
    ) -> None:
        super().__init__(
            nfeatures, scaleFactor, nlevels, edgeThreshold=edgeThreshold, firstLevel=firstLevel,
            descriptorType=cv2.CV_8U, upright=False, **ours,
        )  # fmt: skip
        self.setWTA_K(WTA_K)
        self.setScoreType(scoreType)
        self.setPatchSize(patchSize)
        self.setFastThreshold(fastThreshold)

    create = Factory(__init__)  # type: ignore[assignment]

    getWTA_K, setWTA_K = accessors("WTA_K", int, "wta_k")
    getScoreType, setScoreType = accessors("ScoreType", int)
    getPatchSize, setPatchSize = accessors("PatchSize", int)
    getFastThreshold, setFastThreshold = accessors("FastThreshold", int)


class SIFT(DropIn):
    """SuperPoint with the arguments, getters and setters of ``cv2.SIFT``, and float descriptors.

    Their values are whole numbers from 0 to 255, as SIFT's: 128 and 256 times those of
    :class:`SuperPoint`. Code may thus take their square roots (RootSIFT), or store them as bytes,
    and distances of correct matches lie where SIFT's do.

    Parameters
    ----------
    nfeatures
        As for SIFT; 0: no limit.
    nOctaveLayers, contrastThreshold, edgeThreshold, sigma, enable_precise_upscale
        Do nothing.
    *seventh
        With seven arguments by position, `descriptorType` is the sixth, and
        `enable_precise_upscale` the seventh.
    descriptorType
        ``cv2.CV_32F``.
    **ours
        As for :class:`SuperPoint`.

    Raises
    ------
    cv2.error
        As for :class:`SuperPoint`; for another `descriptorType`, as SIFT's bytes are compared by
        ``NORM_L2`` and there is nothing like them here.

    Examples
    --------
    >>> from skimage import data
    >>> import cv2_superpoint
    >>> detector = cv2_superpoint.SIFT_create(100)  # was: cv2.SIFT_create(100)
    >>> keypoints, descriptors = detector.detectAndCompute(data.camera(), None)
    >>> descriptors.shape, descriptors.dtype
    ((100, 64), dtype('float32'))
    """

    _NAME = "Feature2D.SIFT"
    _NEED_IMAGES = ("detectAndCompute",)

    @none_is_default
    def __init__(
        self,
        nfeatures: int = 0,
        nOctaveLayers: int = 3,
        contrastThreshold: float = 0.04,
        edgeThreshold: float = 10,
        sigma: float = 1.6,
        enable_precise_upscale: bool = False,
        *seventh: bool,
        descriptorType: int = cv2.CV_32F,
        **ours: Unpack[SuperPointArguments],
    ) -> None:
        kind = enable_precise_upscale if seventh else descriptorType
        if len(seventh) > 1:
            raise bad_argument("SIFT_create", "takes at most 7 arguments by position")
        if kind != cv2.CV_32F:
            message = f"descriptorType must be {cv2.CV_32F} in SIFT's place, not {kind}"
            raise bad_argument("SIFT_create", message, cv2.Error.StsNotImplemented)
        super().__init__(nfeatures, upright=False, **ours)
        self.setNOctaveLayers(nOctaveLayers)
        self.setContrastThreshold(contrastThreshold)
        self.setEdgeThreshold(edgeThreshold)
        self.setSigma(sigma)

    create = Factory(__init__)  # type: ignore[assignment]

    getNOctaveLayers, setNOctaveLayers = accessors("NOctaveLayers", int)
    getContrastThreshold, setContrastThreshold = accessors("ContrastThreshold", float)
    getEdgeThreshold, setEdgeThreshold = accessors("EdgeThreshold", float)
    getSigma, setSigma = accessors("Sigma", float)

    def _set(self, function: str, **values: Any) -> None:
        if values.get("descriptor_type", cv2.CV_32F) != cv2.CV_32F:
            message = f"descriptorType must be {cv2.CV_32F} in SIFT's place"
            raise bad_argument(function, message, cv2.Error.StsNotImplemented)
        super()._set(function, **values)

    def _present(self, rows: Descriptors) -> Descriptors:
        # Values above 0.5 are rare. An offset that is the same for all rows changes no distance.
        return np.clip(np.rint(256 * rows + 128), 0, 255)

    def getNFeatures(self) -> int:
        """Return the largest number of keypoints; 0 or less: no limit."""
        return self.getMaxFeatures()

    def setNFeatures(self, maxFeatures: int) -> None:
        """Set the largest number of keypoints; 0 or less: no limit."""
        self._set("setNFeatures", nfeatures=maxFeatures)


class AKAZE(DropIn):
    """SuperPoint with the arguments, getters and setters of ``cv2.AKAZE``.

    Parameters
    ----------
    descriptor_type
        ``DESCRIPTOR_MLDB`` and ``DESCRIPTOR_MLDB_UPRIGHT``: binary; ``DESCRIPTOR_KAZE`` and
        ``DESCRIPTOR_KAZE_UPRIGHT``: float.
    descriptor_size, descriptor_channels, threshold, nOctaves, nOctaveLayers, diffusivity
        Do nothing.
    max_points
        Maximum number of keypoints; 0 or less: no limit.
    **ours
        As for :class:`SuperPoint`.

    Raises
    ------
    cv2.error
        As for :class:`SuperPoint`.

    Examples
    --------
    >>> from skimage import data
    >>> import cv2_superpoint
    >>> detector = cv2_superpoint.AKAZE_create(max_points=100)
    >>> keypoints, descriptors = detector.detectAndCompute(data.camera(), None)
    >>> descriptors.shape, descriptors.dtype
    ((100, 32), dtype('uint8'))
    """

    _NAME = "Feature2D.AKAZE"
    _NEED_IMAGES = ("detectAndCompute",)
    _TYPE = Parameter("descriptor_type", int, min(_TYPES), max(_TYPES), tuple(_TYPES))

    @none_is_default
    def __init__(
        self,
        descriptor_type: int = _MLDB,
        descriptor_size: int = 0,
        descriptor_channels: int = 3,
        threshold: float = 0.001,
        nOctaves: int = 4,
        nOctaveLayers: int = 4,
        diffusivity: int = _DIFF_PM_G2,
        max_points: int = -1,
        **ours: Unpack[SuperPointArguments],
    ) -> None:
        super().__init__(max_points, **ours)
        self.setDescriptorType(descriptor_type)
        self.setDescriptorSize(descriptor_size)
        self.setDescriptorChannels(descriptor_channels)
        self.setThreshold(threshold)
        self.setNOctaves(nOctaves)
        self.setNOctaveLayers(nOctaveLayers)
        self.setDiffusivity(diffusivity)

    create = Factory(__init__)  # type: ignore[assignment]

    getDescriptorSize, setDescriptorSize = accessors(
        "DescriptorSize", int, "dsize", "descriptor_size"
    )
    getDescriptorChannels, setDescriptorChannels = accessors(
        "DescriptorChannels", int, "dch", "descriptor_channels"
    )
    getThreshold, setThreshold = accessors("Threshold", float)
    getNOctaves, setNOctaves = accessors("NOctaves", int, "octaves")
    getNOctaveLayers, setNOctaveLayers = accessors(
        "NOctaveLayers", int, "octaveLayers", "sublevels"
    )
    getDiffusivity, setDiffusivity = accessors("Diffusivity", int, "diff", "diffusivity")

    def getMaxPoints(self) -> int:
        """Return the largest number of keypoints; 0 or less: no limit."""
        return self.getMaxFeatures()

    def setMaxPoints(self, max_points: int) -> None:
        """Set the largest number of keypoints; 0 or less: no limit."""
        self._set("setMaxPoints", nfeatures=max_points)

    def getDescriptorType(self) -> int:
        """Return the type of descriptors, by AKAZE's numbers."""
        return int(self._kept["descriptor"])

    def setDescriptorType(self, dtype: int) -> None:
        """Set the type of descriptors, by AKAZE's numbers: 2 and 3 are float, 4 and 5 binary."""
        self._keep("setDescriptorType", "descriptor", self._TYPE, dtype)
        kind = self.getDescriptorType()
        self._set("setDescriptorType", descriptor_type=_TYPES[kind], upright=kind in _UPRIGHT)

    def _fields(self) -> storage.Record:
        fields = super()._fields()
        return {**fields, "max_points": fields["nfeatures"]}

    def _take(self, found: storage.Record) -> None:
        if "max_points" in found:
            found["nfeatures"] = found.pop("max_points")
        if "descriptor" in found:
            kind = self._TYPE.check(found["descriptor"], "read")
            found["descriptorType"] = _TYPES[int(kind)]
            found.setdefault("upright", kind in _UPRIGHT)
        super()._take(found)


class BRISK(DropIn):
    """SuperPoint with the arguments, getters and setters of ``cv2.BRISK``: binary descriptors.

    Parameters
    ----------
    thresh, octaves, patternScale
        Do nothing.
    **ours
        As for :class:`SuperPoint`.

    Raises
    ------
    cv2.error
        As for :class:`SuperPoint`.

    Examples
    --------
    >>> from skimage import data
    >>> import cv2_superpoint
    >>> detector = cv2_superpoint.BRISK_create()
    >>> keypoints, descriptors = detector.detectAndCompute(data.camera(), None)
    >>> len(keypoints) == len(descriptors) > 100
    True
    """

    _NAME = "Feature2D.BRISK"
    _NEED_IMAGES = ("detectAndCompute",)

    @none_is_default
    def __init__(
        self,
        thresh: int = 30,
        octaves: int = 3,
        patternScale: float = 1.0,
        **ours: Unpack[SuperPointArguments],
    ) -> None:
        super().__init__(0, descriptorType=cv2.CV_8U, upright=False, **ours)
        self.setThreshold(thresh)
        self.setOctaves(octaves)
        self.setPatternScale(patternScale)

    create = Factory(__init__)  # type: ignore[assignment]

    getThreshold, setThreshold = accessors("Threshold", int)
    getOctaves, setOctaves = accessors("Octaves", int)
    getPatternScale, setPatternScale = accessors("PatternScale", float)


ORB_create = as_function(ORB, "ORB_create")
SIFT_create = as_function(SIFT, "SIFT_create")
AKAZE_create = as_function(AKAZE, "AKAZE_create")
BRISK_create = as_function(BRISK, "BRISK_create")

"""Parameters of detection, the OpenCV way: getters, setters, FileStorage."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from threading import Lock
from typing import Any

import cv2
import numpy as np

from ..settings import DetectionSettings
from . import storage
from .arguments import opencv_call
from .errors import bad_argument


@dataclass(frozen=True)
class Parameter:
    """A number, or a truth value, that may be set.

    Attributes
    ----------
    name
        As OpenCV spells it.
    kind
        int; float, which takes both; or bool, which takes 0 and 1.
    low, high
        Between which it must be.
    choices
        If only some of those have a meaning: which.
    """

    name: str
    kind: type[int] | type[float] | type[bool]
    low: float
    high: float
    choices: tuple[int, ...] = ()

    def check(self, value: Any, function: str) -> int | float:
        """Return a value as the kind that it must be.

        Raises
        ------
        cv2.error
            If it is something else, or out of range; it names the function.
        """
        taken = int | float | np.number if self.kind is float else int | np.integer | np.bool_
        truth = isinstance(value, bool | np.bool_)
        if not isinstance(value, taken) or (truth and self.kind is not bool):
            got = f"{type(value).__name__} {value!r}"
            raise bad_argument(
                function, f"{self.name} must be of type {self.kind.__name__}, not {got}"
            )
        wanted = f"from {self.low} to {self.high}"
        if self.choices:
            wanted = " or ".join(map(str, self.choices))
        fits = value in self.choices if self.choices else self.low <= value <= self.high
        if not fits:  # also for NaN
            message = f"{self.name} must be {wanted}, not {value}"
            raise bad_argument(function, message, cv2.Error.StsOutOfRange)
        return self.kind(value)


INT_MIN, INT_MAX = -(1 << 31), (1 << 31) - 1

_PARAMETERS = {
    "nfeatures": Parameter("nfeatures", int, INT_MIN, INT_MAX),
    "scale_factor": Parameter("scaleFactor", float, 1.0, 16.0),
    "nlevels": Parameter("nlevels", int, 1, 64),
    "edge_threshold": Parameter("edgeThreshold", int, 0, 1 << 30),
    "score_threshold": Parameter("scoreThreshold", float, 0.0, 1.0),
    "nms_radius": Parameter("nmsRadius", int, 0, 1 << 15),
    "first_level": Parameter("firstLevel", int, 0, 63),
    "descriptor_type": Parameter("descriptorType", int, 0, 5, (cv2.CV_8U, cv2.CV_32F)),
    "upright": Parameter("upright", bool, 0, 1),
}
"""By the fields of DetectionSettings."""

_LARGEST = 16
"""How many times an image may be enlarged."""

_SETTING = Lock()  # so that two threads which set two parameters lose neither


class Parameters:
    """What may be set after creation. Settings are replaced, never changed, to be thread-safe."""

    _NAME = "Feature2D.SuperPoint"
    _settings: DetectionSettings

    def _set(self, function: str, **values: Any) -> None:
        """Replace settings, by the names of DetectionSettings, after checking them."""
        for field, value in values.items():
            values[field] = _PARAMETERS[field].check(value, function)
        with _SETTING:
            settings = replace(self._settings, **values)
            if settings.nlevels > 1 and settings.scale_factor == 1:
                message = "scaleFactor must be above 1 for more than one level"
                raise bad_argument(function, message, cv2.Error.StsOutOfRange)
            if settings.scale(0) < 1 / _LARGEST:
                message = f"scaleFactor ** firstLevel must be at most {_LARGEST}"
                raise bad_argument(function, message, cv2.Error.StsOutOfRange)
            self._settings = settings

    def getMaxFeatures(self) -> int:
        """Return the largest number of keypoints; 0 or less: no limit."""
        return self._settings.nfeatures

    def setMaxFeatures(self, maxFeatures: int) -> None:
        """Set the largest number of keypoints; 0 or less: no limit."""
        self._set("setMaxFeatures", nfeatures=maxFeatures)

    def getScaleFactor(self) -> float:
        """Return the ratio between the levels of the image pyramid."""
        return self._settings.scale_factor

    def setScaleFactor(self, scaleFactor: float) -> None:
        """Set the ratio between the levels of the image pyramid."""
        self._set("setScaleFactor", scale_factor=scaleFactor)

    def getNLevels(self) -> int:
        """Return the number of levels of the image pyramid."""
        return self._settings.nlevels

    def setNLevels(self, nlevels: int) -> None:
        """Set the number of levels of the image pyramid."""
        self._set("setNLevels", nlevels=nlevels)

    def getFirstLevel(self) -> int:
        """Return the level of the pyramid that has the image's own size."""
        return self._settings.first_level

    def setFirstLevel(self, firstLevel: int) -> None:
        """Set the level of the pyramid that has the image's own size."""
        self._set("setFirstLevel", first_level=firstLevel)

    def getEdgeThreshold(self) -> int:
        """Return the width in pixels of the border without keypoints."""
        return self._settings.edge_threshold

    def setEdgeThreshold(self, edgeThreshold: int) -> None:
        """Set the width in pixels of the border without keypoints."""
        self._set("setEdgeThreshold", edge_threshold=edgeThreshold)

    def getScoreThreshold(self) -> float:
        """Return the response that keypoints must exceed."""
        return self._settings.score_threshold

    def setScoreThreshold(self, scoreThreshold: float) -> None:
        """Set the response that keypoints must exceed, 0..1."""
        self._set("setScoreThreshold", score_threshold=scoreThreshold)

    def getNMSRadius(self) -> int:
        """Return the radius in pixels within which only the strongest keypoint is kept."""
        return self._settings.nms_radius

    def setNMSRadius(self, nmsRadius: int) -> None:
        """Set the radius in pixels within which only the strongest keypoint is kept."""
        self._set("setNMSRadius", nms_radius=nmsRadius)

    def getDescriptorType(self) -> int:
        """Return the type of descriptors: ``cv2.CV_32F``, or ``cv2.CV_8U`` for binary ones."""
        return self._settings.descriptor_type

    def setDescriptorType(self, descriptorType: int) -> None:
        """Set the type of descriptors: ``cv2.CV_32F``, or ``cv2.CV_8U`` for binary ones."""
        self._set("setDescriptorType", descriptor_type=descriptorType)

    def getUpright(self) -> bool:
        """Return whether keypoints go without an angle."""
        return self._settings.upright

    def setUpright(self, upright: bool) -> None:
        """Set whether keypoints go without an angle."""
        self._set("setUpright", upright=upright)

    @opencv_call
    def write(self, fileName: Any, name: str | None = None) -> None:
        """Write the parameters (not the weights).

        Parameters
        ----------
        fileName
            A YAML, XML or JSON file, with ``.gz`` compressed; or an open ``cv2.FileStorage``.
        name
            Node to make in an open storage; by default the fields go to its current position.

        Raises
        ------
        cv2.error
            If the file cannot be written. What was there before stays.
        """
        storage.write(fileName, name, self._fields(), "write")

    @opencv_call
    def save(self, filename: Any) -> None:
        """Write the parameters (not the weights) to a YAML, XML or JSON file.

        Raises
        ------
        cv2.error
            If the file cannot be written. What was there before stays.
        """
        storage.write(filename, None, self._fields(), "save")

    @opencv_call
    def read(self, fileName: Any) -> None:
        """Read the parameters that :meth:`write` or :meth:`save` wrote.

        Parameters
        ----------
        fileName
            A file; or a ``cv2.FileNode`` of an open storage.

        Raises
        ------
        cv2.error
            If there is nothing to read, a value is out of range, or one in a file is ``true`` or
            ``false``. Nothing changes then.
        """
        found = storage.read(fileName, self._fields())
        written_by = found.pop("name", self._NAME)
        if written_by != self._NAME:
            raise bad_argument("read", f"these are parameters of {written_by}, not {self._NAME}")
        if not found:
            raise bad_argument("read", f"{fileName!r} holds no parameters of {self._NAME}")
        self._take(found)

    def _fields(self) -> dict[str, str | int | float]:
        """Return what is stored, by OpenCV's names."""
        values = {_PARAMETERS[k].name: v for k, v in asdict(self._settings).items()}
        return {"name": self._NAME, **values, "upright": int(self._settings.upright)}

    def _take(self, found: storage.Record) -> None:
        """Set what was stored, or some of it."""
        fields = {parameter.name: field for field, parameter in _PARAMETERS.items()}
        self._set("read", **{fields[name]: value for name, value in found.items()})

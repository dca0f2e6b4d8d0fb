"""Parameters of detection in OpenCV's manner: getters, setters, FileStorage."""

from __future__ import annotations

from dataclasses import replace
from threading import Lock
from typing import Any

import cv2
import numpy as np

from . import storage
from .arguments import opencv_call
from .errors import bad_argument
from .extractor import DetectionSettings

_SETTING = Lock()  # so that two threads which set two parameters lose neither


class Parameters:
    """What may be set after creation. Settings are replaced, never changed, for threads' sake."""

    _NAME = "Feature2D.SuperPoint"
    _settings: DetectionSettings

    def _set(self, function: str, **values: Any) -> None:
        """Replace settings after checking them."""
        for name, value in values.items():
            kind: Any = float if name in ("scale_factor", "score_threshold") else int
            number = int | np.integer if kind is int else int | float | np.number
            if isinstance(value, bool) or not isinstance(value, number):
                got = f"{type(value).__name__} {value!r}"
                raise bad_argument(function, f"{name} must be of type {kind.__name__}, not {got}")
            if kind is int and not -(1 << 31) <= value < 1 << 31:
                raise bad_argument(function, f"{name} must fit 32 bits, not {value}")
            values[name] = kind(value)
        with _SETTING:
            self._settings = _checked(function, replace(self._settings, **values))

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

    def getEdgeThreshold(self) -> int:
        """Return the width in pixels of the border without keypoints."""
        return self._settings.edge_threshold

    def setEdgeThreshold(self, edgeThreshold: int) -> None:
        """Set the width in pixels of the border without keypoints."""
        self._set("setEdgeThreshold", edge_threshold=edgeThreshold)

    def getScoreThreshold(self) -> float:
        """Return the least probability of a keypoint."""
        return self._settings.score_threshold

    def setScoreThreshold(self, scoreThreshold: float) -> None:
        """Set the least probability of a keypoint, 0..1."""
        self._set("setScoreThreshold", score_threshold=scoreThreshold)

    def getNMSRadius(self) -> int:
        """Return the radius in pixels within which only the strongest keypoint is kept."""
        return self._settings.nms_radius

    def setNMSRadius(self, nmsRadius: int) -> None:
        """Set the radius in pixels within which only the strongest keypoint is kept."""
        self._set("setNMSRadius", nms_radius=nmsRadius)

    @opencv_call
    def write(self, fileName: Any, name: str | None = None) -> None:
        """Write the parameters (not the weights).

        Parameters
        ----------
        fileName
            A YAML, XML or JSON file; or an open ``cv2.FileStorage``.
        name
            Of the node in an open storage; by default the fields go to where it stands.

        Raises
        ------
        cv2.error
            If the file cannot be written.
        """
        storage.write(fileName, name, self._NAME, self._settings)

    @opencv_call
    def save(self, filename: Any) -> None:
        """Write the parameters (not the weights) to a YAML, XML or JSON file.

        Raises
        ------
        cv2.error
            If the file cannot be written.
        """
        storage.write(filename, None, self._NAME, self._settings)

    @opencv_call
    def read(self, fileName: Any) -> None:
        """Take over the parameters that :meth:`write` or :meth:`save` wrote.

        Parameters
        ----------
        fileName
            A file; or a ``cv2.FileNode`` of an open storage.

        Raises
        ------
        cv2.error
            If there is nothing to read, or a value is out of range; then nothing changes.
        """
        self._set("read", **storage.read(fileName, self._NAME))


def _checked(function: str, settings: DetectionSettings) -> DetectionSettings:
    """Return the settings if all are in range."""
    for name, value, low, high in (
        ("scaleFactor", settings.scale_factor, 1.0, 16.0),
        ("nlevels", settings.nlevels, 1, 64),
        ("edgeThreshold", settings.edge_threshold, 0, 1 << 30),
        ("scoreThreshold", settings.score_threshold, 0.0, 1.0),
        ("nmsRadius", settings.nms_radius, 0, 1 << 15),
    ):
        if not low <= value <= high:  # also false for NaN
            message = f"{name} must be from {low} to {high}, not {value}"
            raise bad_argument(function, message, cv2.Error.StsOutOfRange)
    if settings.nlevels > 1 and settings.scale_factor == 1:
        raise bad_argument(function, "scaleFactor must be above 1 for more than one level")
    return settings

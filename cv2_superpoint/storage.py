"""Parameters in ``cv2.FileStorage``: the same fields in files and in nodes of open storages."""

from __future__ import annotations

from dataclasses import fields
from typing import Any

import cv2

from .errors import bad_argument
from .extractor import DetectionSettings

# OpenCV's spelling of each setting, as in the arguments of SuperPoint.
_KEYS = {
    "nfeatures": "nfeatures",
    "scale_factor": "scaleFactor",
    "nlevels": "nlevels",
    "edge_threshold": "edgeThreshold",
    "score_threshold": "scoreThreshold",
    "nms_radius": "nmsRadius",
}


def write(target: Any, node: str | None, name: str, settings: DetectionSettings) -> None:
    """Write settings to a file or an open storage.

    Parameters
    ----------
    target
        File name, or ``cv2.FileStorage`` open for writing.
    node
        Map to make in an open storage; None: write where it stands. (OpenCV 5.0 allows no dot
        in it, which is what breaks the ``save`` of its own features.)
    name
        Written as the field ``name``.
    settings
        To write.

    Raises
    ------
    cv2.error
        If the file cannot be written.
    """
    if isinstance(target, cv2.FileStorage):
        if node:
            target.startWriteStruct(node, cv2.FILE_NODE_MAP)
        _write_fields(target, name, settings)
        if node:
            target.endWriteStruct()
        return
    file = cv2.FileStorage(str(target), cv2.FILE_STORAGE_WRITE)
    if not file.isOpened():
        raise bad_argument("write", f"cannot write {target}", cv2.Error.StsError)
    _write_fields(file, name, settings)
    file.release()


def _write_fields(storage: cv2.FileStorage, name: str, settings: DetectionSettings) -> None:
    storage.write("name", name)
    for field in fields(settings):
        storage.write(_KEYS[field.name], getattr(settings, field.name))


def read(source: Any, name: str) -> dict[str, int | float]:
    """Return the settings that a file or node holds, by the names of :class:`DetectionSettings`.

    Parameters
    ----------
    source
        File name, or ``cv2.FileNode``.
    name
        What the field ``name`` must be, if there is one.

    Raises
    ------
    cv2.error
        If it cannot be read, or holds none.
    """
    if isinstance(source, cv2.FileNode):
        values = _read_fields(source, name)
    else:
        try:
            file = cv2.FileStorage(str(source), cv2.FILE_STORAGE_READ)
            opened = file.isOpened()
        except (cv2.error, SystemError):  # the latter, from OpenCV's bindings, for no YAML at all
            opened = False
        if not opened:
            raise bad_argument("read", f"cannot read {source}", cv2.Error.StsError)
        values = _read_fields(file.root(), name)
        file.release()
    if not values:
        raise bad_argument("read", f"{source} holds no parameters of SuperPoint")
    return values


def _read_fields(node: cv2.FileNode, name: str) -> dict[str, int | float]:
    written_by = node.getNode("name").string() if not node.getNode("name").empty() else name
    if written_by != name:
        raise bad_argument("read", f"these are parameters of {written_by!r}, not of {name!r}")
    values: dict[str, int | float] = {}
    for field in fields(DetectionSettings):
        child = node.getNode(_KEYS[field.name])
        if not child.empty():
            number = child.real()
            values[field.name] = number if isinstance(field.default, float) else int(number)
    return values

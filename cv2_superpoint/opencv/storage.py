"""Flat records in ``cv2.FileStorage``: the same fields in files and in nodes of open storages."""

from __future__ import annotations

from typing import Any

import cv2

from .errors import bad_argument

Record = dict[str, str | int | float]


def write(target: Any, node: str | None, record: Record, function: str) -> None:
    """Write a record to a file or an open storage.

    Parameters
    ----------
    target
        File name, or ``cv2.FileStorage`` open for writing.
    node
        Map to make in an open storage; None: write where it stands. (OpenCV 5.0 allows no dot
        in it, which is what breaks the ``save`` of its own features.)
    record
        To write.
    function
        Named in errors.

    Raises
    ------
    cv2.error
        If the file cannot be written.
    """
    if isinstance(target, cv2.FileStorage):
        if node:
            target.startWriteStruct(node, cv2.FILE_NODE_MAP)
        _write_fields(target, record)
        if node:
            target.endWriteStruct()
        return
    file = cv2.FileStorage(str(target), cv2.FILE_STORAGE_WRITE)
    if not file.isOpened():
        raise bad_argument(function, f"cannot write {target}", cv2.Error.StsError)
    _write_fields(file, record)
    file.release()


def _write_fields(storage: cv2.FileStorage, record: Record) -> None:
    for name, value in record.items():
        storage.write(name, value)


def read(source: Any) -> Record:
    """Return the record that a file or node holds.

    Parameters
    ----------
    source
        File name, or ``cv2.FileNode``.

    Raises
    ------
    cv2.error
        If it cannot be read.
    """
    if isinstance(source, cv2.FileNode):
        return _read_fields(source)
    try:
        file = cv2.FileStorage(str(source), cv2.FILE_STORAGE_READ)
        opened = file.isOpened()
    except (cv2.error, SystemError):  # the latter, from OpenCV's bindings, for no YAML at all
        opened = False
    if not opened:
        raise bad_argument("read", f"cannot read {source}", cv2.Error.StsError)
    record = _read_fields(file.root())
    file.release()
    return record


def _read_fields(node: cv2.FileNode) -> Record:
    record: Record = {}
    for name in node.keys() if node.isMap() else ():
        child = node.getNode(name)
        if child.isString():
            record[name] = child.string()
        elif child.isInt():
            record[name] = int(child.real())
        elif child.isReal():
            record[name] = child.real()
    return record

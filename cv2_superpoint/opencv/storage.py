"""Flat records in ``cv2.FileStorage``: the same fields in files and in nodes of open storages.

OpenCV only formats and parses; files are opened here. Its own writing reports no full disk, and
names that are not UTF-8, like records nested too deep, crash it.
"""

from __future__ import annotations

import gzip
import io
import os
import re
import zlib
from collections.abc import Iterable
from typing import Any

import cv2

from ..files import write_atomically
from .errors import bad_argument

Record = dict[str, str | int | float]

_FORMATS = {
    ".xml": cv2.FILE_STORAGE_FORMAT_XML,
    ".json": cv2.FILE_STORAGE_FORMAT_JSON,
}
"""By the suffix, without ``.gz``; everything else is YAML, as for OpenCV."""

_MOST_BYTES = 1 << 20
_MOST_OPENINGS = 1000
"""Of maps, lists, elements, so that they are nested no deeper; OpenCV's parser recurses."""


def write(target: Any, node: str | None, record: Record, function: str) -> None:
    """Write a record to a file or an open storage.

    Parameters
    ----------
    target
        File name, whose suffix determines the format (``.yml``, ``.xml``, ``.json``, each with or
        without ``.gz``); or a ``cv2.FileStorage`` open for writing.
    node
        Map to make in an open storage; None: write at its current position. (OpenCV 5.0 allows no
        dot in the name, which breaks the ``save`` of its own features.)
    record
        To write.
    function
        Named in errors.

    Raises
    ------
    cv2.error
        If the file cannot be written. What was there before stays.
    """
    if isinstance(target, cv2.FileStorage):
        if node:
            _check_node(node, function)
            target.startWriteStruct(node, cv2.FILE_NODE_MAP)
        _write_fields(target, record)
        if node:
            target.endWriteStruct()
        return
    path = _file_name(target, function)
    try:
        write_atomically(path, _format(record, path))
    except OSError as error:
        raise bad_argument(
            function, f"cannot write {path!r}: {error.strerror}", cv2.Error.StsError
        ) from error


def _format(record: Record, path: str) -> bytes:
    """Return the content for a file of that name."""
    suffix = os.path.splitext(path.removesuffix(".gz"))[1].lower()
    kind = _FORMATS.get(suffix, cv2.FILE_STORAGE_FORMAT_YAML)
    storage = cv2.FileStorage("", cv2.FILE_STORAGE_WRITE | cv2.FILE_STORAGE_MEMORY | kind)
    _write_fields(storage, record)
    content: bytes = storage.releaseAndGetString().encode()
    return gzip.compress(content, mtime=0) if path.endswith(".gz") else content


def _write_fields(storage: cv2.FileStorage, record: Record) -> None:
    for name, value in record.items():
        storage.write(name, value)


def read(source: Any, fields: Iterable[str]) -> Record:
    """Return those fields of a record that a file or node holds.

    Parameters
    ----------
    source
        File name, or ``cv2.FileNode``.
    fields
        Their names.

    Raises
    ------
    cv2.error
        If it cannot be read. Also if a field of a file is ``true`` or ``false``, which OpenCV turns
        into 1 and 0; in a node they can no longer be told from numbers. Also for a whole number
        beyond 32 bits.
    """
    if isinstance(source, cv2.FileNode):
        return _read_fields(source, fields)
    path = _file_name(source, "read")
    try:
        content = _content(path)
    except (OSError, EOFError, ValueError, zlib.error) as error:
        reason = getattr(error, "strerror", None) or error
        raise bad_argument("read", f"cannot read {path!r}: {reason}", cv2.Error.StsError) from error
    text = content.decode(errors="replace")
    names = "|".join(map(re.escape, fields))
    if boolean := re.search(rf'(?m)(?:^|[{{,])[ \t]*"?({names})"?\s*:\s*(?:true|false)\b', text):
        raise bad_argument("read", f"{boolean[1]} of {path!r} must be a number, not a boolean")
    for name, number in re.findall(rf'\b({names})["\s]*[:>]\s*([-+]?\d+)(?![\d.eE])', text):
        if abs(float(number)) > 2**31:  # some versions of OpenCV read it modulo 2**32
            message = f"{name} of {path!r} is too large: {number}"
            raise bad_argument("read", message, cv2.Error.StsOutOfRange)
    try:
        storage = cv2.FileStorage(text, cv2.FILE_STORAGE_READ | cv2.FILE_STORAGE_MEMORY)
    except (cv2.error, SystemError) as error:  # the latter, from OpenCV's bindings, for no YAML
        raise bad_argument(
            "read", f"{path!r} is no YAML, XML or JSON that OpenCV reads", cv2.Error.StsError
        ) from error
    return _read_fields(storage.root(), fields)


def _content(path: str) -> bytes:
    """Return what is in a file, compressed or not."""
    with open(path, "rb") as stream:
        content = stream.read(_MOST_BYTES + 1)
    if content.startswith(b"\x1f\x8b"):
        content = gzip.GzipFile(fileobj=io.BytesIO(content)).read(_MOST_BYTES + 1)
    if len(content) > _MOST_BYTES or sum(map(content.count, b"[{<:-")) > _MOST_OPENINGS:
        raise ValueError("there is more in it than a record of parameters")
    if b"\0" in content:
        raise ValueError("it is no text")
    if b"binary" in content or b"$base64$" in content:  # where OpenCV may wait for an end forever
        raise ValueError("there is data in base64 in it")
    return content


def _read_fields(node: cv2.FileNode, fields: Iterable[str]) -> Record:
    record: Record = {}
    present = node.keys() if node.isMap() else ()
    for name in fields:
        if name not in present:
            continue
        child = node.getNode(name)
        if child.isString():
            try:
                record[name] = child.string()
            except UnicodeDecodeError as error:
                raise bad_argument("read", f"{name} is no text: {error}") from error
        elif child.isInt():
            record[name] = int(child.real())
        elif child.isReal():
            record[name] = child.real()
    return record


def _file_name(value: Any, function: str) -> str:
    try:
        return os.fsdecode(value)
    except TypeError:
        got = type(value).__name__
        raise bad_argument(function, f"a file must be given by its name, not by {got}") from None


def _check_node(name: Any, function: str) -> None:
    try:
        valid = b"\0" not in str.encode(name)
    except (TypeError, ValueError):
        valid = False
    if not valid:
        raise bad_argument(function, f"{name!r} cannot be the name of a node")

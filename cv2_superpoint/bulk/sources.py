"""Where images come from: folders, globs, archives, videos, single files.

Folders and archives are listed as they are needed, so a million images take no more memory than
ten. What matches a pattern is listed at once.
"""

from __future__ import annotations

import glob
import os
import posixpath
import re
import tarfile
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

from .errors import BulkError

_IMAGE = re.compile(r"\.(bmp|jp2|jpe?g|jpe|p[bgnp]m|png|tiff?|webp)$", re.IGNORECASE)
_ARCHIVE = re.compile(r"\.(tar(\.(gz|bz2|xz))?|tgz|tbz2|txz)$", re.IGNORECASE)
_VIDEO = re.compile(r"\.(3gp|avi|m4v|mkv|mov|mp4|mpe?g|mts|webm|wmv)$", re.IGNORECASE)

Data = Path | bytes | npt.NDArray[np.uint8] | Exception


@dataclass(frozen=True)
class Item:
    """An image that is not decoded yet.

    Attributes
    ----------
    name
        In the output: a relative path with ``/``, without ``..``.
    data
        A file, the content of one, ``(H, W, 3)`` uint8 BGR, or why there is none.
    """

    name: str
    data: Data


@dataclass(frozen=True)
class Root:
    """A source in which nothing is left to expand.

    Attributes
    ----------
    label
        What the names of its images begin with; may be empty.
    path
        A folder, an archive, a video, or an image.
    """

    label: str
    path: Path


def find_roots(sources: Sequence[str]) -> list[Root]:
    """Return the folders and files that sources stand for.

    The images of a single folder, archive or video are named relative to it. Those of several
    begin with its own name, so that they can be told apart.

    Parameters
    ----------
    sources
        Paths, and patterns as of ``glob`` (``**`` for any depth), which stand for the images,
        archives and videos that match, by their suffixes.

    Raises
    ------
    BulkError
        If there is no such file, no file matches a pattern, or two sources have one name.
    """
    alone = len(sources) == 1
    roots: list[Root] = []
    for source in sources:
        path = Path(source)
        if path.exists():
            unnamed = alone and not _is_image(path.name)
            name = _name(path) if path.is_dir() else _label(_name(path))
            roots.append(Root("" if unnamed else name, path))
        elif glob.has_magic(source):
            fixed = _fixed_part(source)
            prefix = "" if alone else _name(fixed)
            found = list(map(Path, filter(_is_known, glob.iglob(source, recursive=True))))
            if not found:
                raise BulkError(f"no image, archive or video matches {source}")
            names = (os.path.relpath(p, fixed).replace(os.sep, "/") for p in found)
            labels = (_label(posixpath.join(prefix, name)) for name in names)
            roots += map(Root, labels, found)
        else:
            raise BulkError(f"there is no {source}")
    [(label, count)] = Counter(root.label for root in roots).most_common(1)
    if count > 1:
        raise BulkError(f"{count} sources are called {label}: name a folder above them instead")
    return roots


def list_items(roots: Iterable[Root], every: int = 1) -> Iterator[Item]:
    """Yield the images of sources, in the order in which they lie there.

    Parameters
    ----------
    roots
        As :func:`find_roots` returns them.
    every
        Of a video, take only every so many frames.

    Raises
    ------
    BulkError, OSError
        If a folder cannot be listed, or OpenCV cannot be given the name of a video.
    """
    for root in roots:
        for name, data in _contents(root.path, every):
            yield Item(_clean(f"{root.label}/{_clean(name)}") or _clean(root.path.name), data)


def count_items(roots: Iterable[Root], every: int = 1) -> int:
    """Count the images of sources without decoding them; of videos, as many as they claim."""
    return sum(_count(root.path, every) for root in roots)


def _contents(path: Path, every: int) -> Iterator[tuple[str, Data]]:
    """Yield names below a root, empty for the root itself, and the data of each."""
    if path.is_dir():
        for file in _walk(path):
            yield file.relative_to(path).as_posix(), file
    elif _is_archive(path.name):
        yield from _members(path)
    elif _is_image(path.name):
        yield "", path
    else:
        yield from _frames(path, every)


def _count(path: Path, every: int) -> int:
    if path.is_dir():
        return sum(1 for _ in _walk(path))
    if _is_archive(path.name):
        return sum(1 for _ in _members(path, read=False))
    if _is_image(path.name):
        return 1
    frames = int(_open_video(path).get(cv2.CAP_PROP_FRAME_COUNT))
    return max(0, -(-frames // every))


def _walk(folder: Path) -> Iterator[Path]:
    """Yield the image files below a folder; links to folders may be loops, and are left out."""
    with os.scandir(folder) as entries:
        for entry in entries:
            if entry.is_dir(follow_symlinks=False):
                yield from _walk(Path(entry.path))
            elif _is_image(entry.name):
                yield Path(entry.path)


class _Member(tarfile.TarInfo):
    """An entry of an archive. Damaged ones are errors; tarfile takes them for the end."""

    @classmethod
    def frombuf(cls, buf: bytes | bytearray, encoding: str, errors: str) -> _Member:
        try:
            return super().frombuf(buf, encoding, errors)
        except (tarfile.InvalidHeaderError, tarfile.TruncatedHeaderError) as error:  # type: ignore[attr-defined]
            raise tarfile.ReadError(str(error)) from error


def _members(path: Path, read: bool = True) -> Iterator[tuple[str, Data]]:
    """Yield the image files in an archive, empty ones if they are not to be read."""
    # Where nothing is compressed, contents that are not to be read can be skipped.
    skip = not read and path.suffix.lower() == ".tar"
    try:
        with tarfile.open(path, "r:*" if skip else "r|*", tarinfo=_Member) as archive:
            while member := archive.next():
                if member.isfile() and _is_image(member.name):
                    stream = archive.extractfile(member) if read else None
                    yield member.name, stream.read() if stream else b""
                archive.members = []  # type: ignore[attr-defined]  # it would remember all
    except (tarfile.TarError, EOFError, OSError) as error:
        if read:
            yield "", OSError(f"the archive is damaged: {error}")


def _frames(path: Path, every: int) -> Iterator[tuple[str, Data]]:
    """Yield the frames of a video, named as ``ffmpeg -i VIDEO %06d.jpg`` would name them."""
    capture = _open_video(path)
    index = 0
    while capture.grab():
        if index % every == 0:
            decoded, frame = capture.retrieve()
            data = np.asarray(frame, np.uint8) if decoded else OSError("a frame is damaged")
            yield f"{index + 1:06d}.jpg", data
        index += 1
    if not index:
        yield "", OSError("neither an image nor a video that OpenCV can decode")


def _open_video(path: Path) -> cv2.VideoCapture:
    try:
        str(path).encode()
    except UnicodeEncodeError as error:  # OpenCV would crash
        raise BulkError(f"OpenCV cannot open a video whose name is not UTF-8: {path}") from error
    return cv2.VideoCapture(str(path))


def _is_image(name: str) -> bool:
    return bool(_IMAGE.search(name))


def _is_known(name: str) -> bool:
    return bool(_IMAGE.search(name) or _ARCHIVE.search(name) or _VIDEO.search(name))


def _is_archive(name: str) -> bool:
    return bool(_ARCHIVE.search(name))


def _name(path: Path) -> str:
    """Return the last part of a path, ``..`` resolved."""
    return os.path.basename(os.path.abspath(path))


def _label(name: str) -> str:
    """Return the name of a file, without the suffix of what holds many images."""
    if _is_image(name):
        return name
    return _ARCHIVE.sub("", name) if _is_archive(name) else posixpath.splitext(name)[0]


def _fixed_part(pattern: str) -> Path:
    """Return the folder above the first part of a pattern that is none."""
    path = Path(pattern)
    while glob.has_magic(str(path)):
        path = path.parent
    return path


def _clean(name: str) -> str:
    """Return a name that stays inside a folder, and that any output can store."""
    inside = posixpath.normpath("/" + name).strip("/")
    return os.fsencode(inside).decode("utf-8", "backslashreplace")

"""Photographs to learn from: any folder or tar of pictures, packed once into one array on disk."""

from __future__ import annotations

import gzip
import hashlib
import json
import logging
import lzma
import tarfile
import zlib
from collections.abc import Iterator
from functools import cached_property
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt
from tqdm import tqdm

from ..files import UserError, write_whole
from ..output import naming

log = logging.getLogger(__name__)

_SUFFIXES = {".jpg", ".jpeg", ".png", ".bmp", ".ppm", ".pgm", ".tif", ".tiff", ".webp"}


_BROKEN_ARCHIVE = (tarfile.TarError, EOFError, gzip.BadGzipFile, zlib.error, lzma.LZMAError)


def _files(source: Path) -> Iterator[tuple[str, bytes]]:
    if source.is_dir():
        for path in sorted(source.rglob("*")):
            if path.suffix.lower() in _SUFFIXES and path.is_file():
                yield str(path.relative_to(source)), path.read_bytes()
    else:
        try:
            with tarfile.open(source) as archive:
                for member in archive:
                    if member.isfile() and Path(member.name).suffix.lower() in _SUFFIXES:
                        stream = archive.extractfile(member)
                        assert stream is not None
                        yield member.name, stream.read()
        except _BROKEN_ARCHIVE as error:
            raise UserError(f"{source} is neither a folder nor a whole tar: {error}") from error


def _decode(data: bytes) -> npt.NDArray[np.uint8] | None:
    """Return the grey of an encoded picture; None if it is broken."""
    try:
        return cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_GRAYSCALE)
    except cv2.error:  # of an empty file, or one that claims to be enormous
        return None


def _fit(image: npt.NDArray[np.uint8], short_side: int, long_side: int) -> npt.NDArray[np.uint8]:
    """Reduce to the short side (never enlarge), then crop the long one in the middle."""
    height, width = image.shape
    scale = short_side / min(height, width)
    if scale < 1:
        size = (round(width * scale), round(height * scale))
        image = cv2.resize(image, size, interpolation=cv2.INTER_AREA)
    height, width = image.shape
    top, left = max(0, height - long_side) // 2, max(0, width - long_side) // 2
    return image[top : top + long_side, left : left + long_side]


def pack(sources: list[Path], out: Path, short_side: int = 256, long_side: int = 352) -> None:
    """Decode all pictures to grey, fit them to a size, and write them as one array.

    Parameters
    ----------
    sources
        Folders (searched to the bottom) and tar files.
    out
        Folder to write ``pixels.bin`` and ``index.json`` to; nothing is done if they exist
        already for these sources.
    short_side, long_side
        Largest sides, in pixels.

    Raises
    ------
    FileNotFoundError
        If a source is missing, or none of them holds a readable picture.
    UserError
        If the folder holds a pack of other sources, or a source is no tar.
    """
    origin = [str(source.resolve()) for source in sources]
    if (out / "index.json").exists():
        packed = json.loads((out / "index.json").read_text())["origin"]
        if packed != origin:
            raise UserError(f"{out} holds the pictures of {packed}, not of {origin}")
        return
    for source in sources:
        if not source.exists():
            raise FileNotFoundError(f"no such folder or tar: {source}")
    out.mkdir(parents=True, exist_ok=True)
    names, sizes, broken = [], [], []
    path = out / "pixels.bin"
    with naming(path), open(path, "wb") as pixels:
        for source in sources:
            for name, data in tqdm(_files(source), desc=f"pack {source.name}", unit="img"):
                image = _decode(data)
                if image is None or min(image.shape) < 64:
                    broken.append(name)
                    continue
                fitted = _fit(image, short_side, long_side)
                pixels.write(np.ascontiguousarray(fitted).tobytes())
                names.append(name)
                sizes.append(fitted.shape)
    if broken:
        log.warning("skipped %d broken or tiny images, such as %s", len(broken), broken[:5])
    if not names:
        raise FileNotFoundError(f"no readable pictures in {', '.join(map(str, sources))}")
    index = json.dumps({"origin": origin, "names": names, "sizes": sizes})
    write_whole(out / "index.json", lambda stream: stream.write(index.encode()))


class ImageStore:
    """The images that :func:`pack` wrote, read from disk as they are asked for.

    Parameters
    ----------
    folder
        Where they were packed.

    Raises
    ------
    UserError
        If they were not.
    """

    def __init__(self, folder: Path) -> None:
        if not (folder / "index.json").exists():
            raise UserError(f"no packed images in {folder}: give --{folder.name} DIR|TAR...")
        index = json.loads((folder / "index.json").read_text())
        self.folder = folder
        self.names: list[str] = index["names"]
        self.sizes = np.array(index["sizes"], np.int64)
        self._offsets = np.concatenate([[0], np.cumsum(self.sizes.prod(1))])
        self._pixels = np.memmap(folder / "pixels.bin", np.uint8, "r")

    @cached_property
    def fingerprint(self) -> str:
        """A short hash of the names and sizes, which tells these images from others."""
        what = json.dumps([self.names, self.sizes.tolist()])
        return hashlib.sha256(what.encode()).hexdigest()[:16]

    def spread(self, count: int) -> list[int]:
        """Return the places of so many images, or of all: far apart, as neighbours are alike."""
        count = min(count, len(self))
        return [i * len(self) // count for i in range(count)]

    def __reduce__(self) -> tuple[type[ImageStore], tuple[Path]]:
        """Open the file again where processes get a pickle: not all of its pixels."""
        return ImageStore, (self.folder,)

    def __len__(self) -> int:
        return len(self.names)

    def __getitem__(self, i: int) -> npt.NDArray[np.uint8]:
        """Return a copy of image i, ``(height, width)`` uint8."""
        return np.array(self._pixels[self._offsets[i] : self._offsets[i + 1]]).reshape(
            self.sizes[i]
        )

"""Outputs: what every format can do, and which one a name means."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any, Protocol

from filelock import FileLock, Timeout

from ..features import Features
from .errors import BulkError

Settings = dict[str, Any]
"""What features depend on, such as the number of keypoints; plain values, by name."""


class Output(Protocol):
    """Where features go. What was committed survives a killed process, and is never cut in two."""

    def __contains__(self, name: str) -> bool:
        """Tell whether the features of an image are there."""

    def write(self, name: str, image_size: tuple[int, int], features: Features) -> None:
        """Add the features of an image that is not there; its size is ``(width, height)``."""

    def commit(self) -> None:
        """Bring everything to the disk."""

    def close(self) -> None:
        """Close it, without what was not committed."""


@contextmanager
def open_output(path: Path, settings: Settings) -> Iterator[Output]:
    """Open an output, new or begun before, so that no other process writes to it.

    Parameters
    ----------
    path
        ``.h5`` is hloc's layout, ``.db`` a COLMAP database, all else a folder of ``.npz``.
    settings
        Must be those that the output was begun with.

    Raises
    ------
    BulkError
        If another process is writing to it, other settings or another program have made it, or a
        package is missing.
    OSError
        If it cannot be written.
    """
    path = path.resolve()  # a link has the lock, and the journal, of its target
    if not path.parent.is_dir():
        raise BulkError(f"there is no folder {path.parent}")
    lock = FileLock(path.with_name(f".{path.name}.lock"), timeout=0)
    try:
        lock.acquire()
    except Timeout as error:
        raise BulkError(f"another run is writing to {path}") from error
    except NotImplementedError as error:
        raise BulkError(f"{path.parent} is on a file system without locks: use another") from error
    try:
        with closing(_open(path, settings)) as output:
            yield output
    finally:
        lock.release()


def _open(path: Path, settings: Settings) -> Output:
    # Imported here: not every format needs every package.
    if path.suffix in (".h5", ".hdf5"):
        from .hdf5 import Hdf5

        return Hdf5(path, settings)
    if path.suffix == ".db":
        from .colmap import ColmapDatabase

        return ColmapDatabase(path, settings)
    from .npz import NpzFolder

    return NpzFolder(path, settings)


def to_text(settings: Settings) -> str:
    """Return settings as an output keeps them."""
    return json.dumps(settings, sort_keys=True)


def check_settings(path: Path, kept: object, settings: Settings) -> None:
    """Compare settings with those kept in an output, None if there are none.

    Raises
    ------
    BulkError
        If they differ.
    """
    try:
        before = json.loads(kept)  # type: ignore[arg-type]
    except (TypeError, ValueError) as error:
        raise BulkError(f"{path} exists, and this command did not write it") from error
    differing = [name for name in settings if before.get(name) != settings[name]]
    if differing:
        had = ", ".join(f"{name} {before.get(name)}" for name in differing)
        raise BulkError(f"{path} was begun with other settings ({had}): give those, or another -o")

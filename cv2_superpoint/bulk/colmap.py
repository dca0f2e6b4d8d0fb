"""Features, cameras and matches as a COLMAP database (https://colmap.github.io/database.html)."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from ..features import Descriptors, Features
from .errors import BulkError
from .geometry import VerifiedPair
from .output import Settings, check_settings, to_text

# What COLMAP 3 and 4 have in common; 4 adds its tables of rigs and frames when it opens the file.
_SCHEMA = """
CREATE TABLE cameras (
    camera_id INTEGER PRIMARY KEY AUTOINCREMENT NOT NULL, model INTEGER NOT NULL,
    width INTEGER NOT NULL, height INTEGER NOT NULL, params BLOB,
    prior_focal_length INTEGER NOT NULL);
CREATE TABLE images (
    image_id INTEGER PRIMARY KEY AUTOINCREMENT NOT NULL, name TEXT NOT NULL UNIQUE,
    camera_id INTEGER NOT NULL REFERENCES cameras(camera_id),
    CONSTRAINT image_id_check CHECK(image_id >= 0 and image_id < 2147483647));
CREATE TABLE keypoints (
    image_id INTEGER PRIMARY KEY NOT NULL REFERENCES images(image_id) ON DELETE CASCADE,
    rows INTEGER NOT NULL, cols INTEGER NOT NULL, data BLOB);
CREATE TABLE descriptors (
    image_id INTEGER PRIMARY KEY NOT NULL REFERENCES images(image_id) ON DELETE CASCADE,
    type INTEGER NOT NULL DEFAULT -1,
    rows INTEGER NOT NULL, cols INTEGER NOT NULL, data BLOB);
CREATE TABLE matches (
    pair_id INTEGER PRIMARY KEY NOT NULL,
    rows INTEGER NOT NULL, cols INTEGER NOT NULL, data BLOB);
CREATE TABLE two_view_geometries (
    pair_id INTEGER PRIMARY KEY NOT NULL,
    rows INTEGER NOT NULL, cols INTEGER NOT NULL, data BLOB, config INTEGER NOT NULL,
    F BLOB, E BLOB, H BLOB, qvec BLOB, tvec BLOB);
"""
_OWN = "cv2_superpoint"  # a table that COLMAP leaves alone
_SIMPLE_RADIAL = 2
_FOCAL = 1.2  # times the longer side: COLMAP's guess, which it then refines
_IMAGES = 2147483647  # as COLMAP numbers pairs


class ColmapDatabase:
    """A COLMAP database.

    COLMAP's pixels have their corner, not their centre, at integers, so 0.5 is added. Descriptors
    are kept as the bytes of their floats, the type of descriptors being undefined: COLMAP reads
    them, but its own matchers are for SIFT.

    Parameters
    ----------
    path, settings
        As for :func:`~cv2_superpoint.bulk.output.open_output`.
        With ``binary``, and with ``single_camera``: whether one camera took all images of one size.
    """

    def __init__(self, path: Path, settings: Settings) -> None:
        self._path, self._settings = path, settings
        with self._naming():
            self._connection = sqlite3.connect(path, isolation_level=None)
            self._begin(settings)

    def _begin(self, settings: Settings) -> None:
        execute = self._connection.execute
        execute("BEGIN IMMEDIATE")
        tables = {name for (name,) in execute("SELECT name FROM sqlite_master")}
        if not tables:
            for statement in _SCHEMA.split(";\n"):
                execute(statement)
            execute(f"CREATE TABLE {_OWN} (settings TEXT)")
            execute(f"INSERT INTO {_OWN} VALUES (?)", [to_text(settings)])
        kept = None
        if not tables or _OWN in tables:
            (kept,) = execute(f"SELECT settings FROM {_OWN}").fetchone()
        check_settings(self._path, kept, settings)

    def __contains__(self, name: str) -> bool:
        return bool(self._find("SELECT 1 FROM images WHERE name = ?", name))

    def write(self, name: str, image_size: tuple[int, int], features: Features) -> None:
        """Add the features of an image, and its camera."""
        assert features.descriptors is not None
        with self._naming():
            camera = self._camera(*image_size)
            image = self._insert("images (name, camera_id)", name, camera)
            self._insert("keypoints", image, *_matrix(features.xy + np.float32(0.5)))
            rows = features.descriptors.view(np.uint8)
            self._insert("descriptors (image_id, rows, cols, data)", image, *_matrix(rows))

    def commit(self) -> None:
        """Bring everything to the disk."""
        with self._naming():
            self._connection.execute("COMMIT")
            self._connection.execute("BEGIN IMMEDIATE")

    def close(self) -> None:
        """Close it, without what was not committed."""
        self._connection.close()

    # Pairs ---------------------------------------------------------------------------------------

    def image_ids(self) -> list[int]:
        """Return the images, in the order of their names."""
        return [i for (i,) in self._connection.execute("SELECT image_id FROM images ORDER BY name")]

    def read(self, image: int) -> tuple[npt.NDArray[np.float32], Descriptors]:
        """Return the keypoints of an image in COLMAP's pixels, ``(N, 2)``, and descriptors."""
        kind: type = np.uint8 if self._settings["binary"] else np.float32
        (xy,) = self._find("SELECT data FROM keypoints WHERE image_id = ?", image)
        query = "SELECT rows, cols, data FROM descriptors WHERE image_id = ?"
        count, width, data = self._find(query, image)
        descriptors: Descriptors = np.frombuffer(data, np.uint8).reshape(count, width).view(kind)
        return np.frombuffer(xy, np.float32).reshape(-1, 2), descriptors

    def is_matched(self, first: int, second: int) -> bool:
        """Tell whether a pair has been written."""
        found = self._find(
            "SELECT 1 FROM two_view_geometries WHERE pair_id = ?", _pair_id(first, second)
        )
        return bool(found)

    def write_pair(self, first: int, second: int, pair: VerifiedPair) -> None:
        """Add the matches of two images, and what is known of their geometry.

        COLMAP keeps a pair with the lower number first, so `first` must be less than `second`.
        """
        key = _pair_id(first, second)
        geometry = [None if m is None else m.astype(np.float64).tobytes() for m in (pair.F, pair.H)]
        with self._naming():
            self._insert("matches", key, *_matrix(pair.matches.astype(np.uint32)))
            self._insert(
                "two_view_geometries (pair_id, rows, cols, data, config, F, H)",
                key,
                *_matrix(pair.inliers.astype(np.uint32)),
                pair.config,
                *geometry,
            )

    # SQL -----------------------------------------------------------------------------------------

    def _camera(self, width: int, height: int) -> int:
        known = None
        if self._settings["single_camera"]:
            size = "SELECT camera_id FROM cameras WHERE width = ? AND height = ?"
            known = self._find(size, width, height)
        if known:
            return int(known[0])
        parameters = np.array([_FOCAL * max(width, height), width / 2, height / 2, 0.0])
        return self._insert(
            "cameras (model, width, height, params, prior_focal_length)",
            *(_SIMPLE_RADIAL, width, height, parameters.tobytes(), 0),
        )

    def _find(self, query: str, *values: Any) -> Any:
        return self._connection.execute(query, values).fetchone()

    def _insert(self, table: str, *values: Any) -> int:
        marks = ", ".join("?" * len(values))
        added = self._connection.execute(f"INSERT INTO {table} VALUES ({marks})", values)
        return int(added.lastrowid or 0)

    @contextmanager
    def _naming(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as error:
            raise BulkError(f"{self._path}: {error}") from error


def _matrix(array: npt.NDArray[Any]) -> tuple[int, int, bytes]:
    return array.shape[0], array.shape[1], array.tobytes()


def _pair_id(first: int, second: int) -> int:
    return first * _IMAGES + second

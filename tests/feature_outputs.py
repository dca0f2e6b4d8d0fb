"""What the command extract wrote, read as its formats say."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import Any

import numpy as np
import pytest

OUTPUTS = ("features.h5", "database.db", "features")


def read_all(path: Path) -> dict[str, list[np.ndarray]]:
    """Return positions and descriptors, a row each, of every image in an output."""
    if path.suffix == ".h5":
        h5py = pytest.importorskip("h5py")
        found: dict[str, list[np.ndarray]] = {}

        def visit(name: str, member: Any) -> None:
            if isinstance(member, h5py.Dataset) and name.endswith("/keypoints"):
                group = member.parent
                found[group.name.strip("/")] = [member[()], group["descriptors"][()].T]

        with h5py.File(path, "r") as file:
            file.visititems(visit)
        return found
    if path.suffix == ".db":
        query = """SELECT name, keypoints.data, descriptors.data, descriptors.cols FROM images
                   JOIN keypoints USING (image_id) JOIN descriptors USING (image_id)"""
        connection = sqlite3.connect(path)
        rows = connection.execute(query).fetchall()
        connection.close()
        return {
            name: [
                np.frombuffer(xy, np.float32).reshape(-1, 2) - 0.5,
                np.frombuffer(descriptors, np.float32).reshape(-1, width // 4),
            ]
            for name, xy, descriptors, width in rows
        }
    files = {p: np.load(p) for p in path.rglob("*.npz")}
    return {
        p.relative_to(path).as_posix()[: -len(".npz")]: [file["xy"], file["descriptors"]]
        for p, file in files.items()
    }


def assert_same(one: dict[str, list[np.ndarray]], other: dict[str, list[np.ndarray]]) -> None:
    assert one.keys() == other.keys()
    for name, arrays in one.items():
        for a, b in zip(arrays, other[name], strict=True):
            np.testing.assert_array_equal(a, b)

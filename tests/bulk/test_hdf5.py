"""The file, read as hloc reads it."""

from __future__ import annotations

import numpy as np
import pytest
from feature_outputs import read_all

h5py = pytest.importorskip("h5py")


def test_hloc_matches_what_it_reads(pictures, extract):
    """As its ``FeaturePairsDataset`` and its ``NearestNeighbor`` do."""
    path = extract(pictures, to="features.h5", options="-n 200 --nlevels 1")
    with h5py.File(path, "r") as file:
        one, other = ({k: v.__array__() for k, v in file[n].items()} for n in ("0.png", "2.png"))
    assert set(one) == {"keypoints", "descriptors", "scores", "image_size"}
    assert tuple(one["image_size"]) == (128, 96)
    count = len(one["keypoints"])
    assert one["keypoints"].shape == (count, 2)
    assert one["descriptors"].shape == (64, count)
    assert one["scores"].shape == (count,)
    similarity = one["descriptors"].T @ other["descriptors"]
    best, back = similarity.argmax(1), similarity.argmax(0)
    mutual = np.flatnonzero(back[best] == np.arange(count))
    moved = one["keypoints"][mutual] - other["keypoints"][best[mutual]]
    right = np.abs(moved - (30, 20)).max(1) < 1.5  # the second picture is cut out further on
    assert right.sum() > 10
    assert right.mean() > 0.5


def test_hlocs_import_makes_colmaps_pixels(pictures, extract):
    """``import_features`` adds 0.5 to what is in the file."""
    path = extract(pictures, to="features.h5")
    database = read_all(extract(pictures, to="database.db"))
    with h5py.File(path, "r") as file:
        for name in ("0.png", "more/5.png"):
            keypoints = file[name]["keypoints"].__array__()
            np.testing.assert_allclose(keypoints + 0.5, database[name][0] + 0.5, atol=1e-4)
    assert set(database) == set(read_all(path))


def test_binary_descriptors_are_columns_of_bytes(pictures, extract):
    path = extract(pictures, to="features.h5", options="-n 50 --nlevels 1 --binary")
    with h5py.File(path, "r") as file:
        descriptors = file["0.png"]["descriptors"][()]
        assert descriptors.dtype == np.uint8
        assert descriptors.shape == (32, len(file["0.png"]["scores"]))

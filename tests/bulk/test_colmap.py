"""The database, read and reconstructed by COLMAP itself."""

from __future__ import annotations

import itertools
import sqlite3
from pathlib import Path

import cv2
import numpy as np
import pytest

from cv2_superpoint import SuperPoint_create
from cv2_superpoint.bulk.geometry import (
    DEGENERATE,
    PAIRINGS,
    PLANAR_OR_PANORAMIC,
    UNCALIBRATED,
    count_pairs,
    verify_pair,
)

pytest.importorskip("filelock")
pytest.importorskip("tqdm")

EXAMPLES = Path(__file__).parents[2] / "examples"


@pytest.fixture
def room(monkeypatch, tmp_path):
    """Views of a room made of scikit-image's pictures, and where their cameras are."""
    monkeypatch.syspath_prepend(EXAMPLES)
    from room import pose_at, render

    (tmp_path / "views").mkdir()
    poses = [pose_at(angle) for angle in np.linspace(0, 1.2, 10)]
    for i, pose in enumerate(poses):
        cv2.imwrite(str(tmp_path / "views" / f"{i}.png"), render(pose)[0])
    return tmp_path / "views", {f"{i}.png": pose[:3, 3] for i, pose in enumerate(poses)}


def aligned(points: np.ndarray, target: np.ndarray) -> np.ndarray:
    """Return points moved by the similarity that fits them to others best (Umeyama's)."""
    centre, goal = points.mean(0), target.mean(0)
    u, s, vt = np.linalg.svd((target - goal).T @ (points - centre))
    flip = np.diag([1, 1, np.sign(np.linalg.det(u @ vt))])
    scale = np.trace(np.diag(s) @ flip) / ((points - centre) ** 2).sum()
    return scale * (points - centre) @ (u @ flip @ vt).T + goal


def test_colmap_finds_the_cameras(room, extract, tmp_path):
    pycolmap = pytest.importorskip("pycolmap")
    views, true = room
    path = extract(
        views,
        to="database.db",
        options="-n 500 --nlevels 1 --single-camera --match exhaustive",
    )
    (tmp_path / "sparse").mkdir()
    options = pycolmap.IncrementalPipelineOptions()
    options.num_threads = 1
    models = pycolmap.incremental_mapping(path, views, tmp_path / "sparse", options)
    model = max(models.values(), key=lambda model: model.num_reg_images())
    found = {image.name: image.projection_center() for image in model.images.values()}
    assert found.keys() == true.keys()
    centres = np.array(list(true.values()))
    errors = np.linalg.norm(aligned(np.array([found[n] for n in true]), centres) - centres, axis=1)
    assert errors.max() < 0.01 * np.linalg.norm(np.ptp(centres, axis=0))
    assert model.num_points3D() > 300
    (camera,) = model.cameras.values()
    assert camera.params[0] == pytest.approx(300, rel=0.05)  # it was told 480


def test_colmap_reads_what_was_written(pictures, extract):
    pycolmap = pytest.importorskip("pycolmap")
    path = extract(pictures, to="database.db", options="-n 50 --nlevels 1 --match sequential")
    database = pycolmap.Database.open(path)
    try:
        images = {image.name: image for image in database.read_all_images()}
        wanted = SuperPoint_create(50, nlevels=1).extract(cv2.imread(str(pictures / "0.png")))
        image = images["0.png"]
        np.testing.assert_array_equal(database.read_keypoints(image.image_id), wanted.xy + 0.5)
        descriptors = database.read_descriptors(image.image_id)
        assert descriptors.type == pycolmap.FeatureExtractorType.UNDEFINED
        np.testing.assert_array_equal(descriptors.data.view(np.float32), wanted.descriptors)
        camera = database.read_camera(image.camera_id)
        assert (camera.width, camera.height) == (128, 96)
        assert camera.model_name == "SIMPLE_RADIAL"
        assert database.num_cameras() == len(images) == 8
        assert database.num_matched_image_pairs() == 28
        ids = image.image_id, images["2.png"].image_id
        assert len(database.read_matches(*ids)) > 5
        assert database.read_two_view_geometry(*ids).config in (
            DEGENERATE, UNCALIBRATED, PLANAR_OR_PANORAMIC,
        )  # fmt: skip
    finally:
        database.close()


def test_matching_goes_on_where_it_stopped(pictures, extract, capsys):
    options = "-n 50 --nlevels 1 --single-camera --match"
    path = extract(pictures, to="database.db", options=f"{options} exhaustive")
    connection = sqlite3.connect(path)
    before = connection.execute("SELECT * FROM two_view_geometries").fetchall()
    connection.execute("DELETE FROM matches WHERE pair_id % 3 = 0")
    connection.execute("DELETE FROM two_view_geometries WHERE pair_id % 3 = 0")
    connection.commit()
    assert connection.execute("SELECT count(*) FROM cameras").fetchone() == (2,)
    capsys.readouterr()
    extract(pictures, to="database.db", options=f"{options} exhaustive")
    after = connection.execute("SELECT * FROM two_view_geometries").fetchall()
    connection.close()
    assert after == before
    assert len(after) == 28
    assert "28 pairs" not in capsys.readouterr().out


@pytest.mark.parametrize("pairing", PAIRINGS)
@pytest.mark.parametrize("count", [0, 1, 2, 9, 12, 150])
def test_pairs(pairing, count):
    pairs = [frozenset(pair) for pair in PAIRINGS[pairing](range(count))]
    assert len(pairs) == len(set(pairs)) == count_pairs(pairing, count)
    assert all(len(pair) == 2 for pair in pairs)
    if pairing == "sequential":
        assert all(max(pair) - min(pair) <= 10 for pair in pairs)


def seen(points: np.ndarray, turn: float, move: tuple[float, float, float]) -> np.ndarray:
    """Return points seen by a camera, in pixels."""
    points = points @ cv2.Rodrigues(np.array([0, turn, 0.0]))[0].T + move
    return np.float32(points[:, :2] / points[:, 2:] * 300 + 200)


@pytest.mark.parametrize(
    ("depth", "config"), [(3.0, UNCALIBRATED), (0.0, PLANAR_OR_PANORAMIC), (None, DEGENERATE)]
)
def test_geometry(depth, config):
    draw = np.random.default_rng(0)
    points = draw.uniform(-1, 1, (200, 3)) * (2, 2, depth or 0) + (0, 0, 8)
    rows = draw.normal(size=(200, 16)).astype(np.float32)
    first, second = seen(points, 0, (0, 0, 0)), seen(points, 0.1, (-1, 0.1, 0.3))
    second[:60] = draw.uniform(0, 400, (60, 2))  # wrong matches
    if depth is None:
        first, second, rows = (array[:14] for array in (first, second, rows))
    found = verify_pair((first, rows), (second, rows), cv2.NORM_L2)
    assert found.config == config
    assert len(found.matches) == len(rows)
    if config == DEGENERATE:
        assert not len(found.inliers)
        return
    right = set(map(tuple, found.inliers)) & {(i, i) for i in range(60, 200)}
    assert len(right) > 130
    assert len(right) > 0.93 * len(found.inliers)
    assert (found.F is None) == (config == PLANAR_OR_PANORAMIC) != (found.H is None)


@pytest.mark.parametrize("binary", [False, True])
def test_pictures_of_different_things_are_not_related(photographs, binary):
    """Though several hundred of their descriptors are each other's nearest neighbours."""
    kind = cv2.CV_8U if binary else cv2.CV_32F
    detector = SuperPoint_create(1000, nlevels=3, descriptorType=kind, device="cpu")
    names = ("astronaut", "camera", "chelsea", "coffee")
    features = [detector.extract(photographs[name]) for name in names]
    for one, other in itertools.combinations(features, 2):
        pair = (one.xy, one.descriptors), (other.xy, other.descriptors)
        assert verify_pair(*pair, detector.defaultNorm()).config == DEGENERATE
    turned = detector.extract(np.ascontiguousarray(np.rot90(photographs["camera"])[40:]))
    pair = (features[1].xy, features[1].descriptors), (turned.xy, turned.descriptors)
    assert verify_pair(*pair, detector.defaultNorm()).config == PLANAR_OR_PANORAMIC


def test_no_features_no_geometry():
    none = np.empty((0, 2), np.float32), np.empty((0, 64), np.float32)
    assert verify_pair(none, none, cv2.NORM_L2).config == DEGENERATE

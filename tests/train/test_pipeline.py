"""The whole pipeline, from nothing to weights that load, with the smoke preset."""

from __future__ import annotations

import logging
import pickle
import tarfile

import cv2
import numpy as np
import pytest
import torch
from skimage import data

from cv2_superpoint import SuperPoint
from cv2_superpoint.model.weights import FOLDER, load
from train.data.images import ImageStore, pack
from train.files import UserError
from train.labels.adaptation import read_labels
from train.learn import checkpoints
from train.options import parse
from train.pipeline import run


@pytest.fixture(scope="module")
def photographs(tmp_path_factory):
    folder = tmp_path_factory.mktemp("photographs")
    for name in ("camera", "coins", "brick", "grass", "moon"):
        cv2.imwrite(str(folder / f"{name}.png"), getattr(data, name)())
    (folder / "broken.jpg").write_bytes(b"no picture")
    return folder


@pytest.fixture(scope="module")
def sequences(tmp_path_factory):
    """One pair in HPatches' format."""
    folder = tmp_path_factory.mktemp("sequences")
    homography = np.array([[1.05, 0.08, -20], [-0.06, 0.98, 25], [1e-5, 2e-5, 1]])
    (folder / "v_camera").mkdir()
    first = data.camera()
    second = cv2.warpPerspective(first, homography, first.shape[::-1])
    for i, image in enumerate((first, second), 1):
        cv2.imwrite(str(folder / f"v_camera/{i}.png"), image)
    np.savetxt(folder / "v_camera/H_1_2", homography)
    return folder


def _run(*arguments):
    """Run ``python -m train`` within this process, which need not load everything anew."""
    run(parse([*map(str, arguments), "--preset", "smoke"]))


def test_from_shapes_to_weights_that_load(photographs, sequences, tmp_path, caplog):
    with caplog.at_level(logging.INFO):
        _run("all", "--out", tmp_path, "--images", photographs, "--sequences", sequences)
    assert "skipped 1 broken or tiny images, such as ['broken.jpg']" in caplog.text
    detector = SuperPoint.create(weights=tmp_path / "superpoint-lite.safetensors")
    keypoints, descriptors = detector.detectAndCompute(data.camera(), None)
    assert len(keypoints) == len(descriptors) > 0

    card = (tmp_path / "MODEL_CARD.md").read_text()
    for stage in ("magicpoint", "labels1", "retrain1", "labels2", "joint"):
        assert f"\n| {stage} |" in card
    metrics = load(tmp_path / "superpoint-lite.safetensors").metadata["metrics"]
    for method in ("ORB", "SIFT", "SuperPoint", "SuperPoint[nlevels=1]"):
        values = metrics["methods"][method]
        assert f"| {method} | {values['H@1']:.3f} | {values['H@3']:.3f} |" in card
    assert metrics["methods"]["SIFT"]["H@3"] == 1
    for picture in ("labels1", "adaptation1", "labels2", "adaptation2", "matches"):
        assert cv2.imread(str(tmp_path / f"{picture}.png")) is not None

    with caplog.at_level(logging.INFO):
        _run("all", "--out", tmp_path, "--joint_fit.iterations", 4)
    assert "joint resumes from iteration 3" in caplog.text


def test_the_shipped_network_widened_goes_on_to_learn(photographs, tmp_path):
    arguments = ("--out", tmp_path, "--rounds", 1, "--model", "superpoint")
    shipped = ("--init", "shipped", "--model", "superpoint-lite")
    steps = [
        ("adapt", *shipped, "--images", photographs),
        ("widen", "--init", FOLDER / "superpoint-lite.safetensors"),
        ("joint", "--init", tmp_path / "widened.ckpt"),
        ("export",),
    ]
    for stage, *rest in steps:
        _run(stage, *arguments, *rest)
    assert "Fine-tuned from `widened.ckpt`" in (tmp_path / "MODEL_CARD.md").read_text()
    assert load(tmp_path / "superpoint.safetensors").network.architecture.head_width == 256
    with pytest.raises(UserError, match="needs --init"):
        _run("widen", *arguments)


def test_a_narrow_network_learns_from_a_wide_one(photographs, tmp_path):
    arguments = ("--out", tmp_path, "--rounds", 1, "--init", "shipped")
    _run("adapt", *arguments, "--images", photographs)
    _run("joint", *arguments, "--teacher", FOLDER / "superpoint.safetensors")
    _run("export", *arguments)
    card = (tmp_path / "MODEL_CARD.md").read_text()
    assert "taught by `superpoint.safetensors`" in card
    assert "taught_detector" in card
    (tmp_path / "joint.ckpt").unlink()
    wide = ("--out", tmp_path, "--rounds", 1, "--init", "shipped", "--model", "superpoint")
    with pytest.raises(UserError, match="too few for 256"):
        _run("joint", *wide, "--teacher", FOLDER / "superpoint-lite.safetensors")


def test_large_photographs_are_labelled_and_learnt_from(photographs, tmp_path):
    large = tmp_path / "photographs"
    large.mkdir()
    cv2.imwrite(str(large / "camera.png"), data.camera())
    arguments = ("--out", tmp_path, "--init", "shipped", "--rounds", 1, "--joint.large_share", 0.5)
    with pytest.raises(UserError, match="--large"):
        _run("joint", *arguments, "--images", photographs)
    _run("all", *arguments, "--images", photographs, "--large", large)
    levels = np.concatenate(
        read_labels(tmp_path / "labels1-large.npz", ImageStore(tmp_path / "large"))
    )[:, 2]
    assert set(levels) == {0, 1, 2}  # 512, 362 and 256 pixels
    card = (tmp_path / "MODEL_CARD.md").read_text()
    assert "\n| labels1-large | 1 |" in card
    assert "and 1 of up to 840 pixels" in card


def test_labels_are_by_the_running_mean(photographs, tmp_path):
    _run("magicpoint", "--out", tmp_path, "--magicpoint.ema", 0.5)
    state = torch.load(tmp_path / "magicpoint.ckpt", weights_only=True)
    mean = checkpoints.trained_network(state)
    assert checkpoints.fingerprint(mean) != checkpoints.fingerprint(
        checkpoints.trained_network(state | {"mean": None})
    )
    _run("adapt", "--out", tmp_path, "--images", photographs)
    with np.load(tmp_path / "labels1.npz") as labels:
        assert str(labels["source"]).startswith(checkpoints.fingerprint(mean))


def test_images_that_stand_for_many_lie_far_apart(photographs, tmp_path):
    pack([photographs], tmp_path / "out")
    store = ImageStore(tmp_path / "out")
    assert store.spread(len(store) + 5) == list(range(len(store)))
    assert store.spread(2) == [0, len(store) // 2]


def test_an_empty_folder_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match="no readable pictures"):
        pack([tmp_path], tmp_path / "out")


def test_pack_reads_tars_and_keeps_pixels(photographs, tmp_path):
    with tarfile.open(tmp_path / "images.tar", "w") as archive:
        archive.add(photographs / "coins.png", "coins.png")
    pack([tmp_path / "images.tar"], tmp_path / "out", short_side=1000, long_side=1000)
    store = ImageStore(tmp_path / "out")
    assert store.names == ["coins.png"]
    assert np.array_equal(store[0], data.coins())
    pickled = pickle.dumps(store)
    assert len(pickled) < 1000  # a path, for the loader's workers
    assert np.array_equal(pickle.loads(pickled)[0], data.coins())
    with pytest.raises(UserError, match="holds the pictures of"):
        pack([photographs], tmp_path / "out")

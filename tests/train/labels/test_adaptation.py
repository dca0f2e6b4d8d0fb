"""Homographic Adaptation: the average itself, and labels that are resumed and never mixed up."""

from __future__ import annotations

import contextlib
import shutil
import signal
from dataclasses import replace
from types import SimpleNamespace

import cv2
import numpy as np
import pytest
import torch
from lightning_fabric import Fabric
from skimage import data

from cv2_superpoint.model.network import Architecture, SuperPointNet
from train.data.images import ImageStore, pack
from train.deadline import TimeUp
from train.files import UserError
from train.labels import adaptation
from train.labels.adaptation import (
    adapted_heat_map,
    label_images,
    pseudo_labels,
    read_labels,
)
from train.settings import AdaptationSettings

SETTINGS = AdaptationSettings(images=5, copies=2, threshold=0.0, nms_radius=4, max_points=20)


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    folder = tmp_path_factory.mktemp("store")
    for i in range(5):
        picture = data.camera()[64 * i : 64 * i + 72, 100:196]
        cv2.imwrite(str(folder / f"{i}.png"), picture)
    pack([folder], folder / "packed")
    return ImageStore(folder / "packed")


@pytest.fixture
def network():
    torch.manual_seed(3)
    return SuperPointNet(Architecture((2, 3, 4, 5), head_width=6, descriptor_dim=7))


@pytest.fixture(scope="module")
def fabric():
    return Fabric(accelerator="cpu", devices=1)


def test_a_point_seen_in_every_copy_keeps_its_place_and_its_heat():
    """Copies shifted by whole pixels, and a detector that finds the one bright pixel."""

    def detect(images):
        cells = torch.nn.functional.pixel_unshuffle(images, 8)
        return torch.cat([20 * cells, torch.full_like(cells[:, :1], 10.0)], dim=1)

    image = torch.zeros(1, 1, 48, 64)
    image[0, 0, 21, 30] = 1
    shifts = [(0, 0), (3, 0), (-5, 2), (1, 6)]
    homographies = torch.eye(3).repeat(len(shifts), 1, 1)
    homographies[:, :2, 2] = torch.tensor(shifts, dtype=torch.float32)
    heat = adapted_heat_map(detect, image, homographies)
    alone = adapted_heat_map(detect, image, homographies[:1])
    assert (int(heat.argmax()) // 64, int(heat.argmax()) % 64) == (21, 30)
    assert float(heat.max()) == pytest.approx(float(alone.max()), rel=1e-5)


def test_points_along_straight_edges_are_no_labels():
    """A detector that finds the whole outline of a square."""
    square = np.zeros((96, 96), np.uint8)
    square[24:72, 24:72] = 255

    def detect(images):
        outline = images - torch.nn.functional.avg_pool2d(images, 3, 1, 1)
        cells = torch.nn.functional.pixel_unshuffle(outline.clamp_min(0), 8)
        return torch.cat([20 * cells, torch.full_like(cells[:, :1], 4.0)], dim=1)

    settings = replace(SETTINGS, copies=1, threshold=0.1, nms_radius=1, max_points=0)
    found = pseudo_labels(detect, square, settings, torch.device("cpu"))
    corners = np.float32([(x, y) for x in (24, 71) for y in (24, 71)])
    apart = np.abs(found[:, None] - corners).max(2)
    assert (apart.min(0) < 2).all()  # every corner is there
    assert apart.min(1).max() < 6  # and nothing else


def test_labelling_goes_on_where_it_stopped(store, network, fabric, tmp_path, monkeypatch):
    monkeypatch.setattr(adaptation, "CHUNK", 2)
    label, done = adaptation.pseudo_labels, []

    def fail_at_the_fourth(*arguments):
        if len(done) == 3:
            raise KeyboardInterrupt
        done.append(1)
        return label(*arguments)

    monkeypatch.setattr(adaptation, "pseudo_labels", fail_at_the_fourth)
    with pytest.raises(KeyboardInterrupt):
        label_images(fabric, network, store, SETTINGS, tmp_path / "labels.npz")
    assert [p.name for p in tmp_path.iterdir()] == ["labels.000000-000002.npz"]

    counted = []
    monkeypatch.setattr(adaptation, "pseudo_labels", lambda *a: (counted.append(1), label(*a))[1])
    label_images(fabric, network, store, SETTINGS, tmp_path / "labels.npz")
    assert len(counted) == 3  # the first two were there
    assert [p.name for p in tmp_path.iterdir()] == ["labels.npz"]
    points = read_labels(tmp_path / "labels.npz", store)
    assert len(points) == 5
    for i, found in enumerate(points):
        height, width = store[i].shape
        assert 0 < len(found) <= 20
        assert ((found >= 0) & (found <= [width - 1, height - 1, 0])).all()

    label_images(fabric, network, store, SETTINGS, tmp_path / "labels.npz")
    assert len(counted) == 3  # nothing is done twice


def test_ctrl_c_waits_for_the_image(store, network, fabric, tmp_path, monkeypatch):
    monkeypatch.setattr(adaptation, "CHUNK", 2)
    label, done = adaptation.pseudo_labels, []

    def interrupt_the_third(*arguments):
        if len(done) == 2:
            signal.raise_signal(signal.SIGINT)
        points = label(*arguments)
        done.append(1)
        return points

    monkeypatch.setattr(adaptation, "pseudo_labels", interrupt_the_third)
    with pytest.raises(KeyboardInterrupt):
        label_images(fabric, network, store, SETTINGS, tmp_path / "labels.npz")
    assert len(done) == 3
    assert [p.name for p in tmp_path.iterdir()] == ["labels.000000-000002.npz"]


def test_a_process_stops_with_another_whose_time_is_up(store, network, tmp_path, monkeypatch):
    monkeypatch.setattr(adaptation, "CHUNK", 2)
    device, nothing = torch.device("cpu"), contextlib.nullcontext
    first_of_two = SimpleNamespace(
        global_rank=0, world_size=2, is_global_zero=True, device=device,
        autocast=nothing, barrier=lambda: None,
    )  # fmt: skip
    with pytest.raises(TimeUp):
        label_images(first_of_two, network, store, SETTINGS, tmp_path / "labels.npz")
    assert sorted(p.name for p in tmp_path.iterdir()) == [
        "labels.000000-000002.npz",
        "labels.000004-000005.npz",
    ]


def test_labels_of_other_weights_are_refused(store, network, fabric, tmp_path):
    label_images(fabric, network, store, SETTINGS, tmp_path / "labels.npz")
    torch.nn.init.zeros_(network.detector[0].conv.bias)
    with pytest.raises(UserError, match="other weights"):
        label_images(fabric, network, store, SETTINGS, tmp_path / "labels.npz")


def test_a_large_photograph_is_labelled_at_every_level_in_its_own_pixels(monkeypatch):
    seen = []

    def corner_of_the_last_pixel(to_logits, image, settings, device):
        seen.append((image.shape, settings.max_points))
        return np.float32([[image.shape[1] - 0.5, image.shape[0] - 0.5]])

    monkeypatch.setattr(adaptation, "pseudo_labels", corner_of_the_last_pixel)
    image = np.zeros((840, 1100), np.uint8)
    found = adaptation.label_levels(None, image, SETTINGS, torch.device("cpu"))
    heights = [shape[0] for shape, _ in seen]
    assert heights == [840, 594, 420, 297, 210]
    assert found[:, 2].tolist() == [0, 1, 2, 3, 4]
    # The lower right corner of the last pixel stays where it is, whatever the size of pixels.
    assert np.allclose(found[:, :2], [1099.5, 839.5], atol=1e-3)
    assert seen[0][1] == round(20 * 840 * 1100 / adaptation.USUAL_AREA)
    assert seen[-1][1] == 20


def test_labels_of_other_images_are_refused(store, network, fabric, tmp_path):
    out, folder = tmp_path / "labels.npz", tmp_path / "images"
    label_images(fabric, network, store, SETTINGS, out)
    shutil.copytree(store.folder, folder)
    assert len(read_labels(out, ImageStore(folder))) == len(store)
    index = folder / "index.json"
    index.write_text(index.read_text().replace(store.names[-1], "other.png"))
    other = ImageStore(folder)
    with pytest.raises(UserError, match="other images"):
        read_labels(out, other)
    with pytest.raises(UserError, match="images"):
        label_images(fabric, network, other, SETTINGS, out)


def test_levels_are_kept_and_files_of_earlier_versions_have_one(store, tmp_path):
    points = np.float32([[1, 2, 0], [3, 4, 3], [5, 6, 1]])
    path = tmp_path / "labels.npz"
    adaptation._write(path, [points[:2], points[2:]], "source", store, 1.0)
    assert [found.tolist() for found in read_labels(path, store)] == [
        points[:2].tolist(),
        points[2:].tolist(),
    ]
    with np.load(path) as data:
        earlier = {key: data[key] for key in data if key not in ("levels", "images")}
    np.savez_compressed(path, **earlier)
    assert np.concatenate(read_labels(path, store)).tolist() == [[1, 2, 0], [3, 4, 0], [5, 6, 0]]

"""What is exported after fine-tuning: weights that load, and a card that tells their origin."""

from __future__ import annotations

import cv2
import pytest
import torch
from jsonargparse import ArgumentParser
from skimage import data

from cv2_superpoint.checkpoint import load
from cv2_superpoint.network import Architecture, SuperPointNet
from train import checkpoints
from train.export import export
from train.images import pack
from train.presets import FOLDER, Settings


@pytest.fixture
def settings():
    parser = ArgumentParser()
    parser.add_class_arguments(Settings)
    chosen = parser.instantiate(parser.parse_path(FOLDER / "smoke.yaml"))
    return Settings(**vars(chosen))


@pytest.mark.parametrize(
    ("init", "norm", "origin", "licence"),
    [
        (None, "before", "Trained from nothing", "Apache-2.0"),
        ("shipped", "none", "Fine-tuned from `shipped`", "Apache-2.0"),
        ("their/weights.pth", "after", "Fine-tuned from `weights.pth`", "that of the weights"),
    ],
)
def test_every_network_that_can_be_trained_is_exported(
    tmp_path, settings, init, norm, origin, licence
):
    cv2.imwrite(str(tmp_path / "camera.png"), data.camera())
    pack([tmp_path], tmp_path / "images")
    network = SuperPointNet(Architecture((2, 3, 4, 5), head_width=6, descriptor_dim=7, norm=norm))
    history = {"hardware": "none", "seconds": 60.0, "losses": {"loss": 1.0}}
    checkpoints.write(tmp_path / "joint.ckpt", network, 3, {}, history)
    weights = export(tmp_path, settings, init, None, None)
    image = torch.rand(1, 1, 16, 24)
    for got, wanted in zip(load(weights).network(image), network.eval()(image), strict=True):
        assert torch.allclose(got, wanted, atol=1e-5)
    card = (tmp_path / "MODEL_CARD.md").read_text()
    assert origin in card
    assert f"| licence | {licence}" in card

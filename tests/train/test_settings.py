"""Every stage of every preset runs, with few small pictures instead of its own numbers."""

from __future__ import annotations

from dataclasses import replace

import cv2
import pytest
import torch
from jsonargparse import ArgumentParser
from lightning_fabric import Fabric
from skimage import data

from cv2_superpoint import SuperPoint
from cv2_superpoint.model.network import ARCHITECTURES, SuperPointNet
from train.data.images import ImageStore, pack
from train.labels.adaptation import label_images
from train.learn import checkpoints, stages
from train.learn.loop import fit
from train.report.export import export
from train.settings import FOLDER, Settings

SMALL = {
    "magicpoint": {"iterations": 2, "batch": 2, "height": 64, "width": 96},
    "retrain": {"iterations": 1, "batch": 2, "height": 64, "width": 96},
    "joint_fit": {"iterations": 2, "batch": 2, "height": 64, "width": 96},
    "adaptation": {"images": 2, "copies": 2},
}


@pytest.mark.parametrize("preset", sorted(path.stem for path in FOLDER.glob("*.yaml")))
def test_every_stage_of_a_preset_runs(preset, tmp_path):
    parser = ArgumentParser(default_config_files=[FOLDER / f"{preset}.yaml"])
    parser.add_class_arguments(Settings)
    small = [f"--{a}.{b}={n}" for a, values in SMALL.items() for b, n in values.items()]
    chosen = parser.instantiate(parser.parse_args([*small, "--workers=0"]))
    settings = Settings(**vars(chosen))
    for name in ("camera", "moon"):
        cv2.imwrite(str(tmp_path / f"{name}.png"), getattr(data, name)()[:120, :160])
    pack([tmp_path], tmp_path / "images")
    store, labels = ImageStore(tmp_path / "images"), tmp_path / "labels1.npz"
    fabric = Fabric(accelerator="cpu", devices=1, precision=settings.precision)
    network = SuperPointNet(replace(ARCHITECTURES[settings.model], norm="before"))

    def learn(stage):
        fit(fabric, network, stage, settings.seed)

    learn(stages.magicpoint(settings, tmp_path / "magicpoint.ckpt"))
    label_images(fabric, network, store, settings.adaptation, labels)
    learn(stages.retrain(store, labels, settings, tmp_path / "retrain1.ckpt"))
    learn(stages.joint(store, labels, settings, tmp_path / "joint.ckpt"))
    history = checkpoints.read(tmp_path / "joint.ckpt")["history"]
    assert history["losses"]["descriptor"] > 0
    assert all(torch.isfinite(torch.tensor(value)) for value in history["losses"].values())
    weights = export(tmp_path, settings, None, None, None)
    size = SuperPoint.create(weights=weights).descriptorSize()
    assert size == network.architecture.descriptor_dim

"""No training step waits for the device: a GPU works while Python prepares what comes next.

No GPU is needed to see it: tensors of the "meta" device have no values that could be read.
"""

from __future__ import annotations

import sys
from dataclasses import replace

import pytest
import torch
from jsonargparse import ArgumentParser
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode

from cv2_superpoint.model.network import Architecture, SuperPointNet
from train.data.datasets import Batch
from train.learn import stages
from train.settings import FOLDER, Settings

META = torch.device("meta")


class _NoErrorChecks(TorchDispatchMode):
    """Fail where linear algebra looks whether it went well."""

    def __torch_dispatch__(self, operation, types, arguments=(), keywords=None):
        assert "check_errors" not in str(operation)
        return operation(*arguments, **(keywords or {}))


class _NoNumbersSent(TorchFunctionMode):
    """Fail where our training sends Python's numbers to the device, and waits until they arrive."""

    def __torch_function__(self, function, types, arguments=(), keywords=None):
        ours = sys._getframe(1).f_globals["__name__"].startswith(("train.", "cv2_superpoint."))
        assert not (ours and function in (torch.tensor, torch.as_tensor))
        return function(*arguments, **(keywords or {}))


@pytest.fixture(scope="module")
def settings():
    parser = ArgumentParser()
    parser.add_class_arguments(Settings)
    chosen = parser.instantiate(parser.parse_path(FOLDER / "smoke.yaml"))
    return Settings(**vars(chosen))


@pytest.mark.parametrize(
    "name", ["magicpoint", "retrain", "info_nce", "hinge", "large", "teacher", "unmatched"]
)
def test_no_step_waits_for_the_device(name, settings, monkeypatch, tmp_path):
    monkeypatch.setattr(stages, "read_labels", lambda path, store: [])
    network = SuperPointNet(Architecture((2, 3, 4, 5), 6, 7, norm="before", detail_stages=2))
    if name == "magicpoint":
        stage = stages.magicpoint(settings, tmp_path)
    elif name == "retrain":
        stage = stages.retrain(None, tmp_path, settings, tmp_path)
    else:
        loss = name if name == "hinge" else "info_nce"
        weight = 0.3 if name == "unmatched" else 1.0
        joint = replace(settings.joint, descriptor_loss=loss, unmatched_weight=weight)
        settings = replace(settings, joint=joint)
        teacher = SuperPointNet(network.architecture).to(META) if name == "teacher" else None
        stage = stages.joint(None, tmp_path, settings, tmp_path, teacher=teacher)
    parts = 2 if name == "large" else 1
    batch = Batch(
        torch.empty(2, 1, 72, 104, dtype=torch.uint8, device=META),
        torch.empty(2, 2, dtype=torch.long, device=META),
        torch.empty(2, 9, 2, device=META),
        torch.empty(2, 9, device=META),
        torch.empty(2, 9, dtype=torch.bool, device=META),
    )
    network.train().to(META)
    with _NoErrorChecks(), _NoNumbersSent():
        losses = stage.losses(network, (batch,) * parts)
        losses["loss"].backward()
    assert all(value.device == META for value in losses.values())

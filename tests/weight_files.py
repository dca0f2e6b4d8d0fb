"""Files of weights to test with."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import safetensors.torch
import torch

from cv2_superpoint.model.network import Architecture, SuperPointNet
from cv2_superpoint.model.weights import Checkpoint

SMALL = Architecture((4, 6, 8, 10), head_width=12, descriptor_dim=256)
State = dict[str, torch.Tensor]


def small(**changes: Any) -> Checkpoint:
    torch.manual_seed(0)
    network = SuperPointNet(replace(SMALL, **changes)).eval()
    for module in network.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            randomise(module)
    return Checkpoint(network, {"training": {"steps": 3}, "metrics": {"mma": 0.5}})


def randomise(norm: torch.nn.BatchNorm2d) -> None:
    for tensor in (norm.weight, norm.bias, norm.running_mean, norm.running_var):
        torch.nn.init.uniform_(tensor, 0.5, 1.5)


WIDTHS = [(1, 64), (64, 64), (64, 64), (64, 64), (64, 128), (128, 128), (128, 128), (128, 128)]
HEADS = [(128, 256, 3), (256, 65, 1), (128, 256, 3), (256, 256, 1)]
LAYERS = [(i, o, 3) for i, o in WIDTHS] + HEADS
"""Channels in and out and kernel of the paper's layers: encoder, detector, descriptor."""


MAGIC_LEAP = [f"conv{stage}{half}" for stage in (1, 2, 3, 4) for half in "ab"] + [
    "convPa",
    "convPb",
    "convDa",
    "convDb",
]


def random_state(names: list[str], norm: bool) -> State:
    random = torch.Generator().manual_seed(2)
    state = {}
    for name, (inputs, width, kernel) in zip(names, LAYERS, strict=True):
        conv = f"{name}.conv" if norm else name
        weight = torch.randn(width, inputs, kernel, kernel, generator=random)
        state[f"{conv}.weight"] = weight * (2 / (inputs * kernel**2)) ** 0.5
        state[f"{conv}.bias"] = torch.randn(width, generator=random) * 0.1
        if norm:
            for part in ("weight", "running_var"):
                state[f"{name}.bn.{part}"] = torch.rand(width, generator=random) + 0.5
            for part in ("bias", "running_mean"):
                state[f"{name}.bn.{part}"] = torch.randn(width, generator=random) * 0.1
            # Small variances make the epsilon matter.
            state[f"{name}.bn.running_var"][:4] = 1e-3
            state[f"{name}.bn.num_batches_tracked"] = torch.tensor(7)
    return state


WRAPPINGS: dict[str, Callable[[State, Path], None]] = {
    "torch.save": torch.save,
    "torch.save before 1.6": lambda state, path: torch.save(
        state, path, _use_new_zipfile_serialization=False
    ),
    "safetensors": safetensors.torch.save_file,
    "in a state_dict": lambda state, path: torch.save({"state_dict": state, "epoch": 3}, path),
    "in a model_state_dict": lambda state, path: torch.save({"model_state_dict": state}, path),
    "with a prefix": lambda state, path: torch.save(
        {f"module.{key}": value for key, value in state.items()}, path
    ),
}


def scale(state: State, factor: float) -> None:
    state.update({key: value * factor for key, value in state.items()})

"""Training checkpoints: written atomically, and read back only where they fit."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from cv2_superpoint.model.network import ARCHITECTURES, Architecture, SuperPointNet
from cv2_superpoint.model.weights import load, load_shipped

from ..files import UserError, write_whole


def write(
    path: Path,
    network: SuperPointNet,
    step: int,
    optimizer: dict[str, Any],
    history: dict[str, Any],
    mean: dict[str, Tensor] | None = None,
) -> None:
    """Write a checkpoint; until it is complete, the one before stays as it is.

    Parameters
    ----------
    path
        The file to replace.
    network
        Being trained.
    step
        Iterations done.
    optimizer
        Its state.
    history
        What the model card tells of the stage: ``hardware``, ``seconds``, last ``losses``, and of
        its run: ``init`` (what was fine-tuned, or None) and ``settings``.
    mean
        Running mean of the network's weights, if there is one.

    Raises
    ------
    OSError
        If it cannot be written, such as on a full disk.
    """
    state = {
        "architecture": network.architecture.to_dict(),
        "network": network.state_dict(),
        "optimizer": optimizer,
        "step": step,
        "history": history,
    }
    if mean:
        state["mean"] = mean
    write_whole(path, lambda stream: torch.save(state, stream))


def read(path: Path) -> dict[str, Any]:
    """Return a checkpoint: what :func:`write` was given, by name.

    Raises
    ------
    UserError
        If there is none, or it is damaged.
    """
    if not path.exists():
        raise UserError(f"{path} is missing: run the stage before this one first")
    try:
        state: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
        Architecture.from_dict(state["architecture"])
    except Exception as error:  # there is nothing that damaged pickles do not raise
        raise UserError(f"{path} is no checkpoint, or only a part of one") from error
    return state


def restore(network: SuperPointNet, path: Path) -> dict[str, Any]:
    """Fill a network from a checkpoint, which is returned.

    Raises
    ------
    UserError
        If there is none, or it is damaged or of another architecture.
    """
    state = read(path)
    if Architecture.from_dict(state["architecture"]) != network.architecture:
        raise UserError(f"{path} is of another architecture: {state['architecture']}")
    network.load_state_dict(state["network"])
    return state


def trained_network(state: dict[str, Any]) -> SuperPointNet:
    """Return what a stage has come to: the running mean of the weights, where one was kept."""
    network = SuperPointNet(Architecture.from_dict(state["architecture"]))
    network.load_state_dict(state.get("mean") or state["network"])
    return network


def load_network(init: str, model: str) -> SuperPointNet:
    """Return the network to fine-tune.

    Parameters
    ----------
    init
        ``"shipped"``, a file of weights, or a checkpoint (``.ckpt``) of this training.
    model
        Name of the architecture, for ``"shipped"``.

    Raises
    ------
    UserError
        If there are no such weights.
    """
    if init.endswith(".ckpt"):
        return trained_network(read(Path(init)))
    try:
        return load_shipped(model).network if init == "shipped" else load(init).network
    except (FileNotFoundError, ValueError) as error:
        raise UserError(str(error)) from error


def model_name(architecture: Architecture) -> str:
    """Return the name of an architecture, however it normalises; ``"custom"`` if it has none."""
    shape = replace(architecture, norm="none", norm_eps=Architecture.norm_eps)
    return next((name for name, known in ARCHITECTURES.items() if known == shape), "custom")


def fingerprint(network: SuperPointNet) -> str:
    """Return a short hash that tells these weights from any others."""
    digest = hashlib.sha256()
    for key, value in network.state_dict().items():
        digest.update(key.encode() + value.cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()[:16]

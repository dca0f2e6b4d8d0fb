"""Training checkpoints: written whole or not at all, and read back only where they fit."""

from __future__ import annotations

import hashlib
import io
from pathlib import Path
from typing import Any

import torch

from cv2_superpoint.files import write_atomically
from cv2_superpoint.model.network import Architecture, SuperPointNet
from cv2_superpoint.model.weights import load, load_shipped

from ..files import UserError


def write(
    path: Path,
    network: SuperPointNet,
    step: int,
    optimizer: dict[str, Any],
    history: dict[str, Any],
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
        What the model card tells of the stage: hardware, seconds, last losses.

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
    content = io.BytesIO()  # to a file, torch.save hides the system's reason of a failure
    torch.save(state, content)
    write_atomically(path, content.getbuffer())


def read(path: Path) -> dict[str, Any]:
    """Return a checkpoint: ``architecture``, ``network``, ``optimizer``, ``step``, ``history``.

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


def initial_network(init: str, model: str) -> SuperPointNet:
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
    try:
        if init == "shipped":
            return load_shipped(model).network
        if not init.endswith(".ckpt"):
            return load(init).network
    except (FileNotFoundError, ValueError) as error:
        raise UserError(str(error)) from error
    state = read(Path(init))
    network = SuperPointNet(Architecture.from_dict(state["architecture"]))
    network.load_state_dict(state["network"])
    return network


def fingerprint(network: SuperPointNet) -> str:
    """Return a short hash that tells these weights from any others."""
    digest = hashlib.sha256()
    for key, value in network.state_dict().items():
        digest.update(key.encode() + value.cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()[:16]

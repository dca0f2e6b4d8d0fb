"""From a training checkpoint to the file of weights that the package loads, and its card."""

from __future__ import annotations

from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from cv2_superpoint.model.network import CELL, SuperPointNet, fold_batch_norm
from cv2_superpoint.model.weights import Checkpoint, load, serialise
from cv2_superpoint.runners.int8 import measure_ranges

from ..data.images import ImageStore
from ..files import UserError, write_whole
from ..learn import checkpoints
from ..learn.alignment import align_descriptors
from ..learn.stages import sample_views
from ..settings import Settings
from . import model_card
from .binary import learn_code
from .shorten import shorten_descriptors


def export(
    out: Path,
    settings: Settings,
    init: str | None,
    sequences: Path | None,
    manifest: Path | None,
    average: bool = False,
    descriptor_size: int | None = None,
) -> Path:
    """Fold batch normalisation, measure, and write ``MODEL.safetensors`` and ``MODEL_CARD.md``.

    On photographs of the run, descriptors are turned so that their first numbers carry the most
    (:func:`shorten_descriptors`), the ranges of activations that int8 needs are measured, and the
    code of binary descriptors is learned (:func:`learn_code`). The file is in half precision.

    What was fine-tuned, and with which settings, is read from the checkpoint.

    MODEL is what the network is, also if what was fine-tuned is not the settings' model; ``custom``
    for an architecture without a name. Normalisation after the activation, of foreign weights,
    can't be folded and stays.

    Parameters
    ----------
    out
        Folder of the run, and of what is written.
    settings
        Of the run, where its checkpoint, of an earlier version, does not hold them. They are kept
        in the file's header, as are the figures measured.
    init
        What was fine-tuned, where the checkpoint does not say; None: nothing.
    sequences
        Folder in HPatches' format to measure on, or None.
    manifest
        CSV of the sources of the training images, for the model card, or None.
    average
        Write the mean of the weights that were trained and of those of `init`, which is often
        better than both (Wortsman et al., arXiv 2109.01903).
    descriptor_size
        How many numbers of the descriptors to keep; by default all.

    Returns
    -------
    Path
        The file of weights.

    Raises
    ------
    UserError
        If there is no checkpoint, or nothing of the same architecture to average it with.
    """
    state = checkpoints.read(out / "joint.ckpt")
    folded = _folded(checkpoints.trained_network(state))
    history = state["history"]
    init = history.get("init", init)
    if average:
        if not init:
            raise UserError("--average: these weights were trained from nothing")
        start = _folded(checkpoints.load_network(init, settings.model))
        if start.architecture != folded.architecture:
            raise UserError("--average: --init is of another architecture than what was trained")
        if history.get("teacher"):  # to whose descriptors those of the start were turned
            views = sample_views(ImageStore(out / "images"), settings)
            align_descriptors(start, folded(views)[1].detach(), views)
        folded = _mean(folded, start)
    extras: dict[str, Any] = {}
    images = _photographs(out / "images")
    if folded.architecture.norm == "none":
        size = descriptor_size or folded.architecture.descriptor_dim
        folded = shorten_descriptors(folded, images, size)
        folded.load_state_dict({k: v.half().float() for k, v in folded.state_dict().items()})
        ranges = measure_ranges(folded, images)
        extras["ranges"] = {path: round(largest, 4) for path, largest in ranges.items()}
    model = checkpoints.model_name(folded.architecture)
    values = {**history.get("settings", asdict(settings)), "model": model}
    training = {"iterations": state["step"], "averaged": average, "settings": values}
    path = out / f"{model}.safetensors"
    extras["training"] = training
    code = learn_code(folded, images)
    _write(path, Checkpoint(folded, extras, code))
    metrics = None
    if sequences is not None:
        metrics = model_card.measure(path, sequences)
        _write(path, Checkpoint(folded, {**extras, "metrics": metrics}, code))
    teacher = history.get("teacher")
    card = model_card.text(
        folded.architecture, values, init, teacher, out, metrics, manifest, average
    )
    write_whole(out / "MODEL_CARD.md", lambda stream: stream.write(card.encode()))
    return path


def add_code(weights: Path, out: Path) -> Path:
    """Learn the code of binary descriptors for a file of weights, and write both to a folder.

    Everything else in the file stays as it is.

    Parameters
    ----------
    weights
        That the package loads.
    out
        Folder of the run, whose photographs the code is learned on, and of what is written.

    Returns
    -------
    Path
        The file that was written, of the name of the old one.

    Raises
    ------
    UserError
        If the file holds no weights.
    """
    try:
        loaded = load(weights)
    except ValueError as error:
        raise UserError(f"--init: {error}") from error
    code = learn_code(loaded.network, _photographs(out / "images"))
    path = out / f"{weights.stem}.safetensors"
    _write(path, replace(loaded, code=code))
    return path


_PHOTOGRAPHS = 64
"""So many are measured on: further ones move neither components nor ranges."""


def _photographs(folder: Path) -> list[Tensor]:
    """Return photographs of the run as the network takes them, cut to whole cells."""
    store = ImageStore(folder)
    found = []
    for i in store.spread(_PHOTOGRAPHS):
        height, width = (side // CELL * CELL for side in store[i].shape)
        found.append(torch.from_numpy(store[i][:height, :width])[None, None].float() / 255)
    return found


def _folded(network: SuperPointNet) -> SuperPointNet:
    network.eval()
    return network if network.architecture.norm == "after" else fold_batch_norm(network)


def _mean(first: SuperPointNet, second: SuperPointNet) -> SuperPointNet:
    mean = SuperPointNet(first.architecture).eval()
    pairs = zip(first.state_dict().items(), second.state_dict().values(), strict=True)
    mean.load_state_dict({key: (a + b) / 2 for (key, a), b in pairs})
    return mean


def _write(path: Path, weights: Checkpoint) -> None:
    write_whole(path, lambda stream: stream.write(serialise(weights, torch.float16)))

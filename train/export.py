"""From a training checkpoint to the file of weights that the package loads."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

from cv2_superpoint.checkpoint import Checkpoint, serialise
from cv2_superpoint.network import Architecture, SuperPointNet, fold_batch_norm

from . import checkpoints
from .files import write_whole
from .presets import Settings


def export(checkpoint: Path, out: Path, settings: Settings) -> Path:
    """Fold batch normalisation and write ``out/MODEL.safetensors``.

    Parameters
    ----------
    checkpoint
        Of the last stage.
    out
        Folder to write to.
    settings
        Of the run; kept in the file's header.

    Returns
    -------
    Path
        The file written.
    """
    state = checkpoints.read(checkpoint)
    network = SuperPointNet(Architecture.from_dict(state["architecture"]))
    network.load_state_dict(state["network"])
    training = {"stage": checkpoint.stem, "iterations": state["step"], "settings": asdict(settings)}
    folded = Checkpoint(fold_batch_norm(network.eval()), {"training": training})
    path = out / f"{settings.model}.safetensors"
    write_whole(path, lambda stream: stream.write(serialise(folded)))
    return path

"""From a training checkpoint to the file of weights that the package loads, and its card."""

from __future__ import annotations

from dataclasses import asdict, replace
from pathlib import Path

from cv2_superpoint.files import write_atomically
from cv2_superpoint.model.network import ARCHITECTURES, Architecture, SuperPointNet, fold_batch_norm
from cv2_superpoint.model.weights import Checkpoint, serialise

from ..files import UserError
from ..learn import checkpoints
from ..settings import Settings
from . import model_card


def export(
    out: Path,
    settings: Settings,
    init: str | None,
    sequences: Path | None,
    manifest: Path | None,
    average: bool = False,
) -> Path:
    """Fold batch normalisation, measure, and write ``MODEL.safetensors`` and ``MODEL_CARD.md``.

    MODEL is what the network is, also if what was fine-tuned is not the settings' model; ``custom``
    for an architecture without a name. Normalisation after the activation, of foreign weights,
    can't be folded and stays.

    Parameters
    ----------
    out
        Folder of the run, and of what is written.
    settings
        Of the run; kept in the file's header, as are the figures measured.
    init
        What was fine-tuned, for the model card; None: nothing.
    sequences
        Folder in HPatches' format to measure on, or None.
    manifest
        CSV of the sources of the training images, for the model card, or None.
    average
        Write the mean of the weights that were trained and of those of `init`, which is often
        better than both (Wortsman et al., arXiv 2109.01903).

    Returns
    -------
    Path
        The file of weights.

    Raises
    ------
    UserError
        If there is no checkpoint, or `init` is of another architecture and can't be averaged.
    """
    state = checkpoints.read(out / "joint.ckpt")
    network = SuperPointNet(Architecture.from_dict(state["architecture"]))
    settings = replace(settings, model=_name(network.architecture))
    network.load_state_dict(state["network"])
    folded = _folded(network)
    if average:
        assert init is not None
        folded = _mean(folded, _folded(checkpoints.initial_network(init, settings.model)))
    training = {"iterations": state["step"], "averaged": average, "settings": asdict(settings)}
    path = out / f"{settings.model}.safetensors"
    _write(path, Checkpoint(folded, {"training": training}))
    metrics = None
    if sequences is not None:
        metrics = model_card.measure(path, sequences)
        _write(path, Checkpoint(folded, {"training": training, "metrics": metrics}))
    model_card.write(out / "MODEL_CARD.md", settings, init, out, metrics, manifest, average)
    return path


def _folded(network: SuperPointNet) -> SuperPointNet:
    network.eval()
    return network if network.architecture.norm == "after" else fold_batch_norm(network)


def _mean(first: SuperPointNet, second: SuperPointNet) -> SuperPointNet:
    if first.architecture != second.architecture:
        raise UserError("--average: --init is of another architecture than what was trained")
    mean = SuperPointNet(first.architecture).eval()
    pairs = zip(first.state_dict().items(), second.state_dict().values(), strict=True)
    mean.load_state_dict({key: (a + b) / 2 for (key, a), b in pairs})
    return mean


def _name(architecture: Architecture) -> str:
    shape = replace(architecture, norm="none", norm_eps=Architecture.norm_eps)
    return next((name for name, known in ARCHITECTURES.items() if known == shape), "custom")


def _write(path: Path, weights: Checkpoint) -> None:
    write_atomically(path, serialise(weights))

"""Weights: those that ship, those of a file, and those of other people's layouts.

Our own files are safetensors whose header holds, as JSON, the architecture, the training run and
the metrics. Nothing in a file is ever executed.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import safetensors
import safetensors.torch
import torch
from torch import Tensor

from .layouts import StateDict, translate
from .network import Architecture, SuperPointNet

FOLDER = Path(__file__).parents[1] / "weights"

DEFAULT_MODEL = "superpoint-lite"
"""The most accurate of the weights that ship."""


@dataclass(frozen=True)
class Checkpoint:
    """A network and what its file says about it.

    Attributes
    ----------
    network
        With its weights, in evaluation mode.
    metadata
        ``training``, ``metrics`` and ``ranges`` (of activations) of our own files; empty for
        foreign ones.
    """

    network: SuperPointNet
    metadata: dict[str, Any] = field(default_factory=dict)


def shipped_models() -> list[str]:
    """Return the names of the models whose weights ship with the package."""
    return sorted(path.stem for path in FOLDER.glob("*.safetensors"))


def load_shipped(model: str) -> Checkpoint:
    """Load weights that ship with the package.

    Raises
    ------
    ValueError
        If there are none of that name.
    """
    if model not in shipped_models():
        names = ", ".join(shipped_models())
        raise ValueError(f"no weights of {model!r} ship with this version; there are: {names}")
    return load(FOLDER / f"{model}.safetensors")


def load(path: str | Path) -> Checkpoint:
    """Load a file of weights: our safetensors, or a state_dict in a layout we know.

    The layouts are Magic Leap's (also LightGlue's), rpautrat's and that of Hugging Face
    transformers, recognised by their keys; state_dicts may be safetensors or `torch.save` files.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If it is damaged, of an unknown layout, incomplete, or would have to be executed.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"no such file of weights: {path}")
    with open(path, "rb") as stream:
        start = stream.read(9)
    # Safetensors begin with the length of their JSON header; a zip archive (or, before PyTorch
    # 1.6, a bare pickle) is torch.save's.
    if start[8:] != b"{" and (start[:2] == b"PK" or start[:1] == b"\x80"):
        return Checkpoint(_fill(*translate(_read_torch(path), path), path))
    try:
        with safetensors.safe_open(path, framework="pt") as file:  # type: ignore[no-untyped-call]
            header = file.metadata() or {}
            tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118
    except (safetensors.SafetensorError, OSError) as error:
        raise ValueError(f"{path} is damaged, or no file of weights: {error}") from error
    return from_tensors(tensors, header, path)


def from_tensors(tensors: StateDict, header: dict[str, str], path: Path) -> Checkpoint:
    """Build a network from the contents of a safetensors file."""
    if "architecture" not in header:
        return Checkpoint(_fill(*translate(tensors, path), path))
    try:
        architecture = Architecture.from_dict(json.loads(header["architecture"]))
        metadata: dict[str, Any] = {
            key: json.loads(header[key])
            for key in ("training", "metrics", "ranges")
            if key in header
        }
    except (TypeError, ValueError, KeyError, RecursionError) as error:
        raise ValueError(f"{path} describes an architecture wrongly: {error}") from error
    return Checkpoint(_fill(architecture, tensors, path), metadata)


def serialise(checkpoint: Checkpoint) -> bytes:
    """Return the bytes of our safetensors file of a network."""
    network = checkpoint.network
    header = {
        "format": "pt",
        "architecture": json.dumps(network.architecture.to_dict()),
        **{key: json.dumps(value) for key, value in checkpoint.metadata.items()},
    }
    tensors = {k: v.detach().cpu().contiguous() for k, v in network.state_dict().items()}
    return safetensors.torch.save(tensors, header)


def deserialise(data: bytes) -> Checkpoint:
    """Rebuild from :func:`serialise`."""
    header_length = int.from_bytes(data[:8], "little")
    header = json.loads(data[8 : 8 + header_length]).get("__metadata__", {})
    return from_tensors(safetensors.torch.load(data), header, Path("<bytes>"))


def _read_torch(path: Path) -> StateDict:
    try:
        loaded = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # there is nothing that damaged pickles do not raise
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise ValueError(
            f"{path} is damaged, or holds more than tensors (nothing in it was executed): {reason}"
        ) from error
    for wrapper in ("state_dict", "model_state_dict", "model"):
        if isinstance(loaded, dict) and isinstance(loaded.get(wrapper), dict):
            loaded = loaded[wrapper]
    if not isinstance(loaded, dict) or not loaded:
        raise ValueError(f"{path} holds no state_dict, but a {type(loaded).__name__}")
    if not all(isinstance(k, str) and isinstance(v, Tensor) for k, v in loaded.items()):
        raise ValueError(f"{path} holds no state_dict: its entries are not all named tensors")
    return loaded


def _fill(architecture: Architecture, tensors: StateDict, path: Path) -> SuperPointNet:
    wrong = [k for k, v in tensors.items() if v.is_complex() or v.is_quantized]
    if wrong:
        raise ValueError(f"{path} holds values that are not real numbers, in {', '.join(wrong)}")
    with torch.device("meta"):  # nothing is allocated, or drawn at random, before shapes fit
        network = SuperPointNet(architecture).eval()
    tensors = {k: v.float() if v.is_floating_point() else v for k, v in tensors.items()}
    try:
        network.load_state_dict(tensors, strict=True, assign=True)
    except RuntimeError as error:
        lines = [line.strip() for line in str(error).splitlines()[1:]]
        raise ValueError(f"{path} does not fit its architecture: {' '.join(lines)}") from error
    broken = [k for k, v in network.state_dict().items() if not v.isfinite().all()]
    if broken:
        raise ValueError(f"{path} holds values that are not finite, in {', '.join(broken)}")
    return network

"""Weights: those that ship, files of our own, and files in other layouts.

Our own files are safetensors whose header holds, as JSON, the architecture, the training run and
the metrics, and a checksum. Nothing in a file is ever executed.
"""

from __future__ import annotations

import hashlib
import io
import json
import zipfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import safetensors.torch
import torch
import torch.nn.functional as F
from torch import Tensor

from .binary import BinaryCode
from .layouts import StateDict, translate
from .network import Architecture, SuperPointNet

FOLDER = Path(__file__).parents[1] / "weights"

DEFAULT_MODEL = "superpoint-lite"
"""The fastest of the weights that ship, and the default."""

_CHECKSUM = "sha256"
"""Key in the header of our own files; older ones lack it."""

_MOST_BYTES = 1 << 30
"""Of a file; the paper's network takes 5 MB."""

_CODE = ("binary.directions", "binary.thresholds")
"""Keys of a binary code's arrays, next to those of the network."""

_DTYPES = (torch.float16, torch.bfloat16, torch.float32, torch.float64, torch.int64)
"""Of weights; int64 is for the counters of batch normalisation."""


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
    code
        How its descriptors become binary, learned with them; None: nothing was learned.
    """

    network: SuperPointNet
    metadata: dict[str, Any] = field(default_factory=dict)
    code: BinaryCode | None = None


def shipped_models() -> list[str]:
    """Return the names of the models whose weights ship with the package."""
    return sorted(path.stem for path in FOLDER.glob("*.safetensors"))


def load_shipped(model: str) -> Checkpoint:
    """Load weights that ship with the package.

    Raises
    ------
    ValueError
        If none have that name.
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
        If it is damaged, incomplete, in an unknown layout, or would have to be executed, or if the
        network's output is not finite or its descriptors are zero.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"no such file of weights: {path}")
    if path.stat().st_size > _MOST_BYTES:
        raise ValueError(f"{path} is too large to hold a SuperPoint network")
    data = path.read_bytes()  # not mapped into memory: a file that changes must not change us
    # Safetensors begin with the length of their JSON header; a zip archive (or, before PyTorch
    # 1.6, a bare pickle) is torch.save's.
    if data[8:9] != b"{" and (data[:2] == b"PK" or data[:1] == b"\x80"):
        return from_tensors(_read_torch(data, path), {}, path)
    return from_tensors(*_read_safetensors(data, path), path)


def from_tensors(tensors: StateDict, header: dict[str, str], path: Path) -> Checkpoint:
    """Build a network from the tensors of a file and, if it is ours, its header.

    Raises
    ------
    ValueError
        If they are damaged, do not fit together, or make a network that does not work.
    """
    strange = [key for key, tensor in tensors.items() if not _is_plain(tensor)]
    if strange:
        raise ValueError(f"{path} holds no plain array of real numbers as {', '.join(strange)}")
    if _CHECKSUM in header and header[_CHECKSUM] != _checksum(tensors, header):
        raise ValueError(f"{path} is damaged: its content is not that of its checksum")
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
    code = _pop_code(tensors, architecture, path)
    return Checkpoint(_fill(architecture, tensors, path), metadata, code)


def serialise(checkpoint: Checkpoint, dtype: torch.dtype = torch.float32) -> bytes:
    """Return a network as the bytes of a safetensors file.

    Parameters
    ----------
    checkpoint
        The network, its metadata and its binary code.
    dtype
        To store the weights in; ``torch.float16`` halves the file. They are loaded as float32.
    """
    network = checkpoint.network
    header = {
        "format": "pt",
        "architecture": json.dumps(network.architecture.to_dict()),
        **{key: json.dumps(value) for key, value in checkpoint.metadata.items()},
    }
    state = dict(network.state_dict())
    if checkpoint.code is not None:
        arrays = (checkpoint.code.directions, checkpoint.code.thresholds)
        state.update(zip(_CODE, map(torch.from_numpy, arrays), strict=True))
    tensors = {
        key: (value.to(dtype) if value.is_floating_point() else value).detach().cpu().contiguous()
        for key, value in state.items()
    }
    header[_CHECKSUM] = _checksum(tensors, header)
    return safetensors.torch.save(tensors, header)


def deserialise(data: bytes) -> Checkpoint:
    """Rebuild from :func:`serialise`."""
    path = Path("<bytes>")
    return from_tensors(*_read_safetensors(data, path), path)


def _checksum(tensors: StateDict, header: dict[str, str]) -> str:
    """Return the SHA-256 of a file's contents, whatever their order."""
    digest = hashlib.sha256()
    for key, value in sorted(header.items()):
        if key != _CHECKSUM:
            digest.update(f"{key}={value}\n".encode())
    for key, tensor in sorted(tensors.items()):
        digest.update(f"{key}: {tensor.dtype} {tuple(tensor.shape)}\n".encode())
        digest.update(tensor.contiguous().flatten().view(torch.uint8).numpy().data)
    return digest.hexdigest()


def _is_plain(tensor: Tensor) -> bool:
    """Tell whether a tensor is an array of real numbers, each of them in the file."""
    if tensor.layout is not torch.strided or tensor.device.type != "cpu" or tensor.is_nested:
        return False
    return tensor.dtype in _DTYPES and tensor.nbytes <= tensor.untyped_storage().nbytes()


def _read_safetensors(data: bytes, path: Path) -> tuple[StateDict, dict[str, str]]:
    try:
        tensors = safetensors.torch.load(data)
        header = json.loads(data[8 : 8 + int.from_bytes(data[:8], "little")].decode())
    except Exception as error:  # types unknown to PyTorch raise more than SafetensorError
        raise ValueError(f"{path} is damaged, or no file of weights: {error}") from error
    return tensors, header.get("__metadata__") or {}


def _read_torch(data: bytes, path: Path) -> StateDict:
    try:
        if data[:2] == b"PK":
            with zipfile.ZipFile(io.BytesIO(data)) as archive:
                unpacked = sum(entry.file_size for entry in archive.infolist())
            # torch.save does not compress, and trained weights shrink by a tenth at best.
            if unpacked > 2 * len(data):
                raise ValueError(f"its {unpacked} bytes are compressed too far for weights")
        loaded = torch.load(io.BytesIO(data), map_location="cpu", weights_only=True)
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


def _pop_code(tensors: StateDict, architecture: Architecture, path: Path) -> BinaryCode | None:
    """Take the binary code, if there is one, out of a file's tensors."""
    if not any(key in tensors for key in _CODE):
        return None
    try:
        code = BinaryCode(*(tensors.pop(key).float().numpy() for key in _CODE))
        if code.directions.shape[1] != architecture.descriptor_dim:
            raise ValueError(f"it is for descriptors of {code.directions.shape[1]} values")
    except (KeyError, ValueError) as error:
        raise ValueError(f"{path} holds a wrong binary code: {error}") from error
    return code


def _fill(architecture: Architecture, tensors: StateDict, path: Path) -> SuperPointNet:
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
    _try_out(network, path)
    return network


@torch.inference_mode()
def _try_out(network: SuperPointNet, path: Path) -> None:
    """Run a network once, on noise: values may all be finite, and useless."""
    generator = torch.Generator().manual_seed(0)
    noise = torch.rand(1, 1, 32, 32, generator=generator, device="cpu", dtype=torch.float32)
    with torch.autocast("cpu", enabled=False):
        logits, descriptors = network(noise)
    norms = F.normalize(descriptors, dim=1).norm(dim=1)
    if not (logits.isfinite().all() and (norms - 1).abs().max() < 1e-3):  # also false for NaN
        raise ValueError(f"{path} makes keypoints that are not finite, or descriptors of zero")

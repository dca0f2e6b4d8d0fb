"""Other layouts of SuperPoint's weights, recognised by their keys, translated to our names."""

from __future__ import annotations

import re
from pathlib import Path

from torch import Tensor

from .network import Architecture, Norm

StateDict = dict[str, Tensor]

_MAGIC_LEAP = [
    (r"conv(?P<stage>[1-4])(?P<half>[ab])\.(?P<kind>weight|bias)",
     "encoder.{stage}.{half}.conv.{kind}"),
    (r"convP(?P<half>[ab])\.(?P<kind>weight|bias)", "detector.{half}.conv.{kind}"),
    (r"convD(?P<half>[ab])\.(?P<kind>weight|bias)", "descriptor.{half}.conv.{kind}"),
]  # fmt: skip
_RPAUTRAT = [
    (r"backbone\.(?P<stage>[0-3])\.(?P<half>[01])\.(?P<part>conv|bn)\.(?P<kind>\w+)",
     "encoder.{stage}.{half}.{part}.{kind}"),
    (r"(?P<head>detector|descriptor)\.(?P<half>[01])\.(?P<part>conv|bn)\.(?P<kind>\w+)",
     "{head}.{half}.{part}.{kind}"),
]  # fmt: skip
_TRANSFORMERS = [
    (r"encoder\.conv_blocks\.(?P<stage>[0-3])\.conv_(?P<half>[ab])\.(?P<kind>weight|bias)",
     "encoder.{stage}.{half}.conv.{kind}"),
    (r"keypoint_decoder\.conv_score_(?P<half>[ab])\.(?P<kind>weight|bias)",
     "detector.{half}.conv.{kind}"),
    (r"descriptor_decoder\.conv_descriptor_(?P<half>[ab])\.(?P<kind>weight|bias)",
     "descriptor.{half}.conv.{kind}"),
]  # fmt: skip

# The key that tells each layout, its renaming rules, and where it normalises (with which epsilon).
_LAYOUTS: list[tuple[str, list[tuple[str, str]], Norm, float]] = [
    ("conv1a.weight", _MAGIC_LEAP, "none", 1e-5),
    ("backbone.0.0.conv.weight", _RPAUTRAT, "after", 1e-3),
    ("encoder.conv_blocks.0.conv_a.weight", _TRANSFORMERS, "none", 1e-5),
]


def _rename(key: str, rules: list[tuple[str, str]]) -> str | None:
    for pattern, template in rules:
        match = re.fullmatch(pattern, key)
        if match:
            parts = match.groupdict()
            parts["half"] = {"a": "0", "b": "1"}.get(parts["half"], parts["half"])
            parts["part"] = "norm" if parts.get("part") == "bn" else "conv"
            if rules is _MAGIC_LEAP and "stage" in parts:  # counts its stages from 1
                parts["stage"] = str(int(parts["stage"]) - 1)
            return template.format(**parts)
    return None


def translate(tensors: StateDict, path: Path) -> tuple[Architecture, StateDict]:
    """Return the architecture of a foreign state_dict, and its tensors by our names.

    Raises
    ------
    ValueError
        If it is of no layout we know, or incomplete; `path` is named then.
    """
    for prefix in ("", "superpoint.", "module.", "model."):
        stripped = {k.removeprefix(prefix): v for k, v in tensors.items() if k.startswith(prefix)}
        for sign, rules, norm, eps in _LAYOUTS:
            if sign in stripped:
                renamed = {_rename(k, rules) or k: v for k, v in stripped.items()}
                architecture = _infer_architecture(renamed, norm, eps, path)
                return architecture, renamed
    raise ValueError(f"{path} is of no layout we know; its first keys are {sorted(tensors)[:3]}")


def _infer_architecture(tensors: StateDict, norm: Norm, eps: float, path: Path) -> Architecture:
    keys = [f"encoder.{i}.0.conv.weight" for i in range(4)]
    keys += ["detector.0.conv.weight", "descriptor.1.conv.weight"]
    missing = [key for key in keys if key not in tensors]
    if missing:
        raise ValueError(f"{path} is incomplete: it lacks {', '.join(missing)}")
    flat = [key for key in keys if tensors[key].ndim != 4]
    if flat:
        raise ValueError(f"{path} holds no convolution as {', '.join(flat)}")
    sizes = [len(tensors[key]) for key in keys]
    fields = {"head_width": sizes[4], "descriptor_dim": sizes[5], "norm": norm, "norm_eps": eps}
    try:
        return Architecture.from_dict({"widths": sizes[:4], **fields})
    except ValueError as error:
        raise ValueError(f"{path} has impossible shapes: {error}") from error

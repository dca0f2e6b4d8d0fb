"""A narrow network's knowledge in a wider one, which computes the same until it is trained.

Chen, Goodfellow, Shlens, "Net2Net: Accelerating Learning via Knowledge Transfer", arXiv 1511.05641,
section 2.1: channels are copied, and whatever reads them shares its weights among the copies.
"""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from cv2_superpoint.model.network import Architecture, SuperPointNet, fold_batch_norm

from ..files import UserError


@torch.no_grad()
def widen(narrow: SuperPointNet, architecture: Architecture, noise: float = 0.05) -> SuperPointNet:
    """Return a wider network that computes what the narrow one does, but for the noise.

    Parameters
    ----------
    narrow
        Its batch normalisation, if any, is folded.
    architecture
        At least as wide in every place, and otherwise alike.
    noise
        Standard deviation of what is added to the weights of copied channels, as a share of that
        of their layer's weights, so that the copies learn different things.

    Returns
    -------
    SuperPointNet
        Without batch normalisation, in evaluation mode. Where its descriptors are longer, they end
        in zeros before the noise.

    Raises
    ------
    UserError
        If the architecture is narrower somewhere, or not alike.
    """
    if narrow.architecture.norm != "none":
        narrow = fold_batch_norm(narrow)
    _check(narrow.architecture, architecture)
    wide = SuperPointNet(replace(architecture, norm="none")).eval()
    # Which narrow channel each channel is a copy of, through the network from the image on.
    channels = torch.arange(architecture.stem_stride**2)
    stages = []
    for stage, width in zip(range(4), architecture.widths, strict=True):
        for layer in range(2):
            path = f"encoder.{stage}.{layer}"
            channels = _copy(narrow, wide, path, channels, _copies(narrow, path, width), noise)
        stages.append(channels)
    for head in ("detector", "descriptor"):
        path = f"{head}.0"
        copied = _copies(narrow, path, architecture.head_width)
        hidden = _copy(narrow, wide, path, channels, copied, noise)
        rows = torch.arange(_conv(narrow, f"{head}.1")[0].shape[0])
        _copy(narrow, wide, f"{head}.1", hidden, rows, noise)
    for stage_name in narrow.detail:
        path = f"detail.{stage_name}"
        rows = torch.arange(_conv(narrow, path)[0].shape[0])
        _copy(narrow, wide, path, stages[int(stage_name)], rows, noise)
    return wide


@torch.no_grad()
def insert_batch_norm(network: SuperPointNet, images: Tensor) -> SuperPointNet:
    """Return an equal network that normalises before each activation, ready to be trained.

    Each normalisation scales and shifts back by what it measures on `images`, so that it changes
    nothing: neither in evaluation nor, on such images, in training.

    Parameters
    ----------
    network
        Without batch normalisation.
    images
        ``(B, 1, H, W)`` grey in [0, 1], such as it will learn from.

    Returns
    -------
    SuperPointNet
        In evaluation mode.
    """
    normalised = SuperPointNet(replace(network.architecture, norm="before")).eval()
    normalised.load_state_dict(network.state_dict(), strict=False)
    norms = [layer for layer in normalised.modules() if isinstance(layer, torch.nn.BatchNorm2d)]
    hooks = [norm.register_forward_pre_hook(_set_to_identity) for norm in norms]
    normalised(images)
    for hook in hooks:
        hook.remove()
    return normalised


def _set_to_identity(norm: torch.nn.Module, inputs: tuple[Tensor]) -> None:
    """Make a normalisation undo itself on the values it is about to see."""
    assert isinstance(norm, torch.nn.BatchNorm2d)
    variance, mean = torch.var_mean(inputs[0].double(), dim=(0, 2, 3), correction=0)
    norm.load_state_dict(
        {
            **norm.state_dict(),
            "running_mean": mean,
            "running_var": variance,
            "weight": (variance + norm.eps).sqrt(),
            "bias": mean,
        }
    )


def _check(narrow: Architecture, wide: Architecture) -> None:
    def sizes(a: Architecture) -> tuple[int, ...]:
        return (*a.widths, a.head_width, a.descriptor_dim)

    alike = (narrow.stem_stride, narrow.detail_stages) == (wide.stem_stride, wide.detail_stages)
    if not alike or any(n > w for n, w in zip(sizes(narrow), sizes(wide), strict=True)):
        raise UserError(f"{narrow} cannot be widened to {wide}")


def _copies(narrow: SuperPointNet, path: str, count: int) -> Tensor:
    """Choose what the output channels of a layer copy: each once, then again at random."""
    present = _conv(narrow, path)[0].shape[0]
    more = [torch.randperm(present) for _ in range(count // present)]
    return torch.cat([torch.arange(present), *more])[:count]


def _conv(network: SuperPointNet, path: str) -> tuple[Tensor, Tensor]:
    conv = network.get_submodule(f"{path}.conv")
    assert isinstance(conv, torch.nn.Conv2d)
    assert conv.bias is not None
    return conv.weight, conv.bias


def _copy(
    narrow: SuperPointNet,
    wide: SuperPointNet,
    path: str,
    inputs: Tensor,
    rows: Tensor,
    noise: float,
) -> Tensor:
    """Fill one layer; return `rows`, its output channels' originals, for those that read it."""
    weight, bias = _conv(narrow, path)
    target_weight, target_bias = _conv(wide, path)
    shares = torch.rand(len(inputs)) + 0.5
    total = torch.zeros(weight.shape[1]).index_add_(0, inputs, shares)
    shares = shares / total[inputs]
    filled = weight[rows][:, inputs] * shares[None, :, None, None]
    is_copy = torch.arange(len(rows)) >= weight.shape[0]
    filled = filled + noise * filled.std() * is_copy[:, None, None, None] * torch.randn_like(filled)
    target_weight.zero_(), target_bias.zero_()  # longer descriptors end in zeros
    target_weight[: len(rows)], target_bias[: len(rows)] = filled, bias[rows]
    return rows

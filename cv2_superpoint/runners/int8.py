"""The network in 8-bit integers, on oneDNN's kernels in PyTorch.

Static quantisation: activations are unsigned, with one scale per layer, measured on photographs and
stored with the weights; weights are signed, with one scale per channel; outputs are float32
(Jacob et al., "Quantization and Training of Neural Networks for Efficient Integer-Arithmetic-Only
Inference", arXiv 1712.05877; Krishnamoorthi, arXiv 1806.08342).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

import torch
import torch.nn.functional as F
from torch import Tensor

from ..model.network import CELL, ConvBlock, SuperPointNet, cells_of_squares
from .maps import Maps

Ranges = dict[str, float]
"""What 255 stands for in each activation, by the path of its layer in the network."""

Layer = Callable[[Tensor], Tensor]


def can_multiply_int8() -> bool:
    """Tell whether this CPU multiplies 8-bit integers faster than floats, as those with AVX2 do."""
    return bool(torch.cpu._is_avx2_supported())


@torch.no_grad()
def measure_ranges(network: SuperPointNet, images: Iterable[Tensor]) -> Ranges:
    """Return the range of each activation that :class:`Int8Runner` rounds best.

    A few large values are clipped for the sake of all others' precision: of some shares of the
    largest value, that with the least squared error is the range.

    Parameters
    ----------
    network
        Without batch normalisation, in evaluation mode.
    images
        Each ``(B, 1, H, W)`` grey in [0, 1], H and W multiples of 8; a few dozen photographs.

    Returns
    -------
    dict
        By the layers' paths.
    """
    images = list(images)
    largest: Ranges = {}
    for path, output in _activations(network, images):
        largest[path] = max(largest.get(path, 0.0), float(output.max()))
    shares = torch.linspace(0.4, 1, 31)
    errors = {path: torch.zeros(len(shares)) for path in largest}
    for path, output in _activations(network, images):
        steps = shares[:, None] * activation_step(largest[path])
        some = output.flatten()[::5]
        rounded = (some / steps).round().clamp(max=255) * steps
        errors[path] += (rounded - some).square().sum(1)
    return {path: largest[path] * float(shares[errors[path].argmin()]) for path in largest}


def _activations(network: SuperPointNet, images: Iterable[Tensor]) -> Iterator[tuple[str, Tensor]]:
    """Yield the path and the output of each activation, for each image."""
    outputs: list[tuple[str, Tensor]] = []

    def watch(path: str) -> torch.utils.hooks.RemovableHandle:
        block = network.get_submodule(path)
        return block.register_forward_hook(lambda *call: outputs.append((path, call[-1])))

    handles = [
        watch(path)
        for path, block in network.named_modules()
        if isinstance(block, ConvBlock) and hasattr(block, "relu")
    ]
    try:
        for image in images:
            network(image)
            yield from outputs
            outputs.clear()
    finally:
        for handle in handles:
            handle.remove()


class Int8Runner:
    """Runs a network without normalisation on a CPU, quantised.

    The last layer of the descriptor decoder is not included: it is applied to points alone, in
    float32.

    Parameters
    ----------
    network
        Without batch normalisation, in evaluation mode, on the CPU.
    ranges
        From :func:`measure_ranges`.

    Raises
    ------
    RuntimeError, AttributeError, KeyError
        If this PyTorch lacks the kernels, or a layer has no range.
    """

    precision = "int8"
    device = torch.device("cpu")

    def __init__(self, network: SuperPointNet, ranges: Ranges) -> None:
        self._strides = network.strides
        self._stem_stride = network.architecture.stem_stride
        scale = 1 / 255  # of the pixels
        self._stages: list[list[Layer]] = []
        self._details: dict[int, Layer] = {}
        for i, stage in enumerate(network.encoder):
            layers = []
            for j, block in enumerate(stage.children()):
                layer, scale = _quantise(block, scale, ranges[f"encoder.{i}.{j}"])
                layers.append(layer)
            self._stages.append(layers)
            if str(i) in network.detail:
                self._details[i] = _quantise_last(network.detail[str(i)], scale)
        hidden, inner = _quantise(network.detector[0], scale, ranges["detector.0"])
        self._detector = [hidden, _quantise_last(network.detector[1], inner)]
        self._descriptor, _ = _quantise(network.descriptor[0], scale)
        least = torch.zeros(1, 1, 2 * CELL, 2 * CELL, dtype=torch.uint8, device="cpu")
        self(least, True, True)  # an error now, if this machine cannot

    def __call__(self, pixels: Tensor, detect: bool, describe: bool) -> Maps:
        """Run the network; see :class:`Runner`."""
        x = _fold(pixels.to(torch.uint8), self._stem_stride)
        details, before = [], self._strides[0]
        for i, (stage, stride) in enumerate(zip(self._stages, self._strides, strict=True)):
            x = _halve(x) if stride > before else x
            for layer in stage:
                x = layer(x)
            if detect and i in self._details:
                details.append(cells_of_squares(self._details[i](x), stride))
            before = stride
        logits = None
        if detect:
            for layer in self._detector:
                logits = layer(x if logits is None else logits)
            assert logits is not None
            for cells in details:
                logits[:, :-1] += cells
        return Maps(logits, self._descriptor(x) if describe else None)


def _fold(pixels: Tensor, stride: int) -> Tensor:
    """Turn squares of pixels into channels, channels last; faster than PyTorch's own unshuffle."""
    grey = pixels[:, 0]
    parts = [grey[:, i::stride, j::stride] for i in range(stride) for j in range(stride)]
    return torch.stack(parts, dim=3).permute(0, 3, 1, 2)


def _halve(x: Tensor) -> Tensor:
    """Return the largest of every 2x2 pixels; PyTorch's own pooling takes no large uint8."""
    rows = x.permute(0, 2, 3, 1)
    rows = torch.maximum(rows[:, ::2], rows[:, 1::2])
    pairs = rows.unflatten(2, (-1, 2))
    return torch.maximum(pairs[..., 0, :], pairs[..., 1, :]).permute(0, 3, 1, 2)


def round_weights(weight: Tensor) -> tuple[Tensor, Tensor]:
    """Return weights in whole steps, and what a step stands for, by output channel.

    The steps of a channel keep their sum, to half a step. The weights of a filter for edges cancel;
    rounded one by one, they would not quite, and the brightness of flat surfaces would leak into
    all features. So all are rounded down, and those with the largest remainders up instead, until
    the sum is right.

    Without VNNI, CPUs add the products of two neighbouring channels in 16 bits, where two of 255 by
    127 are too large. So steps are large enough that two neighbours of one sign never exceed 128
    together: 7.7 bits on average, where halving all would leave 7.

    Parameters
    ----------
    weight
        ``(C, I, H, W)`` of a convolution.

    Returns
    -------
    steps : Tensor
        Of the shape of `weight`: whole numbers, -127 to 127.
    scales : Tensor
        ``(C,)``: steps times scales are about the weights.
    """
    rows = weight.flatten(1)
    scales = _largest_pairs(weight).clamp_min(1e-8) / 127
    exact = rows / scales[:, None]
    lower = exact.floor()
    missing = (exact.sum(1).round() - lower.sum(1))[:, None]
    largest_first = (exact - lower).argsort(dim=1, descending=True, stable=True)
    up = torch.arange(rows.shape[1], device=weight.device) < missing
    steps = lower.scatter_add(1, largest_first, up.to(lower.dtype))
    return steps.clamp(-127, 127).view_as(weight), scales


def _largest_pairs(weight: Tensor) -> Tensor:
    """Return ``(C,)``: the largest sum of two neighbouring weights of one sign, without it."""
    pairs = F.pad(weight, (0, 0, 0, 0, 0, weight.shape[1] % 2)).unflatten(1, (-1, 2))
    most = torch.maximum(pairs.clamp_min(0).sum(2), (-pairs).clamp_min(0).sum(2))
    return most.flatten(1).amax(1)


def activation_step(largest: float) -> float:
    """Return what one step of uint8 stands for, if 255 stands for `largest`."""
    return max(largest, 1e-6) / 255


def _quantise(
    block: torch.nn.Module, scale: float, largest: float | None = None
) -> tuple[Layer, float]:
    """Return a convolution and its activation, and the scale of its output.

    Parameters
    ----------
    block
        A :class:`ConvBlock` without normalisation.
    scale
        Value of one step of its uint8 input.
    largest
        What 255 stands for in its output, if that is to be uint8; None: float32.
    """
    conv, weight, scales = _rounded(block)
    bias = None if conv.bias is None else conv.bias.detach().float()
    if largest is None:
        step, dtype = 1.0, torch.float32
    else:
        step, dtype = activation_step(largest), torch.uint8
    return _convolution(conv, weight, scale, scales, bias, step, dtype, "relu"), step


def _quantise_last(block: torch.nn.Module, scale: float) -> Layer:
    """Return a convolution without activation, its output float32.

    In which order oneDNN multiplies by the scales and adds the bias depends on its number of
    threads, and with it the last bit. So it adds up integers alone, exactly: below 2 ** 24.
    """
    conv, weight, scales = _rounded(block)
    add_up = _convolution(
        conv, weight, 1.0, torch.ones_like(scales), None, 1.0, torch.float32, "none"
    )
    value = (scale * scales)[:, None, None]
    bias = 0.0 if conv.bias is None else conv.bias.detach().float()[:, None, None]
    return lambda x: add_up(x).mul_(value).add_(bias)


def _rounded(block: torch.nn.Module) -> tuple[torch.nn.Conv2d, Tensor, Tensor]:
    """Return the convolution, its weights in int8, and what one step stands for by channel."""
    conv = block.get_submodule("conv")
    assert isinstance(conv, torch.nn.Conv2d)
    steps, scales = round_weights(conv.weight.detach().float())
    return conv, steps.to(torch.int8), scales


def _convolution(
    conv: torch.nn.Conv2d,
    weight: Tensor,
    scale: float,
    scales: Tensor,
    bias: Tensor | None,
    step: float,
    dtype: torch.dtype,
    activation: str,
) -> Layer:
    """Return oneDNN's convolution of uint8 with int8.

    Parameters
    ----------
    conv
        Whose padding it has.
    weight
        int8.
    scale, scales
        What one step stands for in the input; in the weights, by channel.
    bias
        float32.
    step, dtype
        What one step stands for in the output, and its type.
    activation
        ``relu`` or ``none``.
    """
    stride, padding, dilation, groups = [1, 1], [conv.padding[0]] * 2, [1, 1], 1
    packed = torch.ops.onednn.qconv_prepack(
        weight, scales, scale, 0, stride, padding, dilation, groups
    )
    zeros = torch.zeros(len(scales), dtype=torch.int32, device="cpu")
    run = torch.ops.onednn.qconv2d_pointwise.default

    def layer(x: Tensor) -> Tensor:
        output: Tensor = run(
            x, scale, 0, packed, scales, zeros, bias, stride, padding, dilation, groups,
            step, 0, dtype, activation, [], "",
        )  # fmt: skip
        return output

    return layer

"""The SuperPoint network: a shared VGG-style encoder and two decoders.

DeTone, Malisiewicz, Rabinovich, "SuperPoint: Self-Supervised Interest Point Detection and
Description", 2018, arXiv:1712.07629, section 3.

Nothing here knows about files, devices or OpenCV.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Literal, TypeVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

CELL = 8
"""Side in pixels of the square that one position of the decoders' output covers."""

DUSTBIN = CELL * CELL
"""Channel of the detector that says "no point in this cell"; channels 0..63 are its pixels."""

Norm = Literal["none", "before", "after"]

Layer = TypeVar("Layer", bound=nn.Module)


@dataclass(frozen=True)
class Architecture:
    """What it takes, besides the weights, to rebuild a network.

    Attributes
    ----------
    widths
        Channels of the four encoder stages (two 3x3 convolutions each).
    head_width
        Channels between the two layers of each decoder.
    descriptor_dim
        Length of a descriptor.
    norm
        Where batch normalisation sits: ``"none"`` (folded away, or never there: what we ship),
        ``"before"`` the activation (what we train), ``"after"`` it (some foreign weights).
    norm_eps
        The constant that batch normalisation adds to the variance.
    stem_stride
        1, or 2: the first stage sees squares of 2x2 pixels as four channels, at half resolution.
    detail_stages
        How many of the first stages help decide which pixel of a cell is the point (see
        :meth:`SuperPointNet.detect`); of two with the same resolution, only the second. 0 in the
        paper.
    """

    widths: tuple[int, int, int, int] = (64, 64, 128, 128)
    head_width: int = 256
    descriptor_dim: int = 256
    norm: Norm = "none"
    norm_eps: float = 1e-5
    stem_stride: int = 1
    detail_stages: int = 0

    def to_dict(self) -> dict[str, Any]:
        """Return the fields as plain JSON types."""
        return {**asdict(self), "widths": list(self.widths)}

    @classmethod
    def from_dict(cls, fields: dict[str, Any]) -> Architecture:
        """Rebuild from :meth:`to_dict`.

        Raises
        ------
        TypeError, ValueError
            If a field is unknown, or has the wrong type or an impossible value.
        """
        architecture = cls(**{**fields, "widths": tuple(fields["widths"])})
        sizes = (*architecture.widths, architecture.head_width, architecture.descriptor_dim)
        if len(architecture.widths) != 4 or not all(
            type(n) is int and 0 < n <= 4096 for n in sizes
        ):
            raise ValueError(f"an architecture needs four widths and positive sizes, not {fields}")
        if architecture.norm not in ("none", "before", "after"):
            raise ValueError(f"norm must be none, before or after, not {architecture.norm!r}")
        if type(architecture.norm_eps) is not float or not 0 < architecture.norm_eps < 1:
            raise ValueError(f"norm_eps must be between 0 and 1, not {architecture.norm_eps!r}")
        stride, stages = architecture.stem_stride, architecture.detail_stages
        if not (type(stride) is type(stages) is int and stride in (1, 2) and stages in range(4)):
            raise ValueError(f"stem_stride must be 1 or 2 and detail_stages 0 to 3, not {fields}")
        return architecture


ARCHITECTURES: dict[str, Architecture] = {
    "superpoint": Architecture(stem_stride=2, detail_stages=3),
    "superpoint-lite": Architecture(
        widths=(16, 24, 64, 64),
        head_width=112,
        descriptor_dim=64,
        stem_stride=2,
        detail_stages=3,
    ),
    "superpoint-paper": Architecture(),
}
"""The named architectures, without batch normalisation."""


class ConvBlock(nn.Sequential):
    """A convolution that keeps the size, with optional batch normalisation and ReLU."""

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel: int,
        norm: Norm,
        norm_eps: float,
        relu: bool = True,
    ) -> None:
        super().__init__()
        conv = nn.Conv2d(in_channels, out_channels, kernel, padding=kernel // 2, bias=True)
        self.add_module("conv", conv)
        if norm == "before":
            self.add_module("norm", nn.BatchNorm2d(out_channels, eps=norm_eps))
        if relu:
            self.add_module("relu", nn.ReLU(inplace=True))
        if norm == "after":
            self.add_module("norm", nn.BatchNorm2d(out_channels, eps=norm_eps))


class SuperPointNet(nn.Module):
    """Encoder, interest-point decoder and descriptor decoder.

    Parameters
    ----------
    architecture
        Widths and the place of batch normalisation.
    """

    def __init__(self, architecture: Architecture) -> None:
        super().__init__()
        self.architecture = architecture
        norm, eps = architecture.norm, architecture.norm_eps
        self.strides = (architecture.stem_stride, 2, 4, CELL)
        self.fold = nn.PixelUnshuffle(architecture.stem_stride)
        stages: list[nn.Module] = []
        channels = architecture.stem_stride**2
        for width in architecture.widths:
            stages.append(
                nn.Sequential(
                    ConvBlock(channels, width, 3, norm, eps),
                    ConvBlock(width, width, 3, norm, eps),
                )
            )
            channels = width
        self.encoder = nn.ModuleList(stages)
        self.pool = nn.MaxPool2d(2)
        head = architecture.head_width
        # Our own final layers carry no normalisation; foreign ones that normalise "after" do.
        last: Norm = "after" if norm == "after" else "none"
        self.detector = nn.Sequential(
            ConvBlock(channels, head, 3, norm, eps),
            ConvBlock(head, DUSTBIN + 1, 1, last, eps, relu=False),
        )
        self.descriptor = nn.Sequential(
            ConvBlock(channels, head, 3, norm, eps),
            ConvBlock(head, architecture.descriptor_dim, 1, last, eps, relu=False),
        )
        # By stride, so that of two stages with one resolution the second counts.
        detail = dict(zip(self.strides, range(architecture.detail_stages), strict=False))
        self.detail = nn.ModuleDict(
            {
                str(i): ConvBlock(architecture.widths[i], stride**2, 3, "none", eps, relu=False)
                for stride, i in detail.items()
            }
        )

    def encode(self, image: Tensor) -> tuple[Tensor, ...]:
        """Return the features of every stage; both decoders start from the last.

        Parameters
        ----------
        image
            ``(B, 1, H, W)``, grey in [0, 1], H and W multiples of 8.

        Returns
        -------
        tuple of Tensor
            ``(B, widths[i], H/s, W/s)`` with s = `stem_stride`, 2, 4, 8.
        """
        x, before, features = self.fold(image), self.strides[0], []
        for stage, stride in zip(self.encoder, self.strides, strict=True):
            x = stage(self.pool(x) if stride > before else x)
            features.append(x)
            before = stride
        return tuple(features)

    def detect(self, features: tuple[Tensor, ...]) -> Tensor:
        """Return the raw output of the interest-point decoder.

        The paper's network has to remember, through three poolings, at which of 64 pixels it saw
        the point. Each detail stage of ours adds a map of full resolution to the 64 logits, so the
        evidence of context and of position multiplies, as probabilities do.

        Parameters
        ----------
        features
            From :meth:`encode`.

        Returns
        -------
        Tensor
            ``(B, 65, H/8, W/8)``: the 64 pixels of each cell, row by row, then the dustbin.
        """
        logits: Tensor = self.detector(features[-1])
        for name, layer in self.detail.items():
            stage = int(name)
            cells = cells_of_squares(layer(features[stage]), self.strides[stage])
            logits = logits + F.pad(cells, (0, 0, 0, 0, 0, 1))  # nothing for the dustbin
        return logits

    def descriptor_features(self, features: tuple[Tensor, ...]) -> Tensor:
        """Return the input of the descriptor decoder's last layer.

        That layer is affine and looks at one cell, so interpolating its input and applying it to
        the points alone (:meth:`project`) gives the same descriptors as interpolating its output,
        with less work.

        Parameters
        ----------
        features
            From :meth:`encode`.

        Returns
        -------
        Tensor
            ``(B, head_width, H/8, W/8)``.
        """
        output: Tensor = self.descriptor[0](features[-1])
        return output

    def project(self, rows: Tensor) -> Tensor:
        """Return the descriptors of interpolated :meth:`descriptor_features`.

        Parameters
        ----------
        rows
            ``(N, head_width)``.

        Returns
        -------
        Tensor
            ``(N, descriptor_dim)``, not normalised.
        """
        last = self.descriptor[1]
        conv = last.get_submodule("conv")
        assert isinstance(conv, nn.Conv2d)
        output = F.linear(rows, conv.weight.flatten(1), conv.bias)
        if hasattr(last, "norm"):
            output = last.get_submodule("norm")(output[:, :, None, None])[:, :, 0, 0]
        return output

    def describe(self, features: tuple[Tensor, ...]) -> Tensor:
        """Return the raw output of the descriptor decoder.

        Parameters
        ----------
        features
            From :meth:`encode`.

        Returns
        -------
        Tensor
            ``(B, descriptor_dim, H/8, W/8)``, not normalised.
        """
        output: Tensor = self.descriptor[1](self.descriptor_features(features))
        return output

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor]:
        """Return the raw outputs of both decoders.

        Parameters
        ----------
        image
            ``(B, 1, H, W)``, grey in [0, 1], H and W multiples of 8.

        Returns
        -------
        logits : Tensor
            ``(B, 65, H/8, W/8)``: the 64 pixels of each cell, row by row, then the dustbin.
        descriptors : Tensor
            ``(B, descriptor_dim, H/8, W/8)``, not normalised.
        """
        features = self.encode(image)
        return self.detect(features), self.describe(features)


def cells_of_squares(values: Tensor, stride: int) -> Tensor:
    """Turn ``(B, s * s, H/s, W/s)``, the pixels of s x s squares, into ``(B, 64, H/8, W/8)``."""
    batch, _, height, width = values.shape
    side = CELL // stride  # squares of a cell, in a row
    split = values.reshape(batch, stride, stride, height // side, side, width // side, side)
    return split.permute(0, 4, 1, 6, 2, 3, 5).reshape(batch, DUSTBIN, height // side, width // side)


@torch.no_grad()
def fold_batch_norm(network: SuperPointNet) -> SuperPointNet:
    """Return an equivalent network (in evaluation mode) without batch normalisation.

    Only normalisation *before* the activation is a linear map next to a convolution and can be
    folded into it exactly; where it comes after, zero padding and max pooling stand between.

    Raises
    ------
    ValueError
        If the network normalises after the activation.
    """
    if network.architecture.norm == "after":
        raise ValueError("batch normalisation after the activation cannot be folded exactly")
    fields = {**network.architecture.to_dict(), "norm": "none"}
    folded = SuperPointNet(Architecture.from_dict(fields)).eval()
    sources = [m for m in network.modules() if isinstance(m, ConvBlock)]
    targets = [m for m in folded.modules() if isinstance(m, ConvBlock)]
    for source, target in zip(sources, targets, strict=True):
        conv, out = (_child(block, "conv", nn.Conv2d) for block in (source, target))
        weight, bias = conv.state_dict()["weight"].double(), conv.state_dict()["bias"].double()
        if hasattr(source, "norm"):
            norm = _child(source, "norm", nn.BatchNorm2d)
            statistics = {k: v.double() for k, v in norm.state_dict().items()}
            scale = statistics["weight"] / (statistics["running_var"] + norm.eps).sqrt()
            weight = weight * scale[:, None, None, None]
            bias = (bias - statistics["running_mean"]) * scale + statistics["bias"]
        out.load_state_dict({"weight": weight.float(), "bias": bias.float()})
    return folded


def _child(block: ConvBlock, name: str, kind: type[Layer]) -> Layer:
    child = block.get_submodule(name)
    assert isinstance(child, kind)
    return child

"""A detector as an ONNX file: for the classes of OpenCV 5 that run one, and for other runtimes.

What ``cv::ALIKED`` and ``cv::DISK`` feed to a network and expect from it, they do not check; the
tests do, with OpenCV's own objects.
"""

from __future__ import annotations

import io
import warnings
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from ..extract.graph import ExtractionGraph, strongest
from ..model.binary import BYTES, BinaryCode
from ..model.decode import heat_map, point_scores
from ..model.network import SuperPointNet
from ..settings import DetectionSettings

_SIZES = {
    "aliked": (640, 640),  # OpenCV's own defaults
    "disk": (1024, 1024),
    "onnx": None,
    "maps": (480, 640),
    "web": None,
}
TARGETS = tuple(_SIZES)
DENSE = ("maps", "web")
"""Those of one level whose outputs are maps, not points."""

Outputs = tuple[Tensor, Tensor, Tensor]
"""Keypoints, descriptors and scores."""

_INPUT = "image"
_OPSET = 17
_GREY = (9798 / 32768, 19235 / 32768, 3735 / 32768)  # of R, G, B, as cvtColor rounds them


def onnx_bytes(
    network: SuperPointNet,
    settings: DetectionSettings,
    target: str,
    size: tuple[int, int] | None = None,
    code: BinaryCode | None = None,
) -> bytes:
    """Return the content of an ONNX file that extracts points.

    Its input ``image`` is ``(B, C, H, W)`` float32 in [0, 1], RGB or grey. Outputs, the strongest
    points first, with N = `settings.nfeatures`, all but pixels float32:

    ========  ==============================  ====================  ==============
    target    ``keypoints``                   ``descriptors``       ``scores``
    ========  ==============================  ====================  ==============
    aliked    (n, 2) in [-1, 1], n <= N       (n, D)                (n, 1)
    disk      (1, N, 2) int64 pixels          (1, N, D)             (1, N)
    onnx      (B, N, 2) pixels                (B, N, D)             (B, N)
    maps      none, but ``heat``              (1, D, H/8, W/8)      (1, 1, H, W)
    web       none, but ``heat``              (1, D, H/8, W/8)      none
    ========  ==============================  ====================  ==============

    Descriptors have unit L2 norm but in ``maps`` and ``web``, or are binary, of 32 uint8. Where
    there are fewer than N points, ``disk`` has a score of -1, and ``onnx`` one of 0. ``maps`` is
    for OpenCV 4, which cannot run the rest of the graph: grey images, one level, multiples of
    8, any number of points; ``scores`` are 0 but at points, in whole pixels, and ``heat`` (1, 1, H,
    W) is what to refine them by. ``web`` is the same without ``scores``, for code that finds the
    points itself.

    Parameters
    ----------
    network
        In evaluation mode, on the CPU.
    settings
        What to keep; `nfeatures` is at least 1.
    target
        One of :data:`TARGETS`.
    size
        ``(height, width)`` of the input, with B = 1; None: the target's default, which for ``onnx``
        is any, and any B, and for ``web`` any in multiples of 8.
    code
        For binary descriptors; of target ``onnx`` only.

    Raises
    ------
    ImportError
        If the package ``onnx`` is missing.
    """
    size = size or _SIZES[target]
    outputs = ["keypoints", "descriptors", "scores"]
    axes: dict[str, dict[int, str]] = {}
    graph = ExtractionGraph(network, settings, size)
    channels, module = 3, _MODULES[target](graph) if code is None else _Binary(graph, code)
    if target in DENSE:
        channels, outputs[0] = 1, "heat"
    else:
        axes[_INPUT] = {1: "channels"}
    if target == "web":
        outputs.remove("scores")
    if target == "onnx" and size is None:
        axes[_INPUT] |= {0: "batch", 2: "height", 3: "width"}
        axes |= {name: {0: "batch"} for name in outputs}
    if target == "web" and size is None:
        axes |= {name: {2: "height", 3: "width"} for name in (_INPUT, *outputs)}
    if target == "aliked":
        axes |= {name: {0: "points"} for name in outputs}
    stream = io.BytesIO()
    with warnings.catch_warnings():
        # That sizes which are Python's become constants is meant, and that there is a newer
        # exporter, known: it needs more packages, and does not write this opset.
        warnings.simplefilter("ignore")
        torch.onnx.export(
            module.eval(),
            (torch.zeros(1, channels, *(size or (240, 320))),),
            stream,  # type: ignore[arg-type]
            dynamo=False,
            opset_version=_OPSET,
            input_names=[_INPUT],
            output_names=outputs,
            dynamic_axes=axes,
        )
    return _fold_constants(stream.getvalue())


def _fold_constants(data: bytes) -> bytes:
    """Replace nodes that compute from constants alone: OpenCV 4 wants some numbers as constants."""
    import onnx
    from onnx.reference import ReferenceEvaluator

    model = onnx.load_model_from_string(data)
    graph = model.graph
    known = {tensor.name: onnx.numpy_helper.to_array(tensor) for tensor in graph.initializer}
    left = []
    for node in graph.node:
        given = {name for name in node.input if name}
        # What dequantises weights stays, lest they become floats.
        if known.keys() >= given and node.op_type != "DequantizeLinear":
            feeds = {name: known[name] for name in given}
            values: Any = ReferenceEvaluator(node, opsets={"": _OPSET}).run(None, feeds)
            known |= dict(zip(node.output, values, strict=True))
        else:
            while not node.input[-1]:  # optional, and not given
                node.input.pop()
            left.append(node)
    needed = {name for node in left for name in node.input} & known.keys()
    del graph.node[:], graph.initializer[:]
    graph.node.extend(left)
    graph.initializer.extend(
        onnx.numpy_helper.from_array(np.asarray(known[name]), name) for name in sorted(needed)
    )
    content: bytes = model.SerializeToString()
    return content


class _Onnx(nn.Module):
    """From images of grey or RGB to the outputs of one of the targets."""

    def __init__(self, graph: ExtractionGraph) -> None:
        super().__init__()
        self.graph = graph

    def forward(self, image: Tensor) -> Outputs:
        """Return keypoints, descriptors and scores; see :func:`onnx_bytes`."""
        # A single channel is broadcast; the weights' sum is 1.
        grey = (image * 255 * torch.tensor(_GREY)[:, None, None]).sum(1, keepdim=True)
        xy, score, descriptors = self.graph((grey + 0.5).floor())
        return self.outputs(xy, descriptors, score)

    def outputs(self, xy: Tensor, descriptors: Tensor, score: Tensor) -> Outputs:
        """Return them as the target wants them."""
        return xy, descriptors, score


class _Binary(_Onnx):
    def __init__(self, graph: ExtractionGraph, code: BinaryCode) -> None:
        super().__init__(graph)
        self.directions, self.thresholds = map(torch.from_numpy, (code.directions, code.thresholds))

    def outputs(self, xy: Tensor, descriptors: Tensor, score: Tensor) -> Outputs:
        bits = ((descriptors @ self.directions.T)[..., None] > self.thresholds).float()
        worth = 2.0 ** torch.arange(7, -1, -1)  # the first bit is the highest, as in numpy
        rows = bits.reshape(*score.shape, BYTES, 8) @ worth
        return xy, rows.to(torch.uint8), score


class _Aliked(_Onnx):
    def outputs(self, xy: Tensor, descriptors: Tensor, score: Tensor) -> Outputs:
        assert self.graph.size is not None
        height, width = self.graph.size
        place = xy[0] * torch.tensor([2 / width, 2 / height]) - 1
        count = (score[0] > 0).sum()  # OpenCV would return all N
        # Cut last: OpenCV 5.0 may spoil what is computed from tensors that grow between calls.
        return place[:count], descriptors[0, :count], score[0, :, None][:count]


class _Disk(_Onnx):
    def outputs(self, xy: Tensor, descriptors: Tensor, score: Tensor) -> Outputs:
        # By default, OpenCV drops scores below 0, not those of 0.
        return (xy + 0.5).floor().long(), descriptors, score - (score == 0).float()


class _Web(nn.Module):
    """From grey images to maps of the size of the image, and of cells."""

    def __init__(self, graph: ExtractionGraph) -> None:
        super().__init__()
        self.graph = graph

    def forward(self, image: Tensor) -> tuple[Tensor, ...]:
        """Return heat and descriptors; see :func:`onnx_bytes`."""
        network = self.graph.network
        features = network.encode(image)
        return heat_map(network.detect(features))[:, None], network.describe(features)


class _Maps(_Web):
    def forward(self, image: Tensor) -> tuple[Tensor, ...]:
        """Return heat, descriptors and scores; see :func:`onnx_bytes`."""
        heat, descriptors = super().forward(image)
        return heat, descriptors, strongest(point_scores(heat[:, 0]), self.graph.settings)


_MODULES = {"aliked": _Aliked, "disk": _Disk, "onnx": _Onnx, "maps": _Maps, "web": _Web}

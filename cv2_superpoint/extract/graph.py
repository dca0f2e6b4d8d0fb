"""Extraction as one graph of tensors of fixed sizes, to be exported to ONNX.

The points are those of :class:`~cv2_superpoint.extract.extractor.Extractor` on an image that needs
no tiles. Two things differ where they hardly show: suppression ends after so many rounds, and equal
scores next to each other do not suppress each other.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..model.decode import heat_map, point_scores, refine_subpixel
from ..model.network import CELL, SuperPointNet
from ..settings import DetectionSettings
from .regions import Region, Span

Size = tuple[int, int]
"""``(height, width)``; while sizes are traced, the two are tensors."""

_ROUNDS = 5
"""Of suppression: enough for the strongest thousand points of a photograph to be exact."""


class ExtractionGraph(nn.Module):
    """From grey images to their strongest points, in operations that ONNX has.

    Parameters
    ----------
    network
        In evaluation mode.
    settings
        What to keep; `nfeatures` is at least 1.
    size
        ``(height, width)`` of all images; None: as traced from the images.
    """

    def __init__(
        self, network: SuperPointNet, settings: DetectionSettings, size: Size | None = None
    ) -> None:
        super().__init__()
        self.network = network
        self.settings = settings
        self.size = size

    def forward(self, grey: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Find the strongest points, and describe them.

        Parameters
        ----------
        grey
            ``(B, 1, H, W)`` float32, whole numbers from 0 to 255.

        Returns
        -------
        xy : Tensor
            ``(B, N, 2)`` float32 pixels, the strongest first; N is `settings.nfeatures`.
        score : Tensor
            ``(B, N)`` float32; 0 where there is no further point.
        descriptors : Tensor
            ``(B, N, D)`` float32 of unit L2 norm.
        """
        image_size = self.size or (grey.shape[2], grey.shape[3])
        found = [self._level(grey, i, image_size) for i in range(self.settings.nlevels)]
        if len(found) == 1:
            return found[0]
        xy, score, descriptors = (torch.cat(parts, dim=1) for parts in zip(*found, strict=True))
        score, order = score.topk(self.settings.nfeatures, dim=1)
        return _take(xy, order), score, _take(descriptors, order)

    def _level(self, grey: Tensor, level: int, image_size: Size) -> tuple[Tensor, Tensor, Tensor]:
        """Return the strongest points of a level of the pyramid, as :meth:`forward` does."""
        scale = self.settings.scale(level)
        height, width = size = image_size if scale == 1 else _reduced(image_size, scale)
        pixels = grey if scale == 1 else _resize(grey, image_size, size)
        pixels = _repeat_last(_repeat_last(pixels, 2, height), 3, width)
        features = self.network.encode(pixels / 255)

        rows, columns = (Span(0, side, -math.inf, math.inf) for side in size)
        region = Region(level, size, image_size, rows, columns)
        heat = heat_map(self.network.detect(features))[:, :height, :width]
        xy, score = self._find(heat, region)
        descriptors = self._describe(self.network.descriptor_features(features), xy)
        xy = region.inside_image(xy.flatten(0, 1)).reshape(*score.shape, 2)
        return xy, score, descriptors

    def _find(self, heat: Tensor, region: Region) -> tuple[Tensor, Tensor]:
        """Return ``(B, N, 2)`` positions in the region, and ``(B, N)`` scores."""
        settings, (height, width) = self.settings, region.size
        kept = strongest(point_scores(heat), settings)
        side = settings.nms_radius + 1  # two pixels of one such square cannot both be kept
        room = _ceil_div(height, side) * _ceil_div(width, side)
        score, place = kept.flatten(1).topk(room, dim=1)
        image = torch.arange(score.shape[0])[:, None].expand_as(place)
        index = torch.stack([image, place // width, place % width], dim=2)
        xy = refine_subpixel(heat, index.flatten(0, 1))
        allowed = region.off_border(xy, settings.edge_threshold).reshape(score.shape)

        count = settings.nfeatures  # of rows, also for images without room for so many
        score, order = F.pad(score * allowed, (0, count)).topk(count, dim=1)
        xy = F.pad(xy.reshape(*place.shape, 2), (0, 0, 0, count))
        return _take(xy, order), score

    def _describe(self, features: Tensor, xy: Tensor) -> Tensor:
        """Return ``(B, N, D)`` descriptors at ``(B, N, 2)`` positions."""
        width, height = (torch.as_tensor(features.shape[i], dtype=torch.float32) for i in (3, 2))
        cells = torch.stack([width, height])
        place = (xy + 0.5) * (2 / CELL) / cells - 1  # from -1 to 1
        rows = F.grid_sample(features, place[:, None], padding_mode="border", align_corners=False)
        rows = self.network.project(rows[:, :, 0].transpose(1, 2).flatten(0, 1))
        return F.normalize(rows, dim=1).reshape(*xy.shape[:2], -1)


def strongest(score: Tensor, settings: DetectionSettings) -> Tensor:
    """Return ``(B, H, W)`` scores as ``(B, 1, H, W)``: 0 if they are too low, or suppressed."""
    radius = settings.nms_radius
    # Products with masks as numbers, since OpenCV 4 has no type for truth values.
    alive = (score * (score > settings.score_threshold).float())[:, None]
    kept = 0 * alive
    for _ in range(_ROUNDS):
        first = alive * (alive == _max_filter(alive, radius)).float()
        kept = kept + first
        alive = alive * (_max_filter(first, radius) == 0).float()
    return kept


def _take(rows: Tensor, order: Tensor) -> Tensor:
    """Return ``(B, N, D)``: the rows of ``(B, M, D)`` at ``(B, N)`` places."""
    return rows.gather(1, order[..., None].expand(-1, -1, rows.shape[2]))


def _ceil_div(a: int, b: int) -> int:
    return (a + b - 1) // b


def _max_filter(values: Tensor, radius: int) -> Tensor:
    """Return the maximum over the square around each pixel of ``(..., H, W)``, 0 or more.

    As the package's own filter, but without nodes that compute sizes. (Pooling is slow in OpenCV.)
    """
    values = F.pad(values, (radius, radius, radius, radius))
    span, side = 1, 2 * radius + 1
    while span < side:
        step = min(span, side - span)
        values = torch.maximum(values[..., :-step], values[..., step:])
        values = torch.maximum(values[..., :-step, :], values[..., step:, :])
        span += step
    return values


def _reduced(size: Size, scale: float) -> Size:
    """Return the size of a level, as :func:`~cv2_superpoint.extract.regions.levels` does.

    The default scales are a hair above 2 and 4, so that halves are rounded down. The float32 of
    ONNX does not see the hair.
    """
    height, width = (
        (side / scale - 0.5001).ceil().clamp(min=1).long()
        if isinstance(side, Tensor)
        else max(1, round(side / scale))
        for side in size
    )
    return height, width


def _resize(pixels: Tensor, full: Size, size: Size) -> Tensor:
    """Return images at another size, anti-aliased, in whole numbers after each direction.

    ONNX resizes with anti-aliasing from opset 18 on only; here it is a product of matrices.
    """
    pixels = (pixels @ _triangles(full[1], size[1]).T + 0.5).floor()
    return (_triangles(full[0], size[0]) @ pixels + 0.5).floor()


def _triangles(full: int, side: int) -> Tensor:
    """Return the ``(side, full)`` weights of a line's pixels in those of one of another length."""
    ratio = full / side
    centre = (torch.arange(side) + 0.5) * ratio
    distance = (torch.arange(full) + 0.5 - centre[:, None]).abs()
    # Enlarging, a triangle spans the two nearest pixels.
    support = ratio.clamp(min=1) if isinstance(ratio, Tensor) else max(1.0, ratio)
    weights = (1 - distance / support).clamp(min=0)
    return weights / weights.sum(1, keepdim=True)


def _repeat_last(pixels: Tensor, dim: int, side: int) -> Tensor:
    """Pad a dimension to whole cells by repeating its last pixel."""
    place = torch.arange(_ceil_div(side, CELL) * CELL).float().clamp(max=side - 1)
    return pixels.index_select(dim, place.long())

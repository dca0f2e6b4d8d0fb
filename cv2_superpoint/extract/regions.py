"""What the network sees at once: a pyramid level, or a tile of one that is too large.

Both are one idea: a part of the image at a scale, run alone; what is found in all of them is
merged at the end. Tiles overlap by more than the network sees around a pixel, begin at whole
cells, and keep the points of their own core only, so that the seams do not show.
"""

from __future__ import annotations

from collections.abc import Container, Iterator
from dataclasses import dataclass
from functools import lru_cache, partial

import torch
import torch.nn.functional as F
from torch import Tensor

from ..model.network import CELL
from ..settings import DetectionSettings

MARGIN = 64
"""Pixels of a tile beyond its core; the networks see at most 54 around a pixel."""

CORE = 1024
"""Side of a tile's core in pixels, a multiple of 8."""


@dataclass(frozen=True)
class Span:
    """One axis of a region, in pixels of its level.

    Attributes
    ----------
    start, stop
        What the network sees.
    first, last
        Its core: from `first` up to, but not including, `last`.
    """

    start: int
    stop: int
    first: float
    last: float


@dataclass(frozen=True)
class Region:
    """A part of the image at a scale.

    Attributes
    ----------
    level
        Of the pyramid.
    level_size, image_size
        ``(height, width)`` of the level and of the image.
    rows, columns
        Where in the level.
    """

    level: int
    level_size: tuple[int, int]
    image_size: tuple[int, int]
    rows: Span
    columns: Span

    @property
    def size(self) -> tuple[int, int]:
        """``(height, width)`` of what the network sees, before it is padded to whole cells."""
        return self.rows.stop - self.rows.start, self.columns.stop - self.columns.start

    def to_image(self, xy: Tensor) -> Tensor:
        """Turn ``(N, 2)`` pixels of the region into those of the image."""
        x, y = xy.unbind(1)
        across, down = self._scale
        x = (x + self.columns.start + 0.5) / across - 0.5
        y = (y + self.rows.start + 0.5) / down - 0.5
        return torch.stack([x, y], dim=1)

    def inside_image(self, xy: Tensor) -> Tensor:
        """Turn ``(N, 2)`` pixels of the region into the nearest ones inside the image."""
        x, y = self.to_image(xy).unbind(1)
        height, width = self.image_size
        return torch.stack([x.clamp(0, width - 1), y.clamp(0, height - 1)], dim=1)

    def masked(self, xy: Tensor, masks: Tensor, image: Tensor | int) -> Tensor:
        """Look up ``(N, 2)`` pixels of the region in the images' masks, at OpenCV's rounding.

        Parameters
        ----------
        xy
            ``(N, 2)``.
        masks
            ``(B, H, W)`` bool.
        image
            ``(N,)`` integer, or one for all: whose mask.
        """
        x, y = (self.inside_image(xy) + 0.5).long().unbind(1)
        height, width = self.image_size
        # What is no number must not be looked up outside.
        return masks[image, y.clamp(0, height - 1), x.clamp(0, width - 1)]

    def from_image(self, xy: Tensor) -> Tensor:
        """Turn ``(N, 2)`` pixels of the image into those of the region."""
        x, y = xy.unbind(1)
        across, down = self._scale
        x = (x + 0.5) * across - 0.5 - self.columns.start
        y = (y + 0.5) * down - 0.5 - self.rows.start
        return torch.stack([x, y], dim=1)

    def in_core(self, xy: Tensor) -> Tensor:
        """Tell which ``(N, 2)`` pixels of the region lie in its core."""
        x, y = xy.unbind(1)
        rows, columns = self.rows, self.columns
        in_columns = (x >= columns.first - columns.start) & (x < columns.last - columns.start)
        return in_columns & (y >= rows.first - rows.start) & (y < rows.last - rows.start)

    def off_border(self, xy: Tensor, border: int) -> Tensor:
        """Tell which ``(N, 2)`` pixels of the region are so far inside the level."""
        x, y = xy.unbind(1)
        left, top = border - self.columns.start, border - self.rows.start
        right = self.level_size[1] - 1 - border - self.columns.start
        bottom = self.level_size[0] - 1 - border - self.rows.start
        return (x >= left) & (x <= right) & (y >= top) & (y <= bottom)

    @property
    def _scale(self) -> tuple[float, float]:
        """How many pixels of the level one of the image is, in x and y."""
        (level_height, level_width), (height, width) = self.level_size, self.image_size
        return level_width / width, level_height / height


def levels(
    height: int, width: int, settings: DetectionSettings
) -> Iterator[tuple[int, tuple[int, int]]]:
    """Yield each level of the pyramid of an image with its ``(height, width)``."""
    for level in range(settings.nlevels):
        scale = settings.scale(level)
        yield level, (max(1, round(height / scale)), max(1, round(width / scale)))


def split(
    level: int, size: tuple[int, int], image_size: tuple[int, int], core: int = CORE
) -> Iterator[Region]:
    """Yield the regions of a level of some ``(height, width)``: itself, or its tiles."""
    for rows in _spans(size[0], core):
        for columns in _spans(size[1], core):
            yield Region(level, size, image_size, rows, columns)


def _spans(length: int, core: int) -> Iterator[Span]:
    count = max(1, -(-(length - 2 * MARGIN) // core))  # the outer margins need no neighbour
    edges = [round(i * length / count / CELL) * CELL for i in range(1, count)]
    starts = [max(0, edge - MARGIN) for edge in [0, *edges]]
    stops = [min(length, edge + MARGIN) for edge in [*edges, length]]
    # Positions between two pixels belong to the nearer one; nothing lies outside the image.
    firsts = [-float("inf"), *(edge - 0.5 for edge in edges)]
    lasts = [*(edge - 0.5 for edge in edges), float("inf")]
    for start, stop, first, last in zip(starts, stops, firsts, lasts, strict=True):
        yield Span(start, stop, first, last)


def resize(pixels: Tensor, size: tuple[int, int]) -> Tensor:
    """Return ``(B, 1, H, W)`` images at another ``(height, width)``, anti-aliased."""
    if (pixels.shape[2], pixels.shape[3]) == size:
        return pixels
    if pixels.device.type == "cpu":
        return F.interpolate(pixels, size, mode="bilinear", align_corners=False, antialias=True)
    # Elsewhere PyTorch resizes floating point only.
    return F.interpolate(
        pixels.float(), size, mode="bilinear", align_corners=False, antialias=True
    ).round()


def cut(level: Tensor, region: Region) -> Tensor:
    """Return the pixels of a region, padded to whole cells by repeating the last ones."""
    rows, columns = region.rows, region.columns
    pixels = level[:, :, rows.start : rows.stop, columns.start : columns.stop]
    for dim in (2, 3):
        missing = -pixels.shape[dim] % CELL
        if missing:
            last = pixels.narrow(dim, pixels.shape[dim] - 1, 1)
            pixels = torch.cat([pixels, last.repeat_interleave(missing, dim)], dim)
    return pixels


def split_levels(
    image_size: tuple[int, int], settings: DetectionSettings, core: int
) -> Iterator[Region]:
    """Yield the regions of all levels of an image.

    Parameters
    ----------
    image_size
        ``(H, W)``.
    settings
        Of the pyramid.
    core
        Side of the cores of tiles, in pixels.
    """
    for level, size in levels(*image_size, settings):
        yield from split(level, size, image_size, core)


def regions(
    pixels: Tensor,
    settings: DetectionSettings,
    core: int,
    wanted: Container[int] | None = None,
) -> Iterator[tuple[Region, Tensor]]:
    """Yield the regions of all levels, or of some, and their pixels in whole cells.

    Parameters
    ----------
    pixels
        ``(B, 1, H, W)`` images.
    settings
        Of the pyramid.
    core
        Side of the cores of tiles, in pixels.
    wanted
        Levels; None: all.
    """
    resized = lru_cache(maxsize=1)(partial(resize, pixels))
    for region in split_levels((pixels.shape[2], pixels.shape[3]), settings, core):
        if wanted is None or region.level in wanted:
            yield region, cut(resized(region.level_size), region)

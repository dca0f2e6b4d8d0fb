"""From the network's outputs to keypoints and descriptors: pure tensor functions.

Coordinates are pixels of the image that the network saw, ``(x, y)``, integer at pixel centres
(OpenCV's convention): the middle of cell (row i, column j) is ``(8 j + 3.5, 8 i + 3.5)``.
"""

from __future__ import annotations

from functools import cache

import torch
import torch.nn.functional as F
from torch import Tensor

from .network import CELL, DUSTBIN


def heat_map(logits: Tensor) -> Tensor:
    """Return the probability that each pixel is an interest point.

    Softmax over the 65 channels of a cell, the dustbin dropped, depth to space (paper, 3.2).

    Parameters
    ----------
    logits
        ``(B, 65, h, w)``.

    Returns
    -------
    Tensor
        ``(B, 8 h, 8 w)``, in [0, 1], float32.
    """
    # Cell by cell: along the last dimension, the rounding does not depend on the batch.
    cells = logits.float().permute(0, 2, 3, 1).contiguous().softmax(dim=-1)[..., :DUSTBIN]
    batch, rows, columns = cells.shape[:3]
    pixels = cells.reshape(batch, rows, columns, CELL, CELL).transpose(2, 3)
    return pixels.reshape(batch, rows * CELL, columns * CELL)


def point_scores(heat: Tensor) -> Tensor:
    """Return the sum of the heat in the 3x3 pixels around each pixel.

    A corner between pixels shares its probability among them. The sum is the expected number of
    interest points within a pixel, wherever between pixels they lie. It decides which points are
    kept, and is their response. It may exceed 1 where two points are this close.

    Parameters
    ----------
    heat
        ``(B, H, W)``.

    Returns
    -------
    Tensor
        Of the same shape.
    """
    padded = F.pad(heat, (1, 1, 1, 1))
    rows = (padded[..., :-2] + padded[..., 1:-1]).add_(padded[..., 2:])
    return (rows[..., :-2, :] + rows[..., 1:-1, :]).add_(rows[..., 2:, :])


def refine_subpixel(heat: Tensor, index: Tensor) -> Tensor:
    """Return peaks to sub-pixel precision: the heat's centre of mass around the hottest pixel.

    The hottest of the 3x3 pixels around the peak, and the centre of mass of the 5x5 around that.

    Parameters
    ----------
    heat
        ``(B, H, W)``.
    index
        ``(N, 3)`` integer ``(b, y, x)`` of the peaks of the score.

    Returns
    -------
    Tensor
        ``(N, 2)`` float32 ``(x, y)`` in pixels, inside the image.
    """
    b, y, x = index.unbind(1)
    height, width = heat.shape[1:]
    row = width + 6  # of a frame of zeros, so that windows never leave a map
    flat = F.pad(heat, (3, 3, 3, 3)).reshape(-1)
    place = (b * (height + 6) + y + 3) * row + x + 3

    def heat_around(radius: int) -> tuple[Tensor, Tensor, Tensor]:
        """Return the heat around each place, ``(N, pixels)``, and the places' offsets."""
        xy = _window(radius, heat.device)
        offset = xy[1] * row + xy[0]
        return (
            flat.index_select(0, (place[:, None] + offset).flatten()).view(-1, len(offset)),
            offset,
            xy,
        )

    near, offset, moves = heat_around(1)
    hottest = near.detach().argmax(1)
    place = place + offset[hottest]
    weight, _, offsets = heat_around(2)
    weight = weight.float()
    total = weight.sum(1).clamp_min(torch.finfo(torch.float32).tiny)
    mean = (weight[:, None] * offsets).sum(2) / total[:, None]
    x, y = (torch.stack([x, y], dim=1) + moves.T[hottest] + mean).unbind(1)
    return torch.stack([x.clamp(0, width - 1), y.clamp(0, height - 1)], dim=1)


@cache
def _window(radius: int, device: torch.device) -> Tensor:
    """Return the offsets ``(x, y)``, ``(2, pixels)``, of a square's pixels."""
    middle = 2 * radius * (radius + 1)  # comes first, and so is the hottest of equal ones
    with torch.inference_mode(False):  # for whoever comes next, who may need gradients
        side = torch.arange(-radius, radius + 1, device=device)
        oy, ox = torch.meshgrid(side, side, indexing="ij")
        return torch.stack([ox.flatten(), oy.flatten()]).roll(-middle, 1)


def sample(maps: Tensor, image: Tensor, xy: Tensor) -> Tensor:
    """Interpolate maps of cells bilinearly at given positions.

    A position x lies at ``(x + 0.5) / 8`` cells from the left; the middle of the first cell is at
    0.5. (The sampling often copied from the first release is half a cell off.) The paper's section
    3.3 interpolates bicubically; its release, and we, bilinearly. Beyond the middles of the border
    cells, values stay constant.

    Parameters
    ----------
    maps
        ``(B, C, h, w)``.
    image
        ``(N,)`` integer: the map of each position.
    xy
        ``(N, 2)`` float, pixels.

    Returns
    -------
    Tensor
        ``(N, C)`` float32.
    """
    _, channels, height, width = maps.shape
    x, y = ((xy.float() + 0.5) / CELL - 0.5).unbind(1)
    x, y = x.clamp(0, width - 1), y.clamp(0, height - 1)
    left, top = x.detach().long(), y.detach().long()
    right, bottom = (left + 1).clamp_max(width - 1), (top + 1).clamp_max(height - 1)
    fx, fy = x - left, y - top
    corners = [top * width + left, top * width + right, bottom * width + left,
               bottom * width + right]  # fmt: skip
    cells = torch.stack(corners, dim=1) + image[:, None] * (height * width)
    weights = [(1 - fx) * (1 - fy), fx * (1 - fy), (1 - fx) * fy, fx * fy]
    table = maps.permute(0, 2, 3, 1).reshape(-1, channels).float()
    return F.embedding_bag(cells, table, per_sample_weights=torch.stack(weights, dim=1), mode="sum")


def sample_descriptors(maps: Tensor, xy: Tensor) -> Tensor:
    """Interpolate maps of descriptors at given positions, then normalise to unit length.

    Parameters
    ----------
    maps
        ``(B, D, h, w)``, not normalised.
    xy
        ``(B, N, 2)`` float, pixels.

    Returns
    -------
    Tensor
        ``(B, N, D)`` float32 of unit L2 norm.
    """
    batch, count, _ = xy.shape
    image = torch.arange(batch, device=xy.device).repeat_interleave(count)
    rows = sample(maps, image, xy.reshape(-1, 2)).unflatten(0, (batch, count))
    return F.normalize(rows, dim=2)

"""SuperPoint as the literature describes and commonly implements it, to compare times with.

DeTone, Malisiewicz, Rabinovich, arXiv:1712.07629: a VGG-like encoder at full resolution, two heads,
eager PyTorch in float32. Its weights are random: the convolutions take the same time, and a fixed
number of the strongest peaks is described, as a trained network's would be.
"""

from typing import Any

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn

from ..common.datasets import Image

RADIUS = 4
BORDER = 4


class PlainSuperPoint:
    """The part of cv2.Feature2D that the benchmark uses.

    Parameters
    ----------
    count
        Of keypoints.
    """

    def __init__(self, count: int) -> None:
        self._count = count
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            self._encoder = nn.Sequential(
                *(*_block(1, 64), nn.MaxPool2d(2), *_block(64, 64), nn.MaxPool2d(2)),
                *(*_block(64, 128), nn.MaxPool2d(2), *_block(128, 128)),
            )
            self._detector, self._descriptor = _head(65), _head(256)

    @torch.inference_mode()
    def detectAndCompute(
        self, image: Image, mask: None
    ) -> tuple[list[cv2.KeyPoint], NDArray[np.float32]]:
        """Detect and describe; sides of the image are multiples of 8."""
        features = self._encoder(torch.from_numpy(image)[None, None].float() / 255)
        cells = self._detector(features).softmax(1)[:, :-1]  # without the dustbin
        heat = suppress(F.pixel_shuffle(cells, 8)[0, 0])
        heat[:BORDER] = heat[-BORDER:] = 0
        heat[:, :BORDER] = heat[:, -BORDER:] = 0
        scores, index = heat.flatten().topk(self._count)
        y, x = index // heat.shape[1], index % heat.shape[1]
        size = torch.tensor([heat.shape[1], heat.shape[0]])
        grid = (2 * torch.stack([x, y], 1) + 1) / size - 1
        coarse = F.normalize(self._descriptor(features), dim=1)
        sampled = F.grid_sample(coarse, grid[None, None], align_corners=False)[0, :, 0]
        descriptors = F.normalize(sampled, dim=0).T.contiguous().numpy()
        rows: Any = zip(x.tolist(), y.tolist(), scores.tolist(), strict=True)
        return [cv2.KeyPoint(x, y, 8, -1, score) for x, y, score in rows], descriptors

    def defaultNorm(self) -> int:
        """Return cv2.NORM_L2."""
        return cv2.NORM_L2


def suppress(heat: Tensor) -> Tensor:
    """Keep local maxima, then twice those that appear once the neighbours of others are gone.

    Parameters
    ----------
    heat
        ``(H, W)``.

    Returns
    -------
    Tensor
        The same with zeros where there is no maximum within `RADIUS` pixels.
    """
    kept = heat == _dilate(heat)
    for _ in range(2):
        near = _dilate(kept.float()) > 0
        rest = heat.masked_fill(near, 0)
        kept = kept | ((rest == _dilate(rest)) & ~near)
    return heat.where(kept, 0)


def _dilate(heat: Tensor) -> Tensor:
    return F.max_pool2d(heat[None], 2 * RADIUS + 1, stride=1, padding=RADIUS)[0]


def _block(inputs: int, outputs: int) -> list[nn.Module]:
    return [
        *(nn.Conv2d(inputs, outputs, 3, padding=1), nn.ReLU()),
        *(nn.Conv2d(outputs, outputs, 3, padding=1), nn.ReLU()),
    ]


def _head(outputs: int) -> nn.Module:
    return nn.Sequential(nn.Conv2d(128, 256, 3, padding=1), nn.ReLU(), nn.Conv2d(256, outputs, 1))

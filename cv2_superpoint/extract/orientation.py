"""The direction of a point: towards the light around it.

The intensity centroid (Rosin, "Measuring Corner Properties", CVIU 1999), as ORB takes it (Rublee et
al., "ORB: an efficient alternative to SIFT or SURF", ICCV 2011, section 3.2). The network needs no
direction, since it has learnt to describe turned images alike; code around it may.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from torch import Tensor

from ..features import Features
from ..settings import DetectionSettings
from .regions import CORE, regions

RADIUS = 15
"""Of the disc, in pixels: ORB's, by default."""


def centroid_angles(pixels: Tensor, image: Tensor | int, xy: Tensor) -> Tensor:
    """Return the directions from points to the centroids of the intensity around them.

    Parameters
    ----------
    pixels
        ``(B, 1, H, W)`` grey; beyond its border it counts as repeated.
    image
        ``(N,)`` integer, or one for all: which of the batch.
    xy
        ``(N, 2)`` pixels of it.

    Returns
    -------
    Tensor
        ``(N,)`` float32 degrees from 0 to less than 360, from the x axis towards the y axis, as
        ``cv2.KeyPoint`` has them.
    """
    rows = torch.arange(-RADIUS, RADIUS + 1, device=xy.device)
    half = ((RADIUS + 0.5) ** 2 - rows.square()).sqrt().long()  # of the disc's width, in each row
    # Sums along rows, from the left border on: a row of the disc is then the difference of two.
    # In integers, as float32 has too few digits for them.
    around = F.pad(pixels.float(), (RADIUS,) * 4, mode="replicate")[:, 0].round().int()
    columns = torch.arange(around.shape[2], device=xy.device, dtype=torch.int32)
    light, moment = (
        F.pad(values.cumsum(2, dtype=torch.int32), (1, 0)).flatten()
        for values in (around, around * columns)
    )
    x, y = (xy.round().long() + RADIUS).unbind(1)
    row = torch.as_tensor(image, device=xy.device).reshape(-1, 1) * around.shape[1] + y[:, None]
    start = (row + rows) * (around.shape[2] + 1) + x[:, None]
    first, last = start - half, start + half + 1
    in_row = light[last] - light[first]
    across = (moment[last] - moment[first]).sum(1) - x * in_row.sum(1)
    down = (in_row * rows).sum(1)
    return torch.atan2(down.float(), across.float()).rad2deg() % 360


def orient(
    settings: DetectionSettings, image: npt.NDArray[np.uint8], features: Features
) -> Features:
    """Return the features of an image with the directions that their levels show."""
    pixels, xy = torch.from_numpy(np.stack([image]))[None], torch.from_numpy(features.xy)
    angle = features.angle.copy()
    for region, cells in regions(pixels, settings, CORE, features.octave):
        points = region.from_image(xy)
        chosen = region.in_core(points).numpy() & (features.octave == region.level)
        angle[chosen] = centroid_angles(cells, 0, points[chosen]).numpy()
    return replace(features, angle=angle)

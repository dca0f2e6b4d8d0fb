"""The points of all regions of an image become one list: the strongest of all."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from ..features import Features
from ..model.network import CELL
from ..settings import DetectionSettings


class Found(NamedTuple):
    """What was found in a region.

    Attributes
    ----------
    xy
        ``(N, 2)`` float32 pixels of the image.
    score
        ``(N,)`` float32.
    level
        Of the pyramid.
    descriptors
        ``(N, D)`` float32 of unit L2 norm, or None.
    """

    xy: Tensor
    score: Tensor
    level: int
    descriptors: Tensor | None


def merge(found: list[Found], settings: DetectionSettings) -> Features:
    """Return the strongest points of all regions of an image.

    Repetitions of a corner on several levels stay: they help where images differ in scale.
    """
    score = torch.cat([part.score for part in found])
    order = score.argsort(descending=True, stable=True)
    order = order[: settings.nfeatures] if settings.nfeatures > 0 else order
    level = torch.cat([torch.full_like(part.score, part.level) for part in found])[order]
    described = [part.descriptors for part in found if part.descriptors is not None]
    rows = torch.cat(described)[order].cpu().numpy() if described else None
    return to_features(
        xy=torch.cat([part.xy for part in found])[order].cpu().numpy(),
        score=score[order].cpu().numpy(),
        octave=level.cpu().numpy().astype(np.int32),
        descriptors=rows,
        settings=settings,
    )


def to_features(
    xy: npt.NDArray[np.float32],
    score: npt.NDArray[np.float32],
    octave: npt.NDArray[np.int32],
    descriptors: npt.NDArray[np.float32] | None,
    settings: DetectionSettings,
) -> Features:
    """Return features with the size that their level gives them, and no angle."""
    size = sizes(octave, settings).astype(np.float32)
    angle = np.full(len(octave), -1, np.float32)
    return Features(xy, score, size, angle, octave, descriptors)


def sizes(octave: npt.NDArray[np.int32], settings: DetectionSettings) -> npt.NDArray[np.float64]:
    """Return the sizes of our points by their octaves, in pixels of the image."""
    return CELL * settings.scale_factor ** (octave - np.float64(settings.first_level))


def weakest_wanted(found: list[Found], settings: DetectionSettings) -> float:
    """Return the score that points of further regions must exceed to be among the strongest."""
    if settings.nfeatures <= 0 or sum(len(part.score) for part in found) < settings.nfeatures:
        return settings.score_threshold
    scores = torch.cat([part.score for part in found])
    return max(settings.score_threshold, float(scores.topk(settings.nfeatures).values[-1]))

"""The points of all regions of an image become one list: the strongest of all."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from ..features import Features
from ..model.network import CELL
from ..settings import DetectionSettings

Project = Callable[[Tensor], Tensor]
"""From ``(N, C)`` features to ``(N, D)`` descriptors of unit L2 norm."""


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
    features
        ``(N, C)`` float32, to be projected to descriptors; or None.
    """

    xy: Tensor
    score: Tensor
    level: int
    features: Tensor | None


def merge(found: list[Found], settings: DetectionSettings, project: Project) -> Features:
    """Return the strongest points of all regions of an image.

    Repetitions of a corner on several levels stay: they help where images differ in scale.

    Parameters
    ----------
    found
        What was found in each region. Of equal points, those of the first regions come first.
    settings
        What to keep.
    project
        Makes descriptors of the features of points. It sees those that are kept, all at once: the
        last bits of a matrix product depend on the number of its rows.
    """
    score = torch.cat([part.score for part in found])
    order = score.argsort(descending=True, stable=True)
    order = order[: settings.nfeatures] if settings.nfeatures > 0 else order
    level = torch.cat([torch.full_like(part.score, part.level) for part in found])[order]
    described = [part.features for part in found if part.features is not None]
    rows = project(torch.cat(described)[order]).cpu().numpy() if described else None
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
    scales = np.array([settings.scale(i) for i in range(settings.nlevels)])
    size = (CELL * scales[octave]).astype(np.float32)
    angle = np.full(len(octave), -1, np.float32)
    return Features(xy, score, size, angle, octave, descriptors)


def weakest_wanted(found: list[Found], settings: DetectionSettings) -> float:
    """Return the score that points of further regions must exceed to be among the strongest."""
    if settings.nfeatures <= 0 or sum(len(part.score) for part in found) < settings.nfeatures:
        return settings.score_threshold
    scores = torch.cat([part.score for part in found])
    return max(settings.score_threshold, float(scores.topk(settings.nfeatures).values[-1]))

"""What a caller asked for, as plain data."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class DetectionSettings:
    """What to keep of the heat map.

    Attributes
    ----------
    nfeatures
        At most this many, the strongest; 0 or less: all.
    scale_factor, nlevels
        The image pyramid: level i is ``scale_factor ** i`` times smaller.
    edge_threshold
        Width in pixels (of each level) of the border without keypoints.
    score_threshold
        Only probabilities above it count.
    nms_radius
        One keypoint within so many pixels (of each level), in both x and y.
    """

    nfeatures: int = 500
    scale_factor: float = 1.2
    nlevels: int = 1
    edge_threshold: int = 4
    score_threshold: float = 0.005
    nms_radius: int = 4

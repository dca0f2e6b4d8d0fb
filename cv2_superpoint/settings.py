"""The parameters of detection and description, as plain data."""

from __future__ import annotations

from dataclasses import dataclass

FLOAT, BINARY = 5, 0
"""Types of descriptors, by OpenCV's numbers: CV_32F and CV_8U."""


@dataclass(frozen=True)
class DetectionSettings:
    """Which points to keep, and how to describe them.

    Attributes
    ----------
    nfeatures
        At most this many, the strongest; 0 or less: all.
    scale_factor, nlevels, first_level
        The image pyramid: level i is ``scale_factor ** (i - first_level)`` times smaller than the
        image; levels before `first_level` are enlarged.
    edge_threshold
        Width in pixels (of each level) of the border without keypoints.
    score_threshold
        Only points with a higher score are kept.
    nms_radius
        Only the strongest keypoint within this many pixels (of each level), in both x and y.
    descriptor_type
        `FLOAT` or `BINARY`.
    upright
        Whether keypoints go without a direction.
    """

    nfeatures: int = 500
    scale_factor: float = 2**0.5
    nlevels: int = 5
    first_level: int = 0
    edge_threshold: int = 4
    score_threshold: float = 0.02
    nms_radius: int = 4
    descriptor_type: int = FLOAT
    upright: bool = True

    def scale(self, level: int) -> float:
        """Return how many times smaller than the image a level is."""
        return float(self.scale_factor ** (level - self.first_level))

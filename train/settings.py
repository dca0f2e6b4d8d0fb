"""The settings of every stage; their values live in ``presets/*.yaml``."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from .data.homography import HomographyRange

FOLDER = Path(__file__).parent / "presets"


@dataclass(frozen=True)
class FitSettings:
    """How long and how fast a stage learns.

    Attributes
    ----------
    iterations
        Optimiser steps.
    batch
        Images (MagicPoint) or pairs (joint) per step, over all processes.
    learning_rate
        Peak of AdamW's rate: linear warm-up, then half a cosine to zero.
    warm_up
        Iterations to the peak.
    height, width
        Of the training images, multiples of 8.
    compile
        Whether PyTorch compiles the network first, which takes up to minutes.
    ema
        Decay of the exponential moving average of the weights, such as 0.999, which is then what
        is exported; 0: none is kept.
    """

    iterations: int
    batch: int
    learning_rate: float
    warm_up: int
    height: int
    width: int
    compile: bool = False
    ema: float = 0.0


@dataclass(frozen=True)
class AdaptationSettings:
    """Homographic Adaptation.

    Attributes
    ----------
    images
        How many images to label; 0: all.
    copies
        Warped copies per image, the image itself included (the paper's N_h).
    threshold, nms_radius, max_points
        Threshold, radius of non-maximum suppression, and maximum number of points, for the
        aggregated heat map.
    """

    images: int
    copies: int
    threshold: float
    nms_radius: int
    max_points: int


@dataclass(frozen=True)
class JointSettings:
    """Joint training of detector and descriptor, besides :class:`FitSettings`.

    Attributes
    ----------
    first, second
        Ranges of the two views of a pair.
    dustbin_weight
        Weight of "no point" in the detector's loss.
    descriptor_weight
        Weight of the descriptor's loss against the detector's.
    descriptor_loss
        ``"info_nce"``: sampled correspondences, double softmax; ``"hinge"``: the paper's.
    temperature
        Of the InfoNCE loss.
    positive_weight
        Of the hinge loss (the paper's lambda_d).
    reprojection_weight
        Weight of the distance, in pixels, between the two views' keypoints; 0 in the paper.
    correspondences
        Descriptors compared per pair; half at labelled points, half anywhere.
    safe_radius
        Points within this many pixels of each other are not used as negatives.
    unmatched_weight
        Weight in the detector's loss, 0..1, of labels that both views show but whose descriptors
        are nearer to some cell of the other view than to each other. For other labels, the weight
        rises to 1 the better the two views agree on the position. At 1, all labels count the same.
    large_share
        Share of the pairs that show large photographs (``--large``) at zooms that differ by up to
        4, from 0 to less than 1.
    teacher_weight
        Weight of the distillation losses (``--teacher``).
    """

    first: HomographyRange
    second: HomographyRange
    dustbin_weight: float = 0.5
    descriptor_weight: float = 1.0
    descriptor_loss: Literal["info_nce", "hinge"] = "info_nce"
    temperature: float = 0.07
    positive_weight: float = 250.0
    reprojection_weight: float = 0.0
    correspondences: int = 192
    safe_radius: float = 6.0
    unmatched_weight: float = 1.0
    large_share: float = 0.0
    teacher_weight: float = 1.0


@dataclass(frozen=True)
class Settings:
    """Everything a run needs to know.

    Attributes
    ----------
    model
        Name of the architecture.
    seed
        Of all random numbers.
    devices
        Processes (CPU) or GPUs; under torchrun, as many as it started.
    precision
        Lightning Fabric's name of the arithmetic. (Not ``16-mixed``, whose gradients overflow now
        and then by design: here that ends the training.)
    workers
        Loader processes beside each training process; 0: none.
    rounds
        How often photographs are labelled; between two rounds the detector learns the labels.
    magicpoint, adaptation, retrain, joint_fit, joint
        The stages.
    shapes_view
        Range of the views of Synthetic Shapes.
    """

    model: str
    seed: int
    devices: int
    precision: Literal["32-true", "bf16-mixed"]
    workers: int
    rounds: int
    magicpoint: FitSettings
    adaptation: AdaptationSettings
    retrain: FitSettings
    joint_fit: FitSettings
    joint: JointSettings
    shapes_view: HomographyRange = field(
        default_factory=lambda: HomographyRange(
            rotation=180.0, scale_min=0.6, scale_max=1.6, translation=0.2
        )
    )

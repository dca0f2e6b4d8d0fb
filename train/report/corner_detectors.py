"""Corner detectors to compare: a network with the package's decoding, and OpenCV's own."""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from cv2_superpoint.model.decode import heat_map
from cv2_superpoint.model.suppression import find_points, non_maximum_suppression

from ..data.shapes import Image, Points

Scores = npt.NDArray[np.float32]
Detector = Callable[[Image], tuple[Points, Scores]]
"""From an ``(H, W)`` uint8 picture to ``(N, 2)`` pixels ``(x, y)`` and ``(N,)`` scores."""

NMS_RADIUS = 4  # of all detectors, pixels
_LOWEST_SCORE = 1e-4  # of the network's points; low enough that the curve ends by itself


def network_detector(to_logits: Callable[[Tensor], Tensor], device: torch.device) -> Detector:
    """Return the detector that a network is, with the package's own decoding.

    Parameters
    ----------
    to_logits
        From ``(1, 1, H, W)`` grey in [0, 1] to ``(1, 65, H/8, W/8)``, in evaluation mode.
    device
        Of the network.
    """

    @torch.no_grad()
    def find_corners(image: Image) -> tuple[Points, Scores]:
        pixels = torch.from_numpy(image).to(device)[None, None].float() / 255
        heat = heat_map(to_logits(pixels))[0].cpu()
        xy, score = find_points(heat, _LOWEST_SCORE, NMS_RADIUS)
        return xy.numpy(), score.numpy()

    return find_corners


def _peaks(response: npt.NDArray[np.float32]) -> tuple[Points, Scores]:
    kept = non_maximum_suppression(torch.from_numpy(response)[None].clamp_min(0), 0, NMS_RADIUS)
    y, x = kept[0].numpy().nonzero()
    return np.stack([x, y], 1).astype(np.float32), response[y, x]


def fast(image: Image) -> tuple[Points, Scores]:
    """Find corners by FAST-9; the score is the largest threshold at which it fires."""
    response = np.zeros(image.shape, np.float32)
    for keypoint in cv2.FastFeatureDetector_create(threshold=1).detect(image):
        x, y = keypoint.pt
        response[round(y), round(x)] = keypoint.response
    return _peaks(response)


def harris(image: Image) -> tuple[Points, Scores]:
    """Find the peaks of the Harris response (3x3 window, Sobel 3, k = 0.04)."""
    return _peaks(cv2.cornerHarris(image.astype(np.float32) / 255, 3, 3, 0.04))


def shi_tomasi(image: Image) -> tuple[Points, Scores]:
    """Find the peaks of the smaller eigenvalue of the structure tensor (3x3 window, Sobel 3)."""
    return _peaks(cv2.cornerMinEigenVal(image.astype(np.float32) / 255, 3, ksize=3))


CLASSICAL: dict[str, Detector] = {"FAST": fast, "Harris": harris, "Shi-Tomasi": shi_tomasi}

"""Noise for the evaluation on Synthetic Shapes: pictures as a poor camera might have taken them."""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt

from .shapes import Image, Rng


def add_noise(rng: Rng, image: Image) -> Image:
    """Return the picture as a poor camera might have taken it; corners stay where they are.

    In this order, each with an even chance and a random strength: light (contrast times 0.4 to 1,
    at any brightness that keeps the range), a soft shadow over an ellipse, blur (Gaussian, sigma up
    to 1.5 pixels, or motion over 3 to 7), speckle (multiplicative, sigma up to 0.25), Gaussian
    noise (sigma up to 25 grey levels), salt and pepper (up to 1% of the pixels). The paper's
    appendix B tells eight kinds of noise apart, but neither defines them nor gives their strengths.

    Parameters
    ----------
    rng
        Source of chance.
    image
        ``(H, W)`` uint8.
    """
    height, width = image.shape
    values = image.astype(np.float32)
    light, shadow, blur, speckle, gaussian, salt = rng.random(6) < 0.5
    if light:
        contrast = rng.uniform(0.4, 1)
        values = values * contrast + rng.uniform(0, 255 * (1 - contrast))
    if shadow:
        mask = np.zeros(image.shape, np.float32)
        centre = (int(rng.uniform(0, width)), int(rng.uniform(0, height)))
        axes = (int(rng.uniform(0.1, 0.5) * width), int(rng.uniform(0.1, 0.5) * width))
        cv2.ellipse(mask, centre, axes, rng.uniform(0, 180), 0, 360, rng.uniform(0.2, 0.6), -1)
        values *= 1 - cv2.GaussianBlur(mask, (0, 0), 0.05 * width)
    if blur:
        values = _motion_blur(rng, values) if rng.random() < 0.5 else _soften(rng, values)
    if speckle:
        values *= 1 + rng.uniform(0, 0.25) * rng.standard_normal(image.shape, np.float32)
    if gaussian:
        values += rng.uniform(0, 25) * rng.standard_normal(image.shape, np.float32)
    if salt:
        hit = rng.random(image.shape) < rng.uniform(0, 0.01)
        values[hit] = rng.choice([0.0, 255.0], np.count_nonzero(hit))
    return np.clip(np.round(values), 0, 255).astype(np.uint8)


def _soften(rng: Rng, values: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    return cv2.GaussianBlur(values, (0, 0), rng.uniform(0.3, 1.5))


def _motion_blur(rng: Rng, values: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Blur along a line through the middle of an odd kernel, so that nothing is shifted."""
    side = 2 * int(rng.integers(1, 4)) + 1
    kernel = np.zeros((side, side), np.float32)
    kernel[side // 2] = 1
    turn = cv2.getRotationMatrix2D((side // 2, side // 2), rng.uniform(0, 180), 1)
    kernel = cv2.warpAffine(kernel, turn, (side, side))
    return cv2.filter2D(values, -1, kernel / kernel.sum())

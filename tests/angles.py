"""Angles in degrees, which begin anew at 360."""

from __future__ import annotations

import numpy as np


def apart(a: np.ndarray | float, b: np.ndarray | float) -> np.ndarray:
    """How far angles are apart, from 0 to 180."""
    return np.abs((np.asarray(a) - b + 180) % 360 - 180)

"""Maps to test on."""

import numpy as np
import torch


def random_map(seed: int, shape: tuple[int, ...], levels: int | None) -> torch.Tensor:
    """In [0, 1]; with few levels there are many ties and plateaus."""
    random = np.random.default_rng(seed)
    if levels is None:
        return torch.from_numpy(random.random(shape, np.float32))
    return torch.from_numpy(random.integers(0, levels, shape).astype(np.float32) / levels)


def peak(x: float, y: float, sigma: float, height: int = 21, width: int = 25) -> torch.Tensor:
    rows, columns = np.mgrid[:height, :width]
    squares = (columns - x) ** 2 + (rows - y) ** 2
    return torch.from_numpy(np.exp(-squares / (2 * sigma**2)))[None]

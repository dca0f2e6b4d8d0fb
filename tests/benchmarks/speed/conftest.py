"""What the tests of timing share."""

from collections.abc import Iterator

import cv2
import numpy as np
import pytest
import torch


@pytest.fixture(autouse=True)
def threads() -> Iterator[None]:
    """Leave the threads as they were."""
    before = cv2.getNumThreads(), torch.get_num_threads()
    yield
    cv2.setNumThreads(before[0])
    torch.set_num_threads(before[1])


@pytest.fixture
def images() -> list[np.ndarray]:
    """Three pictures of large squares, each (64, 96) uint8."""
    noise = np.random.default_rng(0).integers(0, 256, (3, 8, 12), np.uint8)
    return [cv2.resize(n, (96, 64), interpolation=cv2.INTER_NEAREST) for n in noise]

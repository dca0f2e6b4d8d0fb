"""The network in floating point: one image gives the same in any company."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from cv2_superpoint.model.weights import load_shipped
from cv2_superpoint.runners.eager import EagerRunner


@pytest.mark.skipif(not torch.backends.mkldnn.is_available(), reason="a PyTorch without oneDNN")
@pytest.mark.parametrize("size", [(8, 8), (16, 24), (56, 72), (104, 144), (240, 320)])
@torch.inference_mode()
def test_neither_batch_nor_number_of_threads_matters(size):
    """PyTorch's own choice of kernels depends on both, for few pixels."""
    network = load_shipped("superpoint-lite").network.to(memory_format=torch.channels_last)
    runner = EagerRunner(network, torch.device("cpu"), "float32")
    rng = np.random.default_rng(0)
    pixels = torch.from_numpy(rng.integers(0, 256, (3, 1, *size), np.uint8))
    before = torch.get_num_threads()
    together = runner(pixels, True, True)
    try:
        for count in (1, 2, 3):
            torch.set_num_threads(count)
            for i, alone in enumerate(pixels):
                for got, batch in zip(runner(alone[None], True, True), together, strict=True):
                    assert torch.equal(got[0], batch[i])
    finally:
        torch.set_num_threads(before)

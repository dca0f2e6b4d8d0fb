"""Pixels in, logits and descriptor features out: one interface, equal results, other speed.

A runner is a callable ``(pixels, detect, describe) -> Maps``, with the name of its arithmetic as
`precision`. It has no state that a call changes, so threads may share it.

oneDNN, which computes convolutions for PyTorch on CPUs, keeps what it has prepared for every size
of image, 1,024 layers by default: images of ever new sizes filled memory. 256 layers hold the
pyramids of three sizes. It reads the limit at the first convolution of the process, so it is set
here, unless it was before.

glibc gives large blocks back to the system when they are freed, and each frame paid for thousands
of page faults to get them again. Freeing one block of 16 MB, of which no page was touched, raises
its threshold to that size, and frames reuse the memory of those before.
"""

import os

import torch

os.environ.setdefault("ONEDNN_PRIMITIVE_CACHE_CAPACITY", "256")
torch.empty(1 << 24, dtype=torch.uint8, device="cpu")

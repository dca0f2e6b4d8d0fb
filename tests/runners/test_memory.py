"""What is kept from call to call."""

from __future__ import annotations

import os
import platform
import subprocess
import sys

import pytest

CODE = """
import numpy as np
from cv2_superpoint import SuperPoint_create

feature = SuperPoint_create(50, nlevels=2, device="cpu", precision="float32", threads=1)
random = np.random.default_rng(0)
image = random.integers(0, 255, (400, 400), dtype=np.uint8)


def resident():
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * 4096 / 2**20


for i in range(400):
    height, width = random.integers(40, 400, 2)
    feature.detect(np.ascontiguousarray(image[:height, :width]))
    if i == 100:
        before = resident()
print(resident() - before)
"""


FAULTS = """
import resource

import numpy as np
from cv2_superpoint import SuperPoint_create

feature = SuperPoint_create(500, device="cpu", threads=1)
image = np.random.default_rng(0).integers(0, 255, (480, 640), dtype=np.uint8)
for _ in range(5):
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    feature.detectAndCompute(image, None)
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="of glibc")
def test_a_frame_finds_the_memory_of_the_one_before():
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [sys.executable, "-c", FAULTS], env=environment, capture_output=True, text=True, check=True
    )
    assert int(done.stdout) < 500  # pages; without what runners/__init__.py does about 3,000


@pytest.mark.skipif(not os.path.exists("/proc/self/statm"), reason="no /proc on this system")
def test_images_of_ever_new_sizes_do_not_fill_the_memory():
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), "OMP_NUM_THREADS": "1"}
    environment.pop("ONEDNN_PRIMITIVE_CACHE_CAPACITY", None)
    done = subprocess.run(
        [sys.executable, "-c", CODE], env=environment, capture_output=True, text=True, check=True
    )
    assert float(done.stdout) < 45  # MiB; without the bound about 100

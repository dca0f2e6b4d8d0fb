"""Peak memory of a case: that of a fresh process which does nothing else.

Run by `peak_memory` as ``python -m benchmarks.speed.memory CASE IMAGES.npy``.
"""

import json
import re
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from ..common.datasets import Image
from .cases import Case, choose, detect, make, set_threads


def peak_memory(case: Case, images: Sequence[Image]) -> float:
    """Measure the peak memory of a call, all libraries and the weights included.

    Parameters
    ----------
    case : Case
    images : sequence of (height, width) uint8 arrays
        Of one size.

    Returns
    -------
    float
        MiB: resident on the CPU, or allocated by PyTorch on a GPU.

    Raises
    ------
    subprocess.CalledProcessError
        If the process ends with an error, such as for want of memory.
    """
    with TemporaryDirectory() as folder:
        path = Path(folder) / "images.npy"
        np.save(path, np.stack(choose(images, case.batch, 0)))  # the others would count too
        command = [
            sys.executable,
            "-m",
            "benchmarks.speed.memory",
            json.dumps(asdict(case)),
            str(path),
        ]
        root = Path(__file__).parents[2]
        done = subprocess.run(command, cwd=root, check=True, stdout=subprocess.PIPE, text=True)
    return float(done.stdout)


def _main(description: str, path: str) -> None:
    fields = json.loads(description)
    case = Case(**{**fields, "size": tuple(fields["size"])})
    images = list(np.load(path))
    detector = make(case)
    set_threads(case.threads)
    detect(detector, images)
    if case.device == "cpu":
        print(_peak_resident())
    else:
        import torch

        print(torch.cuda.max_memory_allocated() / 2**20)


def _peak_resident() -> float:
    status = Path("/proc/self/status")
    if status.exists():
        # On Linux, getrusage's figure starts from that of the process that started this one.
        found = re.search(r"^VmHWM:\s+(\d+) kB", status.read_text(), re.MULTILINE)
        if found:
            return int(found[1]) / 2**10
    import resource  # not on Windows

    unit = 1 if sys.platform == "darwin" else 2**10  # bytes there, KiB elsewhere
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 2**20


if __name__ == "__main__":
    _main(*sys.argv[1:])

"""Memory and time of a case in a fresh process which does nothing else.

Run by `measure_memory` as ``python -m benchmarks.speed.memory CASE IMAGE.npy``.
"""

import json
import re
import subprocess
import sys
from dataclasses import asdict, dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter

import numpy as np

from ..common.datasets import Image
from .cases import Case, detect, make, set_threads


@dataclass(frozen=True)
class Footprint:
    """What a call takes.

    Attributes
    ----------
    mib : float
        The peak, all libraries and the weights included: resident on the CPU, or allocated by
        PyTorch on a GPU.
    milliseconds : float
        The second call.
    """

    mib: float
    milliseconds: float


Footprints = dict[Case, Footprint | None]
"""None: the process was killed."""


def measure_memory(case: Case, image: Image) -> Footprint | None:
    """Detect and describe in a process of its own, twice.

    Returns
    -------
    Footprint or None
        None if the process was killed, as happens for want of memory.

    Raises
    ------
    subprocess.CalledProcessError
        If it ended with an error of its own.
    """
    with TemporaryDirectory() as folder:
        path = Path(folder) / "image.npy"
        np.save(path, image)
        command = [
            *(sys.executable, "-m", "benchmarks.speed.memory"),
            *(json.dumps(asdict(case)), str(path)),
        ]
        root = Path(__file__).parents[2]
        done = subprocess.run(command, cwd=root, check=False, stdout=subprocess.PIPE, text=True)
    if done.returncode < 0:
        return None
    done.check_returncode()
    return Footprint(**json.loads(done.stdout))


def _main(description: str, path: str) -> None:
    fields = json.loads(description)
    case = Case(**{**fields, "size": tuple(fields["size"])})
    images = [np.load(path)]
    detector = make(case)
    set_threads(case.threads)
    for _ in range(2):
        start = perf_counter()
        detect(detector, images)
        milliseconds = 1000 * (perf_counter() - start)
    if case.device == "cpu":
        peak = _peak_resident()
    else:
        import torch

        peak = torch.cuda.max_memory_allocated() / 2**20
    print(json.dumps({"mib": peak, "milliseconds": milliseconds}))


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

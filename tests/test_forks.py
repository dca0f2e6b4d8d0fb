"""Children of ``os.fork`` detect, on one thread, wherever their parent was."""

import os
import subprocess
import sys

import pytest

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this system")

# In a process of its own, whose threads have already computed something. A child that hangs is
# killed; the parent ends with the child's status.
_PROGRAM = """
import os, signal, sys, threading
import numpy as np, torch
import cv2_superpoint
torch.set_num_threads(2)
torch.rand(600, 600) @ torch.rand(600, 600)
image = np.random.default_rng(0).integers(0, 255, (480, 640), dtype=np.uint8)

def make(threads=None):
    return cv2_superpoint.SuperPoint_create(50, device="cpu", precision="float32", threads=threads)

{parent}
child = os.fork()
if not child:
    signal.alarm(30)
    os._exit(0 if {child} else 1)
sys.exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""


def run_forking(parent: str, child: str) -> None:
    """Run statements in a process, which then forks; an expression must hold in its child."""
    code = _PROGRAM.format(parent=parent, child=child)
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    environment.pop("OMP_NUM_THREADS", None)
    done = subprocess.run([sys.executable, "-c", code], env=environment, timeout=120, check=False)
    assert done.returncode == 0


@pytest.mark.parametrize("threads", [None, 2])
def test_a_detector_works_in_a_forked_child(threads):
    run_forking(
        f"feature = make({threads}); expected = feature.extract(image).xy",
        "len(expected) and np.array_equal(feature.extract(image).xy, expected)",
    )


def test_a_forked_child_makes_the_first_detector():
    run_forking("", "len(make().detect(image))")


def test_a_child_forked_during_a_call_is_on_one_thread():
    parent = """
from cv2_superpoint.runners.threads import threads
feature, inside = make(), threading.Event()

def call():
    with threads(1):
        inside.set()
        threading.Event().wait()

threading.Thread(target=call, daemon=True).start()
inside.wait()
"""
    later = "torch.mm(torch.rand(600, 600), torch.rand(600, 600)).any()"
    run_forking(parent, f"len(feature.detect(image)) and {later} and torch.get_num_threads() == 1")

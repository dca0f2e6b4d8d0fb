"""The benchmarks of pytest-benchmark run."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[3]


def test_pytest_benchmark_command() -> None:
    command = [sys.executable, "-m", "pytest", "benchmarks", "--benchmark-only", "-k", "ORB"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "test_classical[ORB 320x240" in done.stdout
    assert "2 passed" in done.stdout

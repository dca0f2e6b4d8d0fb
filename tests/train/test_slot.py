"""The driver for machines lent for a short time, rehearsed with the smoke preset."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tarfile
from pathlib import Path

import cv2
import pytest
from skimage import data

from cv2_superpoint import SuperPoint

ROOT = Path(__file__).parents[2]

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="timeout is GNU's")


def test_pieces_go_on_and_bring_weights_home(tmp_path):
    photographs = tmp_path / "photographs"
    photographs.mkdir()
    for name in ("camera", "coins"):
        cv2.imwrite(str(photographs / f"{name}.png"), getattr(data, name)())
    python, calls = tmp_path / "bin/python3", tmp_path / "calls"
    python.parent.mkdir()
    python.write_text(f'#!/bin/sh\necho "$3" >>{calls}\nexec {sys.executable} "$@"\n')
    python.chmod(0o755)
    paths = [str(python.parent), os.environ["PATH"]]
    environment = {**os.environ, "PATH": os.pathsep.join(paths), "OMP_NUM_THREADS": "1"}

    home = tmp_path / "home"

    def piece(state, seconds, stage, iterations):
        command = ["train/slot.sh", tmp_path / state, home, seconds, stage]
        command += ["--preset", "smoke", "--rounds", 1, "--images", photographs]
        command += ["--joint_fit.iterations", iterations]
        return subprocess.run(
            [str(c) for c in command], cwd=ROOT, env=environment, capture_output=True, text=True
        )

    def small():
        with tarfile.open(home / "rest.tar.gz") as rest:
            names = {Path(name).name for name in rest.getnames()}
            return names, rest.extractfile("log.txt").read().decode()

    # The first piece runs out of time in the last stage; from what it brought home, the second one
    # goes on from there, as on another machine.
    tries = 0
    while not (home / "joint.ckpt").exists():  # a busy machine needs several pieces to get there
        tries += 1
        assert tries < 5
        shutil.rmtree(home, ignore_errors=True)
        first = piece("state", 20, "all", 1_000_000)
        assert first.returncode == 0, first.stdout + first.stderr
        assert "time is up" in first.stdout
    weights = home / "superpoint-lite.safetensors"
    # Half a minute may teach it nothing but silence.
    assert SuperPoint.create(weights=weights).descriptorSize() == 256
    brought = sorted(path.name for path in home.iterdir())
    assert brought == ["joint.ckpt", "labels1.npz", "rest.tar.gz", weights.name]
    assert {"labels1.png", "adaptation1.png", "MODEL_CARD.md", "curves"} <= small()[0]
    (tmp_path / "other").mkdir()
    for name in ("joint.ckpt", "labels1.npz"):
        shutil.copy(home / name, tmp_path / "other")
    second = piece("other", 120, "joint", 1)
    assert second.returncode == 0, second.stdout + second.stderr
    assert "slot: done" in second.stdout
    assert calls.read_text().split() == ["all"] * tries + ["export", "joint", "export"]
    assert {"matches.png", "MODEL_CARD.md"} <= small()[0]
    assert "joint goes on from iteration" in small()[1]

"""Two processes on the CPU train one network: different data, same weights, one checkpoint."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import cv2
import pytest
import torch
from skimage import data

# Runs `python -m train` in each process and notes what it did. Every process of a run starts as
# the first one did, as a module, hence a package instead of a script.
_WATCHED = """
import hashlib, json, os, sys
from pathlib import Path

import torch

from cv2_superpoint.model.network import SuperPointNet
from train.__main__ import main

seen, saved, trained = [], [], []
encode, save = SuperPointNet.encode, torch.save


def watched_encode(self, images):
    if self.training:
        trained.append(self)
        seen.append(hashlib.sha256(images.numpy().tobytes()).hexdigest())
    return encode(self, images)


def watched_save(*args, **kwargs):
    saved.append(1)
    return save(*args, **kwargs)


SuperPointNet.encode = watched_encode
torch.save = watched_save
main()
rank = torch.distributed.get_rank()
notes = Path(os.environ["NOTES"])
notes.joinpath(f"{rank}.json").write_text(json.dumps({"seen": seen, "saved": len(saved)}))
save(dict(trained[-1].named_parameters()), notes / f"{rank}.pt")
"""


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """Folder of results and notes of every stage, of two processes."""
    folder = tmp_path_factory.mktemp("distributed")
    for name in ("watched/__main__.py", "notes/x", "photographs/x"):
        (folder / name).parent.mkdir()
    (folder / "watched/__main__.py").write_text(_WATCHED)
    for name in ("camera", "coins", "brick", "grass", "moon"):
        cv2.imwrite(str(folder / f"photographs/{name}.png"), getattr(data, name)())
    paths = [str(folder), str(Path(__file__).parents[3]), os.environ.get("PYTHONPATH", "")]
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join(filter(None, paths)),
        "NOTES": str(folder / "notes"),
        "CUDA_VISIBLE_DEVICES": "",
        "OMP_NUM_THREADS": "1",
    }
    command = [sys.executable, "-m", "watched", "all", "--preset", "smoke", "--devices", "2"]
    command += ["--out", str(folder / "out"), "--images", str(folder / "photographs")]
    done = subprocess.run(
        command, env=environment, capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr
    return folder


def _notes(run, name):
    return [json.loads((run / "notes" / f"{rank}.json").read_text())[name] for rank in (0, 1)]


def test_both_processes_learn_from_data_of_their_own(run):
    first, second = _notes(run, "seen")
    assert len(set(first)) == len(set(second)) == 8  # iterations of all stages
    assert not set(first) & set(second)


def test_weights_are_equal_in_both_processes_and_in_the_checkpoint(run):
    first, second = (torch.load(run / "notes" / f"{rank}.pt") for rank in (0, 1))
    written = torch.load(run / "out/joint.ckpt", weights_only=True)["network"]
    start = torch.load(run / "out/magicpoint.ckpt", weights_only=True)["network"]
    assert first.keys() == second.keys()
    for name, value in first.items():
        assert torch.equal(value, second[name])
        assert torch.equal(value, written[name])
    assert any(not torch.equal(value, start[name]) for name, value in first.items())


def test_only_the_first_process_writes(run):
    first, second = _notes(run, "saved")
    assert first > 0
    assert second == 0
    for stage in ("magicpoint", "joint"):
        assert torch.load(run / f"out/{stage}.ckpt", weights_only=True)["step"] == 3
        assert len(list((run / "out/curves" / stage).iterdir())) == 1
    assert not list((run / "out").glob("*.partial"))
    labels = sorted(path.name for path in (run / "out").glob("*.npz"))
    assert labels == ["labels1.npz", "labels2.npz"]


def test_ctrl_c_saves_and_stops_both_after_the_same_iteration(tmp_path):
    command = [sys.executable, "-m", "train", "magicpoint", "--preset", "smoke", "--devices", "2"]
    command += ["--out", str(tmp_path), "--magicpoint.iterations", "1000000", "--workers", "1"]
    environment = {**os.environ, "CUDA_VISIBLE_DEVICES": "", "OMP_NUM_THREADS": "1"}
    errors, limit = tmp_path / "stderr", time.monotonic() + 60

    def in_the_background():
        os.setsid()  # Ctrl-C goes to all that a terminal has started
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # as shells do

    with open(errors, "w") as stream:
        process = subprocess.Popen(
            command,
            cwd=Path(__file__).parents[3],
            env=environment,
            stderr=stream,
            preexec_fn=in_the_background,
        )
    try:
        while not re.search(r"[1-9]\d*/1000000 ", errors.read_text()):  # both are in the loop
            assert process.poll() is None, errors.read_text()
            assert time.monotonic() < limit
            time.sleep(0.1)
        os.killpg(process.pid, signal.SIGINT)
        process.wait(timeout=60)
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
    said = errors.read_text()
    assert process.returncode == 130, said  # the shells' number of an interrupted command
    assert "Traceback" not in said
    assert said.count("once more") == 1
    step = torch.load(tmp_path / "magicpoint.ckpt", weights_only=True)["step"]
    assert step > 0
    assert step % 20 == 0


def _free_port():
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        return server.getsockname()[1]


@pytest.mark.parametrize("machines", [1, 2])
def test_processes_of_torchrun_train_one_network(machines, tmp_path):
    """Without `--devices`, each would train the same network again, and write to the same files."""
    command = [sys.executable, "-m", "torch.distributed.run", f"--nproc-per-node={2 // machines}"]
    command += [f"--nnodes={machines}", f"--master-port={_free_port()}"]
    train = ["-m", "train", "magicpoint", "--preset", "smoke", "--out", str(tmp_path)]
    environment = {**os.environ, "CUDA_VISIBLE_DEVICES": "", "OMP_NUM_THREADS": "1"}
    started = [
        subprocess.Popen(
            [*command, f"--node-rank={i}", *train],
            cwd=Path(__file__).parents[3],
            env=environment,
            stderr=subprocess.PIPE,
            text=True,
        )
        for i in range(machines)
    ]
    try:
        for process in started:
            errors = process.communicate(timeout=120)[1]
            assert process.returncode == 0, errors
    finally:
        for process in started:
            process.terminate()
    assert len(list((tmp_path / "curves/magicpoint").iterdir())) == 1
    history = torch.load(tmp_path / "magicpoint.ckpt", weights_only=True)["history"]
    assert history["hardware"].startswith("2 x ")

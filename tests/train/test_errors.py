"""What a user meets when something is missing, broken, full or interrupted: one line."""

from __future__ import annotations

import errno
import logging
import os
import subprocess
import sys
import tarfile
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from lightning_fabric.utilities import rank_zero_only
from skimage import data
from torch.utils.tensorboard import SummaryWriter

from cv2_superpoint.model.network import ARCHITECTURES, SuperPointNet
from cv2_superpoint.model.weights import FOLDER
from train.__main__ import main
from train.data.images import ImageStore, pack
from train.deadline import TimeUp
from train.learn import checkpoints
from train.report import evaluation

ROOT = Path(__file__).parents[2]


@pytest.fixture
def train(monkeypatch):
    """`python -m train` with the smoke preset, in this process."""
    threads = torch.get_num_threads()

    def run(*arguments):
        command = ["train", *map(str, arguments), "--preset", "smoke"]
        monkeypatch.setattr(sys, "argv", command)
        main()

    yield run
    torch.set_num_threads(threads)


@pytest.fixture
def message(train):
    """The same where it is refused: what it says."""

    def run(*arguments):
        with pytest.raises(SystemExit) as refused:
            train(*arguments)
        assert isinstance(refused.value.code, str), "a message, which also means status 1"
        return refused.value.code

    return run


@pytest.fixture(scope="module")
def photographs(tmp_path_factory):
    folder = tmp_path_factory.mktemp("photographs")
    for name in ("camera", "coins"):
        cv2.imwrite(str(folder / f"{name}.png"), getattr(data, name)())
    return folder


@pytest.fixture(scope="module")
def magicpoint(tmp_path_factory):
    """Bytes of a checkpoint of the first stage, of the smoke preset."""
    out = tmp_path_factory.mktemp("magicpoint")
    with pytest.MonkeyPatch.context() as patch:
        command = ["train", "magicpoint", "--preset", "smoke", "--out", str(out)]
        patch.setattr(sys, "argv", command)
        main()
    return (out / "magicpoint.ckpt").read_bytes()


def test_an_empty_folder_is_named(message, tmp_path):
    empty = tmp_path / "empty"
    empty.mkdir()
    assert str(empty) in message("all", "--out", tmp_path / "out", "--images", empty)
    # Nothing was trained before the folder was looked at.
    assert not (tmp_path / "out/magicpoint.ckpt").exists()


def test_a_folder_that_does_not_exist_is_named(message, tmp_path):
    nowhere = tmp_path / "nowhere"
    assert str(nowhere) in message("adapt", "--out", tmp_path / "out", "--images", nowhere)


def test_pictures_that_all_are_broken_are_counted_and_named(message, tmp_path, caplog):
    broken = tmp_path / "broken"
    broken.mkdir()
    (broken / "text.jpg").write_text("no picture")
    (broken / "empty.png").touch()
    encoded = cv2.imencode(".png", data.camera())[1].tobytes()
    (broken / "cut.png").write_bytes(encoded[:40])
    cv2.imwrite(str(broken / "tiny.png"), np.zeros((8, 8), np.uint8))
    with caplog.at_level(logging.WARNING):
        assert str(broken) in message("adapt", "--out", tmp_path / "out", "--images", broken)
    assert "skipped 4" in caplog.text
    for name in ("text.jpg", "empty.png", "cut.png", "tiny.png"):
        assert name in caplog.text


def test_a_file_that_is_no_tar_is_named(message, photographs, tmp_path):
    picture = photographs / "camera.png"
    assert str(picture) in message("adapt", "--out", tmp_path / "out", "--images", picture)


def test_a_folder_named_as_a_picture_and_a_dead_link_do_no_harm(photographs, tmp_path):
    (tmp_path / "album.jpg").mkdir()
    (tmp_path / "album.jpg/moon.png").write_bytes((photographs / "camera.png").read_bytes())
    (tmp_path / "dead.jpg").symlink_to(tmp_path / "nowhere.jpg")
    pack([tmp_path], tmp_path / "out")
    assert ImageStore(tmp_path / "out").names == [str(Path("album.jpg/moon.png"))]


def test_images_that_were_never_given_are_asked_for(message, tmp_path):
    assert "--images" in message("adapt", "--out", tmp_path)


@pytest.mark.parametrize(
    ("stage", "missing"),
    [("adapt", "magicpoint.ckpt"), ("joint", "retrain1.ckpt"), ("export", "joint.ckpt")],
)
def test_a_stage_names_the_checkpoint_it_lacks(message, photographs, tmp_path, stage, missing):
    said = message(stage, "--out", tmp_path, "--images", photographs)
    assert f"{tmp_path / missing} is missing" in said


def test_joint_training_names_the_labels_it_lacks(message, magicpoint, photographs, tmp_path):
    (tmp_path / "magicpoint.ckpt").write_bytes(magicpoint)
    arguments = ("--out", tmp_path, "--images", photographs, "--rounds", 1)
    assert str(tmp_path / "labels1.npz") in message("joint", *arguments)


@pytest.mark.parametrize("stage", ["magicpoint", "adapt"])
def test_a_checkpoint_of_another_architecture_is_named(
    message, magicpoint, photographs, tmp_path, stage
):
    path = tmp_path / "magicpoint.ckpt"
    path.write_bytes(magicpoint)
    arguments = ("--out", tmp_path, "--images", photographs, "--model", "superpoint")
    said = message(stage, *arguments)
    assert str(path) in said
    assert "architecture" in said
    assert path.read_bytes() == magicpoint


@pytest.mark.parametrize("stage", ["magicpoint", "adapt"])
def test_a_truncated_checkpoint_is_named(message, magicpoint, photographs, tmp_path, stage):
    path = tmp_path / "magicpoint.ckpt"
    path.write_bytes(magicpoint[:1000])
    assert str(path) in message(stage, "--out", tmp_path, "--images", photographs)


@pytest.fixture
def full_disk():
    """Make writes beyond the first bytes of a file fail, as on a full disk, but for real."""
    resource = pytest.importorskip("resource")
    before = resource.getrlimit(resource.RLIMIT_FSIZE)

    def fill(room=300_000):
        resource.setrlimit(resource.RLIMIT_FSIZE, (room, before[1]))

    yield fill
    resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_a_full_disk_keeps_the_checkpoint_before(message, magicpoint, full_disk, tmp_path):
    path = tmp_path / "magicpoint.ckpt"
    path.write_bytes(magicpoint)
    assert len(magicpoint) > 300_000
    full_disk()
    said = message("magicpoint", "--out", tmp_path, "--magicpoint.iterations", 5)
    assert str(tmp_path) in said
    assert "File too large" in said
    assert path.read_bytes() == magicpoint
    left = {path.name for path in tmp_path.iterdir()} - {".lock"}
    assert left == {"curves", "magicpoint.ckpt"}


@pytest.mark.parametrize(
    ("stage", "name"), [("adapt", "images/pixels.bin"), ("shapes", "shapes.png")]
)
def test_a_full_disk_names_the_file(message, photographs, full_disk, tmp_path, stage, name):
    full_disk(50_000)
    said = message(stage, "--out", tmp_path, "--images", photographs)
    assert "File too large" in said
    assert str(tmp_path / name) in said


def test_a_full_disk_names_the_curves(message, tmp_path, monkeypatch):
    def fail(*_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(SummaryWriter, "add_scalar", fail)
    said = message("magicpoint", "--out", tmp_path)
    assert "No space left on device" in said
    assert str(tmp_path / "curves/magicpoint") in said
    assert torch.load(tmp_path / "magicpoint.ckpt", weights_only=True)["step"] == 3


def test_labels_cut_short_by_a_full_disk_are_not_taken_for_labels(
    train, message, magicpoint, photographs, tmp_path, monkeypatch
):
    (tmp_path / "magicpoint.ckpt").write_bytes(magicpoint)
    real, calls = np.savez_compressed, []

    def fail_at_the_end(file, **arrays):
        calls.append(file)
        real(file, **arrays)
        if len(calls) == 2:  # the first is a chunk, the second all of them
            if isinstance(file, Path):
                file.write_bytes(file.read_bytes()[:20])
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    arguments = ("adapt", "--out", tmp_path, "--images", photographs)
    with monkeypatch.context() as patch:
        patch.setattr(np, "savez_compressed", fail_at_the_end)
        assert "No space left on device" in message(*arguments)
    train(*arguments)
    with np.load(tmp_path / "labels1.npz") as labels:
        assert len(labels["counts"]) == 2


def test_a_precision_that_would_fail_on_the_way_is_refused(train, tmp_path, capsys):
    with pytest.raises(SystemExit) as refused:
        train("magicpoint", "--out", tmp_path, "--precision", "16-mixed")
    assert refused.value.code == 2
    assert "bf16-mixed" in capsys.readouterr().err


def test_an_average_needs_what_was_fine_tuned(message, tmp_path):
    assert message("all", "--average", "--out", tmp_path).endswith("it needs --init")


@pytest.mark.parametrize("mode", ["w:gz", "w:xz", "w:bz2", "w"])
def test_a_tar_that_ends_too_early_is_named(message, tmp_path, mode):
    path = tmp_path / "cut.tar"
    noise = np.random.default_rng(0).integers(0, 256, (300, 300), np.uint8)
    cv2.imwrite(str(tmp_path / "noise.png"), noise)
    with tarfile.open(path, mode) as archive:
        archive.add(tmp_path / "noise.png", "noise.png")
    path.write_bytes(path.read_bytes()[:-50_000])
    said = message("adapt", "--out", tmp_path / "out", "--images", path)
    assert str(path) in said
    assert "whole tar" in said


def test_a_truncated_file_of_labels_is_named(message, magicpoint, photographs, train, tmp_path):
    (tmp_path / "magicpoint.ckpt").write_bytes(magicpoint)
    arguments = ("--out", tmp_path, "--images", photographs, "--rounds", 1)
    train("adapt", *arguments)
    path = tmp_path / "labels1.npz"
    path.write_bytes(path.read_bytes()[:-100])
    for stage in ("adapt", "joint"):
        assert str(path) in message(stage, *arguments)


def test_fine_tuning_another_architecture_is_refused(message, photographs, tmp_path):
    for init in ("superpoint-lite.safetensors", tmp_path / "lite.ckpt"):
        if str(init).endswith(".ckpt"):
            network = SuperPointNet(replace(ARCHITECTURES["superpoint-lite"], norm="before"))
            checkpoints.write(init, network, 0, {}, {})
        else:
            init = FOLDER / init
        arguments = ("--out", tmp_path, "--images", photographs, "--init", init)
        said = message("adapt", *arguments, "--model", "superpoint")
        assert str(init) in said
        assert "superpoint-lite" in said


def test_a_network_that_normalises_may_be_fine_tuned(train, photographs, tmp_path):
    network = SuperPointNet(replace(ARCHITECTURES["superpoint-lite"], norm="before"))
    checkpoints.write(tmp_path / "lite.ckpt", network, 0, {}, {})
    arguments = ("--out", tmp_path, "--images", photographs, "--init", tmp_path / "lite.ckpt")
    train("adapt", *arguments)
    assert (tmp_path / "labels1.npz").exists()


def test_what_ships_is_evaluated_without_a_run(train, tmp_path, monkeypatch):
    monkeypatch.setattr(evaluation, "run", lambda networks, *_: seen.update(networks))
    seen = {}
    train("evaluate", "--out", tmp_path, "--init", "shipped")
    assert list(seen) == ["shipped"]


def test_nothing_to_evaluate_is_said(message, tmp_path):
    assert "--init" in message("evaluate", "--out", tmp_path)


def test_a_second_run_in_one_folder_is_refused_until_the_first_ends(train, message, tmp_path):
    command = [sys.executable, "-c", _HOLD, str(tmp_path)]
    first = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
    try:
        assert first.stdout.readline() == "locked\n"
        assert "another run" in message("magicpoint", "--out", tmp_path)
    finally:
        first.kill()
        first.wait()
    train("magicpoint", "--out", tmp_path)  # the lock has died with its process


_HOLD = """
import sys, time
from pathlib import Path
from train.output import locked
with locked(Path(sys.argv[1])):
    print("locked", flush=True)
    time.sleep(60)
"""


def test_time_that_is_up_has_a_status_of_its_own(train, tmp_path, caplog):
    with caplog.at_level(logging.INFO), pytest.raises(SystemExit) as stopped:
        train("magicpoint", "--out", tmp_path, "--magicpoint.iterations", 1000, "--minutes", 0)
    assert stopped.value.code == 75
    assert "time is up" in caplog.text
    assert 0 < torch.load(tmp_path / "magicpoint.ckpt", weights_only=True)["step"] < 1000


@pytest.mark.parametrize(("error", "status"), [(TimeUp, 75), (KeyboardInterrupt, 130)])
@pytest.mark.parametrize("rank", [0, 1])
def test_only_the_first_process_has_that_status(train, monkeypatch, tmp_path, error, status, rank):
    """At any other that is not 0, Lightning kills the first, which may be saving."""

    def end(options):
        raise error

    monkeypatch.setattr("train.__main__.run", end)
    monkeypatch.setattr(rank_zero_only, "rank", rank)
    with pytest.raises(SystemExit) as stopped:
        train("magicpoint", "--out", tmp_path)
    assert stopped.value.code == (0 if rank else status)


def test_labelling_stops_when_time_is_up(train, magicpoint, photographs, tmp_path):
    (tmp_path / "magicpoint.ckpt").write_bytes(magicpoint)
    with pytest.raises(SystemExit) as stopped:
        train("adapt", "--out", tmp_path, "--images", photographs, "--minutes", 0)
    assert stopped.value.code == 75

"""The command: what it writes, and what it does when something is wrong."""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys

import cv2
import numpy as np
import pytest
from feature_outputs import OUTPUTS, assert_same, read_all

from cv2_superpoint import SuperPoint_create
from cv2_superpoint.apps.cli import main
from cv2_superpoint.model import weights

pytest.importorskip("h5py")
filelock = pytest.importorskip("filelock")
pipeline = pytest.importorskip("cv2_superpoint.bulk.pipeline")


@pytest.mark.parametrize("to", OUTPUTS)
def test_every_output_has_what_the_detector_finds(pictures, extract, capsys, to):
    found = read_all(extract(pictures, to=to))
    detector = SuperPoint_create(50, nlevels=1, device="cpu")
    assert len(found) == 8
    for name, (xy, descriptors) in found.items():
        wanted = detector.extract(cv2.imread(str(pictures / name)))
        np.testing.assert_allclose(xy, wanted.xy, atol=1e-4)
        np.testing.assert_array_equal(descriptors, wanted.descriptors)
    assert "8 images extracted" in capsys.readouterr().out
    extract(pictures, to=to)
    assert "0 images extracted" in capsys.readouterr().out


def test_broken_files_are_named_counted_and_skipped(pictures, extract, capsys):
    whole = cv2.imencode(".jpg", cv2.imread(str(pictures / "0.png")))[1].tobytes()
    (pictures / "cut.jpg").write_bytes(whole[: len(whole) // 2])
    (pictures / "empty.png").write_bytes(b"")
    (pictures / "gone.png").symlink_to("nowhere")
    with pytest.raises(SystemExit) as status:
        extract(pictures, to="features.h5")
    assert status.value.code == 3
    printed = capsys.readouterr()
    assert "8 images extracted" in printed.out
    assert "3 broken" in printed.out
    for name in ("cut.jpg: the file is truncated", "empty.png: not an image", "gone.png: No such"):
        assert f"broken: {name}" in printed.err


def _extract_and_die(extract, pictures, to, commits):
    """Be killed in the middle of a write, after so many commits."""
    pipeline._COMMIT_EVERY = 0.0
    run = pipeline.run

    def deadly(items, total, engine, output):
        write, commit, left = output.write, output.commit, iter(range(commits))

        def count():
            commit()
            next(left, None)

        def kill(*arguments):
            write(*arguments)
            if next(left, None) is None:
                os.kill(os.getpid(), signal.SIGKILL)

        output.write, output.commit = kill, count
        return run(items, total, engine, output)

    pipeline.run = deadly
    extract(pictures, to=to)


@pytest.mark.skipif(sys.platform != "linux", reason="forks")
@pytest.mark.parametrize("to", OUTPUTS)
def test_after_kill_the_same_command_goes_on(pictures, extract, tmp_path, capsys, to):
    undisturbed = read_all(extract(pictures, to=f"whole-{to}"))
    process = multiprocessing.get_context("fork").Process(
        target=_extract_and_die, args=(extract, pictures, to, 6)
    )
    process.start()
    process.join(60)
    assert process.exitcode == -signal.SIGKILL
    begun = read_all(tmp_path / to)
    assert 2 <= len(begun) < 8
    capsys.readouterr()
    extract(pictures, to=to)
    assert f"{len(begun)} already there" in capsys.readouterr().out
    assert_same(read_all(tmp_path / to), undisturbed)


@pytest.fixture
def full_disk():
    resource = pytest.importorskip("resource")
    before = resource.getrlimit(resource.RLIMIT_FSIZE)

    def limit(size):
        resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))

    yield limit
    resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.mark.parametrize("to", OUTPUTS)
def test_a_full_disk_is_told_and_loses_nothing(
    pictures, extract, tmp_path, monkeypatch, full_disk, to
):
    undisturbed = read_all(extract(pictures, to=f"whole-{to}"))
    monkeypatch.setattr(pipeline, "_COMMIT_EVERY", 0.0)
    full_disk({"features": 2_000}.get(to, 60_000))
    with pytest.raises(SystemExit, match=rf"^cv2-superpoint: .*{to}.*: (File too large|.*disk)"):
        extract(pictures, to=to)
    full_disk(-1)
    assert len(read_all(tmp_path / to)) < 8
    extract(pictures, to=to)
    assert_same(read_all(tmp_path / to), undisturbed)


@pytest.mark.parametrize("to", OUTPUTS)
def test_one_run_at_a_time(pictures, extract, tmp_path, to):
    with (
        filelock.FileLock(tmp_path / f".{to}.lock"),
        pytest.raises(SystemExit, match=f"another run is writing to .*{to}"),
    ):
        extract(pictures, to=to)


def test_a_link_has_the_lock_of_its_target(pictures, extract, tmp_path):
    (tmp_path / "other").mkdir()
    (tmp_path / "link.h5").symlink_to("other/features.h5")
    with (
        filelock.FileLock(tmp_path / "other" / ".features.h5.lock"),
        pytest.raises(SystemExit, match="another run is writing"),
    ):
        extract(pictures, to="link.h5")


def test_the_current_folder_can_be_the_output(pictures, extract, tmp_path, monkeypatch):
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    main(["extract", str(pictures), "-o", ".", "-n", "50", "--nlevels", "1"])
    assert len(read_all(tmp_path / "here")) == 8


@pytest.mark.parametrize("to", OUTPUTS)
def test_other_settings_are_refused(pictures, extract, to):
    extract(pictures / "0.png", to=to)
    with pytest.raises(SystemExit, match=r"other settings \(nfeatures 50\)"):
        extract(pictures, to=to, options="-n 60 --nlevels 1")


def test_other_weights_of_the_same_name_are_refused(pictures, extract, tmp_path, monkeypatch):
    path = extract(pictures / "0.png", to="features.h5")
    shipped, name = weights.FOLDER, f"{weights.DEFAULT_MODEL}.safetensors"
    same = f"-n 50 --nlevels 1 --weights {shipped / name}"
    assert extract(pictures / "0.png", to="features.h5", options=same) == path
    other = weights.serialise(weights.load_shipped(weights.DEFAULT_MODEL))
    assert other != (shipped / name).read_bytes()
    (tmp_path / name).write_bytes(other)
    monkeypatch.setattr(weights, "FOLDER", tmp_path)
    with pytest.raises(SystemExit, match=r"other settings \(weights [0-9a-f]{16}\)"):
        extract(pictures, to="features.h5")


@pytest.mark.parametrize("to", OUTPUTS)
def test_files_of_others_are_left_alone(pictures, extract, tmp_path, to):
    path = tmp_path / to
    if path.suffix:
        path.write_bytes(b"something else")
    else:
        path.mkdir()
        (path / "thesis.txt").write_bytes(b"something else")
    with pytest.raises(SystemExit, match=f"cv2-superpoint: .*{to}"):
        extract(pictures, to=to)
    kept = path if path.suffix else path / "thesis.txt"
    assert kept.read_bytes() == b"something else"


@pytest.mark.parametrize(
    ("to", "options", "message"),
    [
        ("features.h5", "--match exhaustive", "ends in .db"),
        ("no/such/features.h5", "", "no folder .*such"),
        ("folder.db", "", "folder.db: unable to open"),
        ("folder.h5", "", "folder.h5: Is a directory"),
        ("pictures", "", "this command did not write it"),
    ],
)
def test_requests_that_make_no_sense(pictures, extract, tmp_path, to, options, message):
    for name in ("folder.db", "folder.h5"):
        (tmp_path / name).mkdir()
    with pytest.raises(SystemExit, match=message):
        extract(pictures, to=to, options=options)


def test_without_its_packages_it_says_which_extra(pictures, extract, monkeypatch):
    monkeypatch.setitem(sys.modules, "h5py", None)
    monkeypatch.delitem(sys.modules, "cv2_superpoint.bulk.hdf5", raising=False)
    with pytest.raises(SystemExit, match=r"the extra `bulk`: .*h5py"):
        extract(pictures, to="features.h5")

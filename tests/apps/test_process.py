"""The command as a process: pipes, disks, signals and file names as systems have them."""

from __future__ import annotations

import os
import signal
import subprocess
import sys

import cv2
import pytest
from skimage import data

COMMAND = [sys.executable, "-m", "cv2_superpoint"]

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="of POSIX systems")


@pytest.fixture
def photograph(tmp_path):
    path = tmp_path / "camera.png"
    cv2.imwrite(str(path), data.camera()[:120, :160])
    return path


def test_module_runs_as_a_program():
    done = subprocess.run([*COMMAND, "doctor"], capture_output=True, text=True, check=True)
    assert "superpoint-lite" in done.stdout


def test_a_reader_that_went_away_is_no_fault(photograph, tmp_path):
    reader, writer = os.pipe()
    os.close(reader)
    output = tmp_path / "out.png"
    command = [*COMMAND, "match", str(photograph), str(photograph), "-o", str(output)]
    environment = {**os.environ, "PYTHONUNBUFFERED": "1"}
    done = subprocess.run(command, stdout=writer, stderr=subprocess.PIPE, env=environment)
    os.close(writer)
    assert (done.returncode, done.stderr) == (1, b"")
    assert output.exists()


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="no /dev/full")
@pytest.mark.parametrize("unbuffered", ["", "1"])
def test_a_full_disk_at_the_output_is_told(unbuffered, photograph, tmp_path):
    environment = {**os.environ, "PYTHONUNBUFFERED": unbuffered}
    with open("/dev/full", "wb") as full:
        done = subprocess.run(
            [*COMMAND, "detect", photograph, "-o", tmp_path / "out.png"],
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            env=environment,
        )
    assert done.returncode == 1
    assert done.stderr == "cv2-superpoint: standard output: No space left on device\n"


def test_a_closed_output_is_no_fault(photograph, tmp_path):
    output = tmp_path / "out.png"
    command = ["sh", "-c", '"$@" >&-', "sh", *COMMAND, "detect", photograph, "-o", output]
    done = subprocess.run(command, stderr=subprocess.PIPE)
    assert (done.returncode, done.stderr) == (0, b"")


def test_an_interrupt_ends_quietly(tmp_path):
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    process = subprocess.Popen([*COMMAND, "match", fifo, fifo], stderr=subprocess.PIPE)
    writer = os.open(fifo, os.O_WRONLY)  # waits until the process has opened it
    process.send_signal(signal.SIGINT)
    os.close(writer)
    _, errors = process.communicate()
    assert (process.returncode, errors) == (130, b"")


@pytest.mark.skipif(sys.platform != "linux", reason="names need not be UTF-8 on Linux")
def test_names_that_are_not_utf8(photograph, tmp_path):
    source, output, saved = (os.fsencode(tmp_path) + b"/\xe9" + s for s in (b"", b".png", b".npz"))
    os.rename(photograph, source)
    command = [*COMMAND, "detect", source, "-o", output, "--save", saved]
    done = subprocess.run(command, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    assert r"\udce9.png" in done.stdout
    assert os.path.exists(output)
    assert os.path.exists(saved)

"""Files are read completely; of a camera, the newest frames."""

from __future__ import annotations

import re
import signal
import time
from threading import Event, Timer

import cv2
import numpy as np
import pytest

from cv2_superpoint.apps import cli, video
from cv2_superpoint.apps.cli import main
from cv2_superpoint.apps.video import Video


class Camera:
    """A cv2.VideoCapture whose frames are numbered; each comes when it is told to."""

    def __init__(self, count, wait=lambda: None, opened=True):
        self.count, self.wait, self.opened = count, wait, opened
        self.given = 0
        self.released = False

    def __call__(self, source):
        self.source = source
        return self

    def isOpened(self):
        return self.opened

    def get(self, name):
        return {cv2.CAP_PROP_FPS: 0.0}[name]

    def read(self):
        assert not self.released
        self.wait()
        if self.given == self.count:
            return False, None
        self.given += 1
        return True, np.full((48, 64, 3), self.given, np.uint8)

    def release(self):
        self.released = True


@pytest.fixture
def connect(monkeypatch):
    def connect(*args, **kwargs):
        camera = Camera(*args, **kwargs)
        monkeypatch.setattr(cv2, "VideoCapture", camera)
        return camera

    return connect


def numbers(frames):
    return [int(frame[0, 0, 0]) for frame in frames]


def test_a_file_waits_for_who_reads_it(connect):
    file = connect(5)
    with Video("film.mp4") as frames:
        seen = []
        for frame in frames:
            time.sleep(0.01)
            seen.append(int(frame[0, 0, 0]))
    assert (seen, frames.dropped) == ([1, 2, 3, 4, 5], 0)
    assert file.released
    assert (file.source, frames.live, frames.rate) == ("film.mp4", False, 25.0)


def test_a_camera_shows_what_is_there_now(connect):
    looked, come = Event(), Event()

    def wait():
        if camera.given == 1:
            looked.wait(5)  # until someone works on the first frame
        if camera.given == 7:
            come.set()
            looked.clear()
            looked.wait(5)

    camera = connect(8, wait)
    with Video("0") as frames:
        frames_of = iter(frames)
        first = next(frames_of)
        looked.set()
        come.wait(5)
        newest = next(frames_of)
        looked.set()
        last = list(frames_of)
    assert numbers([first, newest, *last]) == [1, 7, 8]
    assert frames.dropped == 5
    assert camera.released
    assert (camera.source, frames.live) == (0, True)


@pytest.mark.parametrize(
    ("source", "live"),
    [("2", True), ("rtsp://camera/1", True), ("0.mp4", False), ("http://site/film.mp4", False)],
)
def test_which_sources_are_live(connect, source, live):
    connect(0)
    with Video(source) as frames:
        assert frames.live is live


def test_a_camera_left_early_is_released(connect):
    camera = connect(10**9, lambda: time.sleep(1e-3))
    with Video("0") as frames:
        next(iter(frames))
    assert camera.released


def test_a_fault_of_a_camera_is_raised_where_its_frames_are_used(connect):
    def fail():
        raise cv2.error("unplugged")

    camera = connect(5, fail)
    with pytest.raises(cv2.error, match="unplugged"), Video("0") as frames:
        next(iter(frames))
    assert camera.released


@pytest.mark.parametrize("source", ["7", "missing.mp4"])
def test_what_does_not_open_is_told_in_one_line(source, tmp_path, capfd):
    with pytest.raises(SystemExit) as ended:
        main(["track", "--source", source, "-o", str(tmp_path / "out.mp4")])
    kind = "camera" if source == "7" else "video"
    assert ended.value.code == f"cv2-superpoint: cannot open {kind} {source}"
    assert not capfd.readouterr().err  # OpenCV says nothing


def slow_tracks(feature, frames):
    """Yield tracks as on a machine that takes three frames' time for one."""
    for frame in frames:
        time.sleep(0.03)
        yield frame, [[(1.0, 2.0)]]


def test_dropped_frames_are_counted_and_time_passes_as_it_did(
    connect, monkeypatch, tmp_path, capsys
):
    output, count_frames, opened = tmp_path / "out.mp4", video.count_frames, cv2.VideoCapture
    monkeypatch.setattr(cli, "track_keypoints", slow_tracks)

    def count_without_camera(name):
        monkeypatch.setattr(cv2, "VideoCapture", opened)
        return count_frames(name)

    monkeypatch.setattr(cli, "count_frames", count_without_camera)
    connect(30, lambda: time.sleep(0.01))
    main(["track", "--source", "0", "-o", str(output)])
    found = re.match(r"(\d+) frames, (\d+) dropped, (\d+\.\d) fps\n", capsys.readouterr().out)
    frames, dropped, rate = (float(number) for number in found.groups())
    assert frames + dropped == 30
    assert dropped > 10
    assert 0 < rate < 34
    assert count_frames(str(output)) > 25


def test_ctrl_c_ends_a_camera(connect, monkeypatch, tmp_path, capsys):
    camera = connect(10**9, lambda: time.sleep(0.01))
    timer = Timer(0.3, signal.raise_signal, [signal.SIGINT])

    def tracks(feature, frames):
        for i, found in enumerate(slow_tracks(feature, frames)):
            if i == 0:  # what comes before may take longer than 0.3 s
                timer.start()
            yield found

    monkeypatch.setattr(cli, "track_keypoints", tracks)
    monkeypatch.setattr(cli, "count_frames", lambda name: 10**9)
    main(["track", "--source", "0", "-o", str(tmp_path / "out.mp4")])
    timer.join()
    assert re.match(r"\d+ frames, \d+ dropped", capsys.readouterr().out)
    assert camera.released

"""The command line, end to end."""

from __future__ import annotations

import itertools
import re
import resource
import sys
from contextlib import contextmanager

import cv2
import numpy as np
import pytest
from skimage import data

from cv2_superpoint.apps import cli
from cv2_superpoint.apps.cli import main


@pytest.fixture
def photograph(tmp_path):
    path = tmp_path / "camera.png"
    cv2.imwrite(str(path), data.camera()[:240, :320])
    return path


@pytest.fixture
def shifted(tmp_path):
    path = tmp_path / "shifted.png"
    cv2.imwrite(str(path), data.camera()[10:250, 20:340])
    return path


def test_match_writes_a_picture_and_prints_counts(photograph, shifted, tmp_path, capsys):
    output = tmp_path / "out.png"
    main(["match", str(photograph), str(shifted), "-o", str(output), "-n", "300"])
    words = capsys.readouterr().out.split()
    assert words[0] == "SuperPoint:"
    assert int(words[1]) >= 50  # right ones of a mere shift
    assert cv2.imread(str(output)).shape[1] >= 640


@pytest.mark.parametrize("other", ["orb", "sift"])
def test_match_against_draws_both(photograph, shifted, tmp_path, capsys, other):
    alone, both = tmp_path / "alone.png", tmp_path / "both.png"
    main(["match", str(photograph), str(shifted), "-o", str(alone)])
    main(["match", str(photograph), str(shifted), "-o", str(both), "--against", other])
    assert f"{other.upper()}: " in capsys.readouterr().out
    assert cv2.imread(str(both)).shape[0] >= 2 * cv2.imread(str(alone)).shape[0]


def test_match_without_images_uses_the_pair_that_ships(tmp_path, capsys):
    main(["match", "-o", str(tmp_path / "out.png")])
    assert (tmp_path / "out.png").exists()
    text = capsys.readouterr().out
    assert "measured disparity" in text
    right, matches = (int(text.split()[i]) for i in (1, 3))
    assert matches > 300
    assert right > matches / 2


def test_match_without_images_needs_scikit_image(monkeypatch):
    monkeypatch.setitem(sys.modules, "skimage", None)
    with pytest.raises(SystemExit, match="scikit-image"):
        main(["match"])


def test_a_failing_orb_keeps_no_picture_back(tmp_path, capsys):
    image, output = tmp_path / "pixel.png", tmp_path / "out.png"
    cv2.imwrite(str(image), np.zeros((1, 1), np.uint8))
    with pytest.raises(SystemExit, match="ORB failed"):
        main(["match", str(image), str(image), "-o", str(output), "--against", "orb"])
    assert output.exists()
    assert "SuperPoint: 0 of 0" in capsys.readouterr().out


def test_match_of_blank_images_finds_nothing(tmp_path, capsys):
    path = tmp_path / "blank.png"
    cv2.imwrite(str(path), np.full((64, 64), 128, np.uint8))
    main(["match", str(path), str(path), "-o", str(tmp_path / "out.png"), "--against", "orb"])
    assert "ORB: 0 of 0 matches" in capsys.readouterr().out
    assert (tmp_path / "out.png").exists()


def test_detect_saves_features(photograph, tmp_path, capsys):
    output, saved = tmp_path / "out.png", tmp_path / "features.npz"
    main(["detect", str(photograph), "-o", str(output), "--save", str(saved), "-n", "50"])
    assert "50 keypoints" in capsys.readouterr().out
    assert cv2.imread(str(output)).shape == (240, 320, 3)
    with np.load(saved) as arrays:
        assert arrays["xy"].shape == (50, 2)
        assert arrays["descriptors"].shape == (50, 64)


@pytest.fixture
def video(tmp_path):
    """Four frames, each three pixels further left."""
    path = tmp_path / "in.mp4"
    code = cv2.VideoWriter.fourcc(*"mp4v")
    writer = cv2.VideoWriter(str(path), code, 25.0, (160, 120))
    image = cv2.cvtColor(data.camera(), cv2.COLOR_GRAY2BGR)
    for i in range(4):
        writer.write(np.ascontiguousarray(image[100:220, 180 + 3 * i : 340 + 3 * i]))
    writer.release()
    return path


def test_track_follows_points_through_a_video(video, tmp_path, capsys):
    output = tmp_path / "out.mp4"
    main(["track", "--source", str(video), "-o", str(output), "-n", "100"])
    counts, kept, _ = capsys.readouterr().out.splitlines()
    assert re.fullmatch(r"4 frames, 0 dropped, \d+\.\d fps", counts)
    assert int(kept.split()[0]) >= 10
    capture = cv2.VideoCapture(str(output))
    assert int(capture.get(cv2.CAP_PROP_FRAME_COUNT)) == 4


@contextmanager
def _largest_file(size):
    """Let no file grow beyond so many bytes, as on a full disk."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_a_video_that_does_not_fit_is_told(video, tmp_path, capsys):
    output = tmp_path / "out.mp4"
    with _largest_file(4096), pytest.raises(SystemExit, match=r"out\.mp4 is incomplete"):
        main(["track", "--source", str(video), "-o", str(output), "-n", "100"])
    assert "wrote" not in capsys.readouterr().out


def test_features_that_do_not_fit_leave_what_was_there(photograph, tmp_path):
    output, saved = tmp_path / "out.jpg", tmp_path / "features.npz"
    command = ["detect", str(photograph), "-o", str(output), "--save", str(saved)]
    main(command)
    size = saved.stat().st_size
    assert output.stat().st_size < size  # so that the picture fits, and the features do not
    saved.write_bytes(b"from before")
    with _largest_file(size - 1), pytest.raises(SystemExit, match=r"cannot write .*features\.npz"):
        main(command)
    assert saved.read_bytes() == b"from before"
    assert {path.name for path in tmp_path.iterdir()} == {"camera.png", "out.jpg", "features.npz"}


def test_an_interrupted_video_stays(video, tmp_path, monkeypatch, capsys):
    def two_frames(feature, frames):
        for frame in itertools.islice(frames, 2):
            yield frame, []
        raise KeyboardInterrupt

    monkeypatch.setattr(cli, "track_keypoints", two_frames)
    main(["track", "--source", str(video), "-o", str(tmp_path / "out.mp4")])
    assert capsys.readouterr().out.startswith("2 frames")


def test_an_interrupt_before_the_first_frame_is_one(video, tmp_path, monkeypatch):
    def interrupt(options):
        raise KeyboardInterrupt

    monkeypatch.setattr(cli, "_create", interrupt)
    with pytest.raises(KeyboardInterrupt):
        main(["track", "--source", str(video), "-o", str(tmp_path / "out.mp4")])


@pytest.mark.skipif(sys.platform != "linux", reason="other systems always have windows")
def test_without_a_display_track_says_what_to_do(video, monkeypatch):
    for name in ("DISPLAY", "WAYLAND_DISPLAY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(cv2, "imshow", lambda *_: pytest.fail("a window was opened"))
    with pytest.raises(SystemExit, match=r"no display .* -o"):
        main(["track", "--source", str(video)])


def test_a_headless_opencv_has_no_windows(video, monkeypatch):
    monkeypatch.setenv("DISPLAY", ":0")
    built = cv2.getBuildInformation().replace("QT5", "NONE")
    assert re.search(r"GUI: +NONE\n", built)  # as opencv-python-headless says
    monkeypatch.setattr(cv2, "getBuildInformation", lambda: built)
    with pytest.raises(SystemExit, match="no display"):
        main(["track", "--source", str(video)])


@pytest.mark.parametrize("source", ["²", "9" * 20, "9" * 5000, "missing.mp4", "caf\udce9.mp4"])
def test_a_source_that_is_none_is_told(source, tmp_path):
    with pytest.raises(SystemExit, match=r"cv2-superpoint: .*video"):
        main(["track", "--source", source, "-o", str(tmp_path / "out.mp4")])


def test_a_truncated_jpeg_is_told(photograph, tmp_path, capsys):
    path = tmp_path / "half.jpg"
    content = cv2.imencode(".jpg", cv2.imread(str(photograph)))[1].tobytes()
    path.write_bytes(content[: len(content) // 2])
    main(["detect", str(path), "-o", str(tmp_path / "out.png")])
    assert f"warning: {path} is truncated" in capsys.readouterr().err
    path.write_bytes(content)
    main(["detect", str(path), "-o", str(tmp_path / "out.png")])
    assert not capsys.readouterr().err


@pytest.mark.parametrize(
    "arguments",
    [
        ["match", "missing.png", "missing.png"],
        ["match", "one.png"],
        ["detect", "missing.png"],
    ],
)
def test_what_cannot_be_read_ends_with_a_message(arguments):
    with pytest.raises(SystemExit, match="cv2-superpoint: "):
        main(arguments)


def test_what_cannot_be_written_ends_with_a_message(photograph):
    with pytest.raises(SystemExit, match="cannot write"):
        main(["detect", str(photograph), "-o", "no/such/folder/out.png"])


def test_wrong_weights_end_with_a_message(photograph, tmp_path):
    wrong = tmp_path / "weights.pth"
    wrong.write_text("no weights")
    with pytest.raises(SystemExit, match="weights"):
        main(["detect", str(photograph), "--weights", str(wrong)])

"""The command line, end to end."""

from __future__ import annotations

import subprocess
import sys

import cv2
import numpy as np
import pytest
from skimage import data

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
    assert int(words[1]) >= 50  # inliers of a mere shift
    assert cv2.imread(str(output)).shape[1] == 640


@pytest.mark.parametrize("other", ["orb", "sift"])
def test_match_against_draws_both(photograph, shifted, tmp_path, capsys, other):
    alone, both = tmp_path / "alone.png", tmp_path / "both.png"
    main(["match", str(photograph), str(shifted), "-o", str(alone)])
    main(["match", str(photograph), str(shifted), "-o", str(both), "--against", other])
    assert f"{other.upper()}: " in capsys.readouterr().out
    assert cv2.imread(str(both)).shape[0] == 2 * cv2.imread(str(alone)).shape[0]


def test_match_without_images_uses_the_pair_that_ships(tmp_path, capsys):
    main(["match", "-o", str(tmp_path / "out.png")])
    assert (tmp_path / "out.png").exists()
    assert "inliers" in capsys.readouterr().out


def test_match_of_blank_images_finds_nothing(tmp_path, capsys):
    path = tmp_path / "blank.png"
    cv2.imwrite(str(path), np.full((64, 64), 128, np.uint8))
    main(["match", str(path), str(path), "-o", str(tmp_path / "out.png"), "--against", "orb"])
    assert "ORB: 0 inliers of 0 matches" in capsys.readouterr().out
    assert (tmp_path / "out.png").exists()


def test_detect_saves_features(photograph, tmp_path, capsys):
    output, saved = tmp_path / "out.png", tmp_path / "features.npz"
    main(["detect", str(photograph), "-o", str(output), "--save", str(saved), "-n", "50"])
    assert "50 keypoints" in capsys.readouterr().out
    assert cv2.imread(str(output)).shape == (240, 320, 3)
    with np.load(saved) as arrays:
        assert arrays["xy"].shape == (50, 2)
        assert arrays["descriptors"].shape == (50, 256)


def test_track_follows_points_through_a_video(tmp_path, capsys):
    source, output = tmp_path / "in.mp4", tmp_path / "out.mp4"
    code = cv2.VideoWriter.fourcc(*"mp4v")
    writer = cv2.VideoWriter(str(source), code, 25.0, (160, 120))
    image = cv2.cvtColor(data.camera(), cv2.COLOR_GRAY2BGR)
    for i in range(4):
        writer.write(np.ascontiguousarray(image[100:220, 180 + 3 * i : 340 + 3 * i]))
    writer.release()
    main(["track", "--source", str(source), "-o", str(output), "-n", "100"])
    words = capsys.readouterr().out.split()
    assert words[:2] == ["4", "frames,"]
    assert int(words[2]) >= 10
    capture = cv2.VideoCapture(str(output))
    assert int(capture.get(cv2.CAP_PROP_FRAME_COUNT)) == 4


def test_info_names_versions_and_weights(capsys):
    main(["info"])
    text = capsys.readouterr().out
    assert cv2.__version__ in text
    assert "superpoint-lite" in text


@pytest.mark.parametrize(
    "arguments",
    [
        ["match", "missing.png", "missing.png"],
        ["match", "one.png"],
        ["detect", "missing.png"],
        ["track", "--source", "missing.mp4", "-o", "x.mp4"],
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


def test_module_runs_as_a_program():
    command = [sys.executable, "-m", "cv2_superpoint", "info"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert "superpoint-lite" in done.stdout

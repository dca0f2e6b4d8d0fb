"""Dense alignment finds the true homography from one that is pixels off."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
import skimage.data

from benchmarks.__main__ import main
from benchmarks.accuracy.alignment import align
from benchmarks.common.metrics import corner_error

PHOTOGRAPH = skimage.data.camera()
IMAGE = PHOTOGRAPH[100:340, 90:410]
TRUE = np.array([[0.95, 0.06, 8], [-0.05, 0.93, 12], [5e-5, 2e-5, 1]])
WRONG = TRUE + np.array([[0.01, 0, -3], [0, 0.008, 2], [0, 0, 0]])
CROP = np.array([[1, 0, -90], [0, 1, -100], [0, 0, 1]])
SECOND = cv2.warpPerspective(PHOTOGRAPH, TRUE @ CROP, (320, 240))


@pytest.mark.parametrize("scale", [1, 7])  # a homography is known up to a factor
def test_the_true_homography_is_found(scale):
    darker = np.uint8(0.6 * SECOND + 20)
    assert corner_error(WRONG, TRUE, IMAGE.shape) > 2
    assert corner_error(align(IMAGE, darker, scale * WRONG), TRUE, IMAGE.shape) < 0.1


@pytest.mark.parametrize("second", [np.zeros_like(IMAGE), IMAGE[::-1, ::-1].copy()])
def test_without_a_better_one_the_given_stays(second):
    far = np.array([[1, 0, 500], [0, 1, 0], [0, 0, 1.0]])
    assert align(IMAGE, second, far) is far


def test_a_right_estimate_is_right_only_by_aligned_homographies(tmp_path, capsys):
    folder = tmp_path / "v_wrong"
    folder.mkdir()
    cv2.imwrite(str(folder / "1.png"), IMAGE)
    cv2.imwrite(str(folder / "2.png"), SECOND)
    np.savetxt(folder / "H_1_2", WRONG)

    def first_row(*more: str) -> tuple[str, str]:
        arguments = ["hpatches", "--data", str(tmp_path), "--methods", "SIFT", "--workers", "1"]
        main([*arguments, *more])
        printed = capsys.readouterr().out
        _, row = printed.split("\nall\n")[1].split("\n\n")[0].splitlines()
        return printed.replace("\n  ", " "), row.split()[1]

    printed, given = first_row()
    assert given == "0.000"
    assert "by the aligned ones" not in printed
    printed, aligned = first_row("--aligned")
    assert aligned == "1.000"
    assert "homographies of the data, by the aligned ones: H@1 0.000" in printed

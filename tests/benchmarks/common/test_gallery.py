"""Which methods and pairs are drawn, and where the lines go."""

import cv2
import numpy as np
import pytest

from benchmarks.common.gallery import choose_methods, choose_pairs, draw_matches


@pytest.mark.parametrize(
    ("methods", "chosen"),
    [
        (["AKAZE", "ORB", "SuperPoint[nlevels=1]", "SIFT", "SuperPoint"], [2, 3, 1]),
        (["AKAZE", "BRISK", "SuperPoint"], [2, 0, 1]),
        (["ORB"], [0]),
        ([], []),
    ],
)
def test_ours_stands_beside_sift_and_orb(methods: list[str], chosen: list[int]) -> None:
    assert choose_methods(methods) == [methods[i] for i in chosen]


def test_best_median_and_worst() -> None:
    assert choose_pairs([3, 9, 1, 7, 5], lambda x: x) == {"best": 1, "median": 5, "worst": 9}
    assert choose_pairs([], lambda x: x) == {}


@pytest.mark.parametrize("shape", [(420, 560), (560, 420)])
def test_lines_join_the_points(shape: tuple[int, int]) -> None:
    grey = np.full(shape, 128, np.uint8)
    points = np.array([[100.0, 100.0], [300.0, 200.0]])
    moved = points + np.array([30, 50])
    code = draw_matches(grey, grey, points, moved, np.array([True, False]))
    picture = cv2.imdecode(np.frombuffer(code, np.uint8), cv2.IMREAD_COLOR).astype(int)
    landscape = shape[1] > shape[0]
    assert (picture.shape[0] > picture.shape[1]) == landscape
    # Of landscapes one is below the other, at its size; of portraits one is beside the other.
    scale = 1 if landscape else 560 / (2 * 420 + 6)
    shift = [0, 426] if landscape else [426, 0]
    for i, (strong, weak) in enumerate([(1, 2), (2, 1)]):  # green, red
        for x, y in (points[i] * scale, (moved[i] + shift) * scale):
            patch = picture[round(y) - 2 : round(y) + 3, round(x) - 2 : round(x) + 3]
            assert (patch[..., strong] - patch[..., weak]).max() > 40

"""Matching score and NN mAP against cases counted by hand and against brute force."""

import math

import cv2
import numpy as np
import pytest

from benchmarks.accuracy.descriptor_metrics import (
    average_precision,
    matching_score,
    nearest_neighbour_average_precision,
)
from benchmarks.common import metrics

SIZE = (240, 320)
IDENTITY = np.eye(3)
NO_POINTS = np.empty((0, 2))
NO_MATCHES = np.empty((0, 2), np.intp)
PERSPECTIVE = np.array([[0.9, 0.1, 12.0], [-0.05, 1.1, -8.0], [2e-4, -1e-4, 1.0]])


def grid(count: int) -> np.ndarray:
    return np.column_stack([20.0 + 25 * np.arange(count), np.full(count, 50.0)])


def one_hot(indices: list[int]) -> np.ndarray:
    return np.eye(16, dtype=np.float32)[indices]


class TestMatchingScore:
    def score(self, first, second, matches, homography=IDENTITY, threshold=3.0) -> float:
        matches = np.array(matches, np.intp).reshape(-1, 2)
        return matching_score(first, second, matches, homography, SIZE, SIZE, threshold)

    def test_identity(self) -> None:
        assert self.score(grid(4), grid(4), [(i, i) for i in range(4)]) == 1

    def test_averages_both_directions(self) -> None:
        # One right match: a quarter of image 1's points, half of image 2's.
        assert self.score(grid(4), grid(2), [(0, 0), (3, 1)]) == pytest.approx(3 / 8)

    def test_points_outside_the_shared_view_do_not_count(self) -> None:
        # Shifted right by 100, x = 270 leaves the image, and x = 20 of image 2 comes from -80.
        first, second = np.array([[20.0, 50.0], [270.0, 50.0]]), grid(5)[[4, 0]]
        right = np.array([[1, 0, 100], [0, 1, 0], [0, 0, 1]], np.float64)
        assert self.score(first, second, [(0, 0), (1, 1)], right) == 1

    def test_each_direction_has_its_own_pixels(self) -> None:
        # 2 pixels in image 1 are 4 in image 2, whose direction fails.
        first, second = np.array([[20.0, 20.0]]), np.array([[44.0, 40.0]])
        assert self.score(first, second, [(0, 0)], np.diag([2.0, 2.0, 1.0])) == 0.5

    def test_threshold_is_inclusive(self) -> None:
        moved = grid(1) + np.array([3, 0])
        assert self.score(grid(1), moved, [(0, 0)], threshold=3) == 1
        assert self.score(grid(1), moved, [(0, 0)], threshold=2.9) == 0

    @pytest.mark.parametrize(("n1", "n2"), [(0, 0), (0, 3), (3, 0), (1, 1)])
    def test_nothing_matched(self, n1: int, n2: int) -> None:
        assert self.score(grid(n1), grid(n2), NO_MATCHES) == 0


class TestAveragePrecision:
    def test_by_hand(self) -> None:
        # Accepted in the order right, wrong, right: precision 1 and 2/3 where recall rises.
        distances, correct = np.array([0.3, 0.1, 0.2]), np.array([True, True, False])
        assert average_precision(distances, correct, 2) == pytest.approx((1 + 2 / 3) / 2)
        assert average_precision(distances, correct, 4) == pytest.approx((1 + 2 / 3) / 4)

    def test_equal_distances_are_accepted_together(self) -> None:
        distances, correct = np.zeros(4), np.array([True, False, True, False])
        for order in (correct, correct[::-1], np.sort(correct)):
            assert average_precision(distances, order, 2) == 0.5

    def test_extremes(self) -> None:
        distances = np.arange(3.0)
        assert average_precision(distances, np.ones(3, bool), 3) == 1
        assert average_precision(distances, np.zeros(3, bool), 3) == 0
        assert average_precision(distances, np.zeros(3, bool), 0) == 0

    def test_against_brute_force(self) -> None:
        random = np.random.default_rng(0)
        distances = random.integers(0, 20, 60).astype(float)
        correct = random.random(60) < 0.5
        area, recall = 0.0, 0.0
        for threshold in sorted(set(distances)):
            accepted = [c for d, c in zip(distances, correct, strict=True) if d <= threshold]
            area += (sum(accepted) / 40 - recall) * sum(accepted) / len(accepted)
            recall = sum(accepted) / 40
        assert average_precision(distances, correct, 40) == pytest.approx(area)


class TestNearestNeighbourAveragePrecision:
    def measure(self, first, second, d1, d2, homography=IDENTITY, norm=cv2.NORM_L2) -> float:
        return nearest_neighbour_average_precision(
            first, second, d1, d2, norm, homography, SIZE, SIZE, 3
        )

    def test_identity(self) -> None:
        rows = one_hot([0, 1, 2, 3])
        assert self.measure(grid(4), grid(4), rows, rows) == 1

    def test_all_wrong(self) -> None:
        assert self.measure(grid(2), grid(2), one_hot([0, 1]), one_hot([1, 0])) == 0

    def test_confident_mistakes_cost_more(self) -> None:
        # Image 1's descriptors lie at given distances from 0 and 10, those of image 2.
        second = np.array([[0.0], [10.0]], np.float32)
        sure_of_the_wrong = np.array([[0.4], [0.1]], np.float32)
        sure_of_the_right = np.array([[0.1], [0.4]], np.float32)
        low = self.measure(grid(2), grid(2), sure_of_the_wrong, second)
        high = self.measure(grid(2), grid(2), sure_of_the_right, second)
        # Forward 1/4 and 1/2; backward 0's nearest decides: .1, which is the wrong or right one,
        # and 10's nearest is .4, at a distance of 9.6.
        assert low == pytest.approx((0.25 + 0) / 2)
        assert high == pytest.approx((0.5 + 1) / 2)

    def test_hamming(self) -> None:
        rows = np.packbits(np.eye(8, dtype=bool), axis=1)[:3]
        assert self.measure(grid(3), grid(3), rows, rows, norm=cv2.NORM_HAMMING) == 1

    def test_recall_counts_only_points_with_a_correspondence(self) -> None:
        # The third point of image 1 has none, but its proposal is the last and costs nothing.
        first = np.vstack([grid(2), [[200.0, 200.0]]])
        d1 = one_hot([0, 1, 5])
        assert self.measure(first, grid(2), d1, one_hot([0, 1])) == 1

    @pytest.mark.parametrize(("n1", "n2"), [(0, 0), (0, 3), (3, 0)])
    def test_empty(self, n1: int, n2: int) -> None:
        d1, d2 = one_hot([0] * n1), one_hot([0] * n2)
        assert self.measure(grid(n1), grid(n2), d1, d2) == 0

    def test_one_against_one(self) -> None:
        assert self.measure(grid(1), grid(1), one_hot([0]), one_hot([0])) == 1

    def test_nothing_in_common(self) -> None:
        away = np.array([[1, 0, 1000], [0, 1, 0], [0, 0, 1]], np.float64)
        assert self.measure(grid(3), grid(3), one_hot([0, 1, 2]), one_hot([0, 1, 2]), away) == 0

    def test_against_brute_force(self) -> None:
        random = np.random.default_rng(1)
        first = random.uniform([0, 0], [319, 239], (60, 2))
        second = metrics.warp_points(first, PERSPECTIVE) + random.normal(0, 2, (60, 2))
        d1 = random.normal(size=(60, 4)).astype(np.float32)
        d2 = (d1 + random.normal(0, 0.4, d1.shape)).astype(np.float32)

        def visible(point) -> bool:
            return -0.5 <= point[0] < 319.5 and -0.5 <= point[1] < 239.5

        def direction(a, da, b, db, homography) -> float:
            moved = [metrics.warp_points(p[None], homography)[0] for p in a]
            back = [metrics.warp_points(p[None], np.linalg.inv(homography))[0] for p in b]
            queries = [i for i in range(len(a)) if visible(moved[i])]
            candidates = [j for j in range(len(b)) if visible(back[j])]
            proposals, positives = [], 0
            for i in queries:
                near = [math.dist(moved[i], b[j]) for j in candidates]
                positives += min(near) <= 3
                far = [float(np.linalg.norm(da[i] - db[j])) for j in candidates]
                best = int(np.argmin(far))
                proposals.append((far[best], near[best] <= 3))
            hits, area = 0, 0.0
            for rank, (_, right) in enumerate(sorted(proposals), start=1):
                hits += right
                area += right * hits / rank
            return area / positives

        expected = (
            direction(first, d1, second, d2, PERSPECTIVE)
            + direction(second, d2, first, d1, np.linalg.inv(PERSPECTIVE))
        ) / 2
        assert 0.2 < expected < 0.95
        found = self.measure(first, second, d1, d2, PERSPECTIVE)
        assert found == pytest.approx(expected, abs=1e-6)

"""Every metric against cases counted by hand and against brute force."""

import math

import cv2
import numpy as np
import pytest

from benchmarks.accuracy.protocol import ESTIMATORS
from benchmarks.common import metrics

SIZE = (240, 320)
IDENTITY = np.eye(3)
NO_POINTS = np.empty((0, 2))
PERSPECTIVE = np.array([[0.9, 0.1, 12.0], [-0.05, 1.1, -8.0], [2e-4, -1e-4, 1.0]])


def shift(dx: float, dy: float = 0) -> np.ndarray:
    return np.array([[1, 0, dx], [0, 1, dy], [0, 0, 1]], np.float64)


def random_points(count: int, seed: int) -> np.ndarray:
    return np.random.default_rng(seed).uniform([0, 0], [SIZE[1] - 1, SIZE[0] - 1], (count, 2))


class TestWarpPoints:
    def test_agrees_with_opencv(self) -> None:
        points = random_points(50, seed=0)
        expected = cv2.perspectiveTransform(points[:, None], PERSPECTIVE)[:, 0]
        np.testing.assert_allclose(metrics.warp_points(points, PERSPECTIVE), expected)

    def test_scale_of_the_matrix_does_not_matter(self) -> None:
        points = random_points(5, seed=1)
        np.testing.assert_allclose(
            metrics.warp_points(points, -3 * PERSPECTIVE), metrics.warp_points(points, PERSPECTIVE)
        )

    def test_empty(self) -> None:
        assert metrics.warp_points(NO_POINTS, PERSPECTIVE).shape == (0, 2)

    def test_point_at_infinity(self) -> None:
        horizon = np.array([[1, 0, 0], [0, 1, 0], [1, 0, -10]], np.float64)
        assert not np.isfinite(metrics.warp_points(np.array([[10.0, 5.0]]), horizon)).any()


class TestSharedView:
    def test_by_hand(self) -> None:
        points = np.array([[5.0, 5.0], [315.0, 5.0]])
        seen1, seen2 = metrics.shared_view(points, points, shift(10), SIZE, SIZE)
        assert seen1.tolist() == [True, False]  # 315 goes to 325
        assert seen2.tolist() == [False, True]  # 5 comes from -5

    def test_each_image_has_its_own_size(self) -> None:
        points = np.array([[50.0, 5.0]])
        seen1, seen2 = metrics.shared_view(points, points, IDENTITY, (240, 320), (10, 40))
        assert (seen1.tolist(), seen2.tolist()) == ([False], [True])

    def test_empty(self) -> None:
        seen1, seen2 = metrics.shared_view(NO_POINTS, NO_POINTS, PERSPECTIVE, SIZE, SIZE)
        assert (len(seen1), len(seen2)) == (0, 0)


class TestMutualNearestNeighbours:
    def test_by_hand(self) -> None:
        # 0 and 1 of image 1 both like 0 of image 2, which likes 1 best; 2 and 1 like each other.
        first = np.array([[0.0], [1.0], [9.0]], np.float32)
        second = np.array([[1.2], [10.0]], np.float32)
        pairs = metrics.mutual_nearest_neighbours(first, second, cv2.NORM_L2)
        assert pairs.tolist() == [[1, 0], [2, 1]]

    def test_against_brute_force(self) -> None:
        rng = np.random.default_rng(2)
        first, second = (rng.normal(size=(n, 8)).astype(np.float32) for n in (40, 30))
        distances = np.linalg.norm(first[:, None] - second[None], axis=2)
        forward, backward = distances.argmin(axis=1), distances.argmin(axis=0)
        expected = [[i, j] for i, j in enumerate(forward) if backward[j] == i]
        pairs = metrics.mutual_nearest_neighbours(first, second, cv2.NORM_L2)
        assert pairs.tolist() == expected

    def test_hamming(self) -> None:
        first = np.array([[0b0000], [0b1111]], np.uint8)
        second = np.array([[0b0111], [0b0001]], np.uint8)
        pairs = metrics.mutual_nearest_neighbours(first, second, cv2.NORM_HAMMING)
        assert pairs.tolist() == [[0, 1], [1, 0]]

    def test_one_against_one(self) -> None:
        one = np.ones((1, 8), np.float32)
        assert metrics.mutual_nearest_neighbours(one, one, cv2.NORM_L2).tolist() == [[0, 0]]

    @pytest.mark.parametrize(("n1", "n2"), [(0, 0), (0, 3), (3, 0)])
    def test_empty(self, n1: int, n2: int) -> None:
        first, second = np.ones((n1, 8), np.float32), np.ones((n2, 8), np.float32)
        assert metrics.mutual_nearest_neighbours(first, second, cv2.NORM_L2).shape == (0, 2)


class TestRepeatability:
    def test_identity(self) -> None:
        points = random_points(50, seed=3)
        assert metrics.repeatability(points, points, IDENTITY, SIZE, 3) == (1.0, 0.0)

    def test_known_offset(self) -> None:
        # A grid of step 20, so the nearest point is always the one that was moved by (1.5, 2).
        grid = np.stack(np.meshgrid(np.arange(20, 300, 20), np.arange(20, 220, 20)), -1)
        points = grid.reshape(-1, 2).astype(np.float64)
        repeated, error = metrics.repeatability(
            points, metrics.warp_points(points, shift(1.5, 2)), IDENTITY, SIZE, 3
        )
        assert (repeated, error) == (1.0, pytest.approx(2.5))

    def test_threshold_is_inclusive(self) -> None:
        first, second = np.array([[10.0, 10.0]]), np.array([[13.0, 10.0]])
        assert metrics.repeatability(first, second, IDENTITY, SIZE, 3) == (1.0, 3.0)
        repeated, error = metrics.repeatability(first, second, IDENTITY, SIZE, 2.9)
        assert repeated == 0
        assert math.isnan(error)

    def test_counts_both_images(self) -> None:
        # Image 1: one of two repeated. Image 2: one of one. (1 + 1) / (2 + 1).
        first, second = np.array([[10.0, 10.0], [50.0, 50.0]]), np.array([[11.0, 10.0]])
        repeated, error = metrics.repeatability(first, second, IDENTITY, SIZE, 3)
        assert (repeated, error) == (pytest.approx(2 / 3), pytest.approx(1.0))

    def test_points_that_leave_the_image_do_not_count(self) -> None:
        # Shifted right by 100: of image 1, x = 300 leaves; of image 2, x = 50 comes from -50.
        first = np.array([[100.0, 100.0], [300.0, 100.0]])
        second = np.array([[200.0, 100.0], [50.0, 100.0]])
        assert metrics.repeatability(first, second, shift(100), SIZE, 3) == (1.0, 0.0)

    @pytest.mark.parametrize(
        ("x", "repeated"), [(-0.5, 1.0), (-0.51, 0.0), (319.4, 1.0), (319.5, 0.0)]
    )
    def test_image_ends_half_a_pixel_beyond_the_centres(self, x: float, repeated: float) -> None:
        points = np.array([[x, 10.0]])
        assert metrics.repeatability(points, points, IDENTITY, SIZE, 3)[0] == repeated

    def test_distances_are_in_image_2(self) -> None:
        double = np.diag([2.0, 2.0, 1.0])
        first, second = np.array([[10.0, 10.0]]), np.array([[22.0, 20.0]])
        assert metrics.repeatability(first, second, double, SIZE, 3) == (1.0, 2.0)

    @pytest.mark.parametrize(("n1", "n2"), [(0, 0), (0, 5), (5, 0)])
    def test_empty(self, n1: int, n2: int) -> None:
        first, second = random_points(n1, seed=4), random_points(n2, seed=5)
        repeated, error = metrics.repeatability(first, second, IDENTITY, SIZE, 3)
        assert repeated == 0
        assert math.isnan(error)

    def test_nothing_in_common(self) -> None:
        points = random_points(20, seed=6)
        repeated, error = metrics.repeatability(points, points, shift(1000), SIZE, 3)
        assert repeated == 0
        assert math.isnan(error)

    def test_against_brute_force(self) -> None:
        first, second = random_points(80, seed=7), random_points(90, seed=8)

        def move(homography: np.ndarray, x: float, y: float) -> tuple[float, float]:
            u, v, w = homography @ [x, y, 1]
            return u / w, v / w

        def visible(x: float, y: float) -> bool:
            return -0.5 <= x < 319.5 and -0.5 <= y < 239.5

        inverse = np.linalg.inv(PERSPECTIVE)
        moved = [move(PERSPECTIVE, *p) for p in first]
        moved = [p for p in moved if visible(*p)]
        seen = [tuple(q) for q in second if visible(*move(inverse, *q))]
        nearest = [min(math.dist(p, q) for q in seen) for p in moved]
        nearest += [min(math.dist(p, q) for p in moved) for q in seen]
        hits = [distance for distance in nearest if distance <= 8]

        assert 0 < len(hits) < len(nearest) < len(first) + len(second)
        repeated, error = metrics.repeatability(first, second, PERSPECTIVE, SIZE, 8)
        assert repeated == pytest.approx(len(hits) / len(nearest))
        assert error == pytest.approx(sum(hits) / len(hits))


class TestMatchingAccuracy:
    def test_by_hand(self) -> None:
        first = np.zeros((4, 2))
        second = np.array([[10.0, 0.0], [11.0, 0.0], [13.0, 4.0], [90.0, 0.0]])
        # Errors under a shift by 10: 0, 1, 5 and 80 pixels.
        shares = [metrics.matching_accuracy(first, second, shift(10), t) for t in (0.5, 1, 3, 5)]
        assert shares == [0.25, 0.5, 0.5, 0.75]

    def test_no_matches(self) -> None:
        assert metrics.matching_accuracy(NO_POINTS, NO_POINTS, IDENTITY, 3) == 0

    def test_point_at_infinity_is_wrong(self) -> None:
        horizon = np.array([[1, 0, 0], [0, 1, 0], [1, 0, -10]], np.float64)
        point = np.array([[10.0, 5.0]])
        assert metrics.matching_accuracy(point, point, horizon, 3) == 0


@pytest.mark.parametrize("estimator", list(ESTIMATORS.values()), ids=list(ESTIMATORS))
class TestEstimateHomography:
    @pytest.fixture(autouse=True)
    def _choose(self, estimator: int) -> None:
        self.estimator = estimator

    def estimate(self, first: np.ndarray, second: np.ndarray) -> np.ndarray | None:
        return metrics.estimate_homography(first, second, 3, 10_000, 0.9999, self.estimator)

    def test_recovers_the_truth_among_outliers(self) -> None:
        first = random_points(100, seed=9)
        second = metrics.warp_points(first, PERSPECTIVE)
        second[:40] = random_points(40, seed=10)
        error = metrics.corner_error(self.estimate(first, second), PERSPECTIVE, SIZE)
        assert error < 0.1

    @pytest.mark.parametrize("count", [0, 1, 3])
    def test_too_few_matches(self, count: int) -> None:
        points = random_points(count, seed=11)
        assert self.estimate(points, points) is None

    def test_degenerate_matches_are_no_success(self) -> None:
        same = np.full((10, 2), 7.0)
        line = np.column_stack([np.arange(10.0), np.arange(10.0)])
        for points in (same, line):
            error = metrics.corner_error(self.estimate(points, points + 5), shift(50, 9), SIZE)
            assert error > 5


class TestCornerError:
    def test_identity(self) -> None:
        assert metrics.corner_error(PERSPECTIVE, PERSPECTIVE, SIZE) == 0

    def test_known_shift(self) -> None:
        assert metrics.corner_error(shift(3, 4), IDENTITY, SIZE) == pytest.approx(5)

    def test_known_scale(self) -> None:
        # Doubling moves the corners (0, 0), (319, 0), (319, 239), (0, 239) by their own length.
        expected = (0 + 319 + math.hypot(319, 239) + 239) / 4
        assert metrics.corner_error(np.diag([2, 2, 1]), IDENTITY, SIZE) == pytest.approx(expected)

    @pytest.mark.parametrize(
        "estimate",
        [
            None,
            np.zeros((3, 3)),
            # The corner (0, 0) goes to infinity.
            np.array([[1, 0, 1], [0, 1, 1], [1, 0, 0]], np.float64),
        ],
    )
    def test_failures_are_infinite(self, estimate: np.ndarray | None) -> None:
        assert metrics.corner_error(estimate, IDENTITY, SIZE) == math.inf


class TestSummaries:
    errors = (0.5, 1.0, 2.0, math.inf)

    def test_correctness(self) -> None:
        shares = [metrics.correctness(self.errors, t) for t in (0.4, 1, 3, 1000)]
        assert shares == [0, 0.5, 0.75, 0.75]

    def test_area_by_hand(self) -> None:
        # Trapezoids under (0, 0), (.5, .25), (1, .5), (2, .75), then level to 3.
        area = 0.5 * 0.125 + 0.5 * 0.375 + 1 * 0.625 + 1 * 0.75
        assert metrics.area_under_curve(self.errors, 3) == pytest.approx(area / 3)

    def test_area_of_perfect_and_failed_runs(self) -> None:
        assert metrics.area_under_curve([0.0, 0.0], 3) == 1
        assert metrics.area_under_curve([math.inf], 3) == 0
        assert metrics.area_under_curve([10.0, 20.0], 3) == 0

    def test_area_approaches_the_step_curve(self) -> None:
        errors = np.random.default_rng(12).exponential(3, 5000)
        exact = np.clip(1 - errors / 3, 0, None).mean()
        assert metrics.area_under_curve(errors, 3) == pytest.approx(exact, abs=1e-4)

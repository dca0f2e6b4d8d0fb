"""Nearest neighbours are OpenCV's to the bit, however the product rounds."""

from __future__ import annotations

import sys
import tracemalloc
from types import ModuleType

import cv2
import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from cv2_superpoint.opencv import arrays, scores
from cv2_superpoint.opencv import nearest as module
from cv2_superpoint.opencv.nearest import Pairs, TooManyError, mutual, nearest, within
from cv2_superpoint.runners import eager

NORMS = (cv2.NORM_L2, cv2.NORM_L2SQR)


def unit(rows: np.ndarray) -> np.ndarray:
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def descriptors(kind: str, count: int, width: int, seed: int) -> np.ndarray:
    """Of kinds that are hard for the product, in float32."""
    random = np.random.default_rng(seed)
    rows = random.normal(size=(count, width))
    centres = np.random.default_rng(99).normal(size=(3, width))[random.integers(0, 3, count)]
    made = {
        "normal": rows,
        "unit": unit(rows),
        "clustered": unit(centres + 1e-3 * rows),
        "nearly equal": centres + 1e-7 * rows,
        "duplicated": np.random.default_rng(98).normal(size=(5, width))[
            random.integers(0, 5, count)
        ],
        "integers": random.integers(0, 4, (count, width)),
        "offset": rows + 1000,
        "two scales": rows * np.where(random.random((count, 1)) < 0.5, 1, 1e5),
        "tiny": rows * 1e-25,
        "large": rows * 1e13,
        "constant": np.full((count, width), 0.3),
    }
    return made[kind].astype(np.float32)


KINDS = (
    *("normal", "unit", "clustered", "nearly equal", "duplicated", "integers", "offset"),
    *("two scales", "tiny", "large", "constant"),
)


def opencvs(matches: tuple) -> list[tuple[int, int, float]]:
    """Of match, knnMatch or radiusMatch; in our order of ties, which OpenCV's sort leaves open."""
    flat = [m for row in matches for m in (row if isinstance(row, tuple) else [row])]
    return sorted(
        ((m.queryIdx, m.trainIdx, m.distance) for m in flat), key=lambda m: (m[0], m[2], m[1])
    )


def ours(pairs: Pairs) -> list[tuple[int, int, float]]:
    return list(zip(*(column.tolist() for column in pairs), strict=True))


@pytest.fixture(params=[False, True], ids=["float32", "bfloat16"])
def precision(request, monkeypatch):
    """What arrays are multiplied in first, however few there are, on any CPU."""
    monkeypatch.setattr(module, "is_bfloat16_faster", lambda *_: request.param)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("width", [1, 7, 64, 256])
@pytest.mark.usefixtures("precision")
def test_pairs_and_distances_are_opencvs(kind, width):
    check_pairs(kind, width, np.asarray)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("width", [1, 7, 64, 256])
def test_pairs_and_distances_of_tensors_are_opencvs(kind, width):
    check_pairs(kind, width, torch.from_numpy)


def check_pairs(kind, width, as_array):
    query, train = descriptors(kind, 50, width, 0), descriptors(kind, 70, width, 1)
    train[::9] = query[:8]  # some have a twin on the other side
    mask = np.random.default_rng(2).integers(0, 2, (50, 70), np.uint8)
    mask[5], mask[6, 1:] = 0, 0
    arrays = as_array(query), as_array(train)
    for norm in NORMS:
        plain = cv2.BFMatcher(norm)
        assert ours(mutual(*arrays, norm)) == opencvs(
            cv2.BFMatcher(norm, crossCheck=True).match(query, train)
        )
        for k in (1, 2, 3, 9, 70, 99):
            assert ours(nearest(*arrays, k, None, norm)) == opencvs(plain.knnMatch(query, train, k))
            masked = nearest(*arrays, k, as_array(mask), norm)
            assert ours(masked) == opencvs(plain.knnMatch(query, train, k, mask))
        distances = nearest(*arrays, 70, None, norm).distance
        for share in (0.01, 0.3, 1):
            radius = max(float(np.quantile(distances, share)), 1e-6)  # often a distance itself
            assert ours(within(*arrays, radius, None, norm)) == opencvs(
                plain.radiusMatch(query, train, radius)
            )
            masked = within(*arrays, radius, as_array(mask), norm)
            assert ours(masked) == opencvs(plain.radiusMatch(query, train, radius, mask))


@given(
    st.sampled_from(KINDS),
    st.sampled_from(KINDS),
    st.tuples(st.integers(1, 40), st.integers(1, 40), st.integers(1, 70)),
    st.integers(0, 2**32 - 1),
    st.integers(1, 5),
    st.booleans(),
)
def test_property_any_descriptors_match_as_opencvs(kind, other, shape, seed, k, bfloat16):
    query = descriptors(kind, shape[0], shape[2], seed)
    train = descriptors(other, shape[1], shape[2], seed + 1)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "is_bfloat16_faster", lambda *_: bfloat16)
        assert ours(mutual(query, train)) == opencvs(
            cv2.BFMatcher(cv2.NORM_L2, crossCheck=True).match(query, train)
        )
        assert ours(nearest(query, train, k)) == opencvs(cv2.BFMatcher().knnMatch(query, train, k))


@given(
    st.sampled_from(KINDS),
    st.sampled_from(["same", "moved", "other"]),
    st.tuples(st.integers(1, 30), st.integers(1, 30), st.integers(1, 70)),
    st.integers(0, 2**32 - 1),
    st.booleans(),
)
def test_property_scores_are_within_their_margins(kind, other, shape, seed, bfloat16):
    """Whatever pair OpenCV finds as near as another, scores may not rule out."""
    query, train = (descriptors(kind, n, shape[2], seed + (other == "other")) for n in shape[:2])
    if other == "moved":
        train *= np.float32(1.003)
    (block,) = scores.score_blocks(query, train, None, bfloat16)
    distance = np.empty((len(query), len(train)))
    for row, column, value in opencvs(cv2.BFMatcher().knnMatch(query, train, len(train))):
        distance[row, column] = value
    for found, margin, near in (
        (block.scores, block.margin, distance),
        (block.scores.T, block.train_margin, distance.T),
    ):
        for column in range(found.shape[1]):
            floors = margin.floor(found[:, column])[:, None]
            assert np.all((found >= floors) | (near > near[:, [column]]))


def test_another_thread_may_be_importing_pytorch(monkeypatch):
    monkeypatch.setitem(sys.modules, "torch", ModuleType("torch"))
    assert not arrays.is_tensor(np.zeros(3))


@pytest.mark.parametrize("faster", [True, False])
def test_the_default_device_does_not_matter(faster, monkeypatch):
    query, train = descriptors("unit", 600, 64, 0), descriptors("unit", 700, 64, 1)
    monkeypatch.setattr(module, "is_bfloat16_faster", lambda *_: faster)
    with torch.device("meta"):  # which nothing can be computed on
        found = nearest(query, train)
    assert ours(found) == opencvs(cv2.BFMatcher().match(query, train))


@pytest.mark.parametrize("count", range(16, 400, 16))
def test_rounding_that_swaps_the_nearest_is_seen_through(count, monkeypatch):
    """Of two descriptors in opposite directions, all of the nearer is rounded away from the query
    and all of the farther towards it, by as much as bfloat16 can.
    """
    near, far = np.zeros((2, count + 1), np.float32)
    near[:-1] = 1 + 2**-8 * 1.01
    far[: count // 4] = 2 + 2**-7 * 0.99
    far[-1] = np.float32(0.04 * count**0.5 / 2)  # near enough to its value in bfloat16
    train = np.array([far, near, -far, -near])  # the middle is the query
    query = np.zeros((1, count + 1), np.float32)
    monkeypatch.setattr(module, "is_bfloat16_faster", lambda *_: True)
    assert [pair[1] for pair in ours(nearest(query, train))] == [1]
    assert ours(nearest(query, train)) == opencvs(cv2.BFMatcher().match(query, train))


def test_radius_at_a_score_that_bfloat16_rounds(monkeypatch):
    """Descriptors of small integers about zero are exact in bfloat16, their scores are not."""
    rows = np.random.default_rng(0).integers(-100, 100, (50, 64)).astype(np.float32)
    query, train = rows[:20] + 1, np.concatenate((rows, -rows))
    monkeypatch.setattr(module, "is_bfloat16_faster", lambda *_: True)
    for distance in nearest(query, train, 10).distance.tolist():
        assert ours(within(query, train, distance)) == opencvs(
            cv2.BFMatcher().radiusMatch(query, train, distance)
        )


@pytest.mark.parametrize("kind", ["unit", "clustered", "integers"])
@pytest.mark.usefixtures("precision")
def test_blocks_make_no_difference(kind, monkeypatch):
    query, train = descriptors(kind, 50, 32, 0), descriptors(kind, 70, 32, 1)
    wanted = mutual(query, train), nearest(query, train, 2), within(query, train, 1.0)
    for size in (1, 70 * 7, 70 * 49):
        monkeypatch.setattr(scores, "_BLOCK", size)
        found = mutual(query, train), nearest(query, train, 2), within(query, train, 1.0)
        assert list(map(ours, found)) == list(map(ours, wanted))


def test_ties_go_to_the_lower_index():
    query, train = np.zeros((2, 4), np.float32), np.ones((3, 4), np.float32)
    assert ours(nearest(query, train, 2)) == [(0, 0, 2), (0, 1, 2), (1, 0, 2), (1, 1, 2)]
    assert ours(mutual(query, train)) == [(0, 0, 2)]
    assert [pair[:2] for pair in ours(within(query, train, 2))] == [
        *((0, i) for i in range(3)),
        *((1, i) for i in range(3)),
    ]


@pytest.mark.parametrize("kind", ["unit", "offset"])
@pytest.mark.parametrize(("bfloat16", "most"), [(False, (1500, 2500)), (True, (3000, 5000))])
def test_few_pairs_are_measured_one_by_one(kind, bfloat16, most, monkeypatch):
    """Else it would be right but slow."""
    counts = []
    distances = module._distances

    def counted(query, train, rows, columns, norm):
        counts.append(len(rows))
        return distances(query, train, rows, columns, norm)

    monkeypatch.setattr(module, "_distances", counted)
    monkeypatch.setattr(module, "is_bfloat16_faster", lambda *_: bfloat16)
    query, train = descriptors(kind, 1000, 256, 0), descriptors(kind, 1000, 256, 1)
    nearest(query, train)
    mutual(query, train)
    assert counts[0] < most[0]
    assert counts[1] < most[1]


@pytest.fixture
def products(monkeypatch):
    """Whether each of the products made was in bfloat16."""
    made = []

    def spy(query, train, mask=None, bfloat16=False):
        made.append(bfloat16)
        return scores.score_blocks(query, train, mask, bfloat16)

    monkeypatch.setattr(module, "score_blocks", spy)
    return made


@pytest.mark.parametrize(
    ("count", "width", "fit", "wanted"),
    [(600, 64, True, [True]), (600, 64, False, [False]), (400, 64, True, [False]),
     (600, 32, True, [False])],
)  # fmt: skip
def test_many_descriptors_are_multiplied_in_bfloat16(
    count, width, fit, wanted, products, monkeypatch
):
    monkeypatch.setattr(eager, "can_multiply_bfloat16", lambda device: fit)
    mutual(descriptors("unit", count, width, 0), descriptors("unit", 600, width, 1))
    assert products == wanted


def test_what_bfloat16_cannot_tell_apart_is_multiplied_in_float32(products, monkeypatch):
    monkeypatch.setattr(eager, "can_multiply_bfloat16", lambda device: True)
    clusters = np.repeat(descriptors("unit", 3, 64, 0), 200, axis=0)
    query, train = (unit(clusters + 0.03 * descriptors("unit", 600, 64, n)) for n in (1, 2))
    assert ours(mutual(query, train)) == opencvs(cv2.BFMatcher(crossCheck=True).match(query, train))
    assert products == [True, False]


def test_tensors_are_multiplied_in_their_own_precision(products, monkeypatch):
    monkeypatch.setattr(eager, "can_multiply_bfloat16", lambda device: True)
    mutual(*(torch.from_numpy(descriptors("unit", 600, 64, seed)) for seed in (0, 1)))
    assert products == [False]


def test_too_many_pairs_to_measure_are_refused():
    query, train = descriptors("constant", 300, 8, 0), descriptors("constant", 300, 8, 1)
    for function in (nearest, mutual):
        with pytest.raises(TooManyError):
            function(query, train)
    query, train = descriptors("unit", 300, 8, 0), descriptors("unit", 300, 8, 1)
    with pytest.raises(TooManyError):
        within(query, train, 2.0)


@pytest.mark.usefixtures("precision")
def test_memory_is_that_of_blocks():
    query, train = descriptors("unit", 6000, 16, 0), descriptors("unit", 6000, 16, 1)
    for function in (mutual, nearest):
        tracemalloc.start()
        function(query, train)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert peak < 70e6  # all scores at once are 144 MB


def test_a_callers_autocast_makes_no_difference():
    query, train = (torch.from_numpy(descriptors("unit", 50, 64, seed)) for seed in (0, 1))
    wanted = mutual(query, train)
    with torch.autocast("cpu", torch.bfloat16):
        assert ours(mutual(query.requires_grad_(), train)) == ours(wanted)


@pytest.mark.gpu
@pytest.mark.parametrize("kind", KINDS)
def test_on_a_gpu(kind):
    query, train = descriptors(kind, 50, 256, 0), descriptors(kind, 70, 256, 1)
    arrays = torch.from_numpy(query).cuda(), torch.from_numpy(train).cuda()
    for tf32 in (False, True):
        torch.backends.cuda.matmul.allow_tf32 = tf32
        try:
            assert ours(mutual(*arrays)) == ours(mutual(query, train))
            assert ours(nearest(*arrays, 2)) == ours(nearest(query, train, 2))
        finally:
            torch.backends.cuda.matmul.allow_tf32 = False


def test_arrays_are_left_as_they_are():
    query, train = descriptors("unit", 30, 8, 0), descriptors("unit", 30, 8, 1)
    copies = query.copy(), train.copy()
    for array in (query, train):
        array.flags.writeable = False
    mutual(query, train), nearest(query, train, 2, np.zeros((30, 30), np.uint8))
    np.testing.assert_array_equal(query, copies[0])
    np.testing.assert_array_equal(train, copies[1])

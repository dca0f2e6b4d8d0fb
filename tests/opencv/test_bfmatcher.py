"""What cv2.BFMatcher answers, ours answers: each call is made of both and the answers compared."""

from __future__ import annotations

import copy
import os
import pickle
import re
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch

import cv2_superpoint
from cv2_superpoint import BFMatcher, BFMatcher_create
from cv2_superpoint.opencv import nearest

RANDOM = np.random.default_rng(0)
Q = RANDOM.normal(size=(50, 8)).astype(np.float32)
T = RANDOM.normal(size=(40, 8)).astype(np.float32)
S = RANDOM.normal(size=(30, 8)).astype(np.float32)
BYTES = RANDOM.integers(0, 256, (50, 32), np.uint8)
MASK = RANDOM.integers(0, 2, (50, 40), np.uint8)
MASK[3] = 0
OTHER_MASK = RANDOM.integers(0, 2, (50, 30), np.uint8)
OTHER_MASK[3] = 0


def plain(answer: Any) -> Any:
    """Matches as tuples, else the answer itself."""
    if isinstance(answer, cv2.DMatch):
        return answer.queryIdx, answer.trainIdx, answer.imgIdx, answer.distance
    return tuple(map(plain, answer)) if isinstance(answer, tuple) else answer


def answer(matcher: Any, method: str, *args: Any, **kwargs: Any) -> Any:
    """What a call returns, or what it raises without the place in OpenCV's code."""
    try:
        return plain(getattr(matcher, method)(*args, **kwargs))
    except (cv2.error, TypeError) as error:
        return type(error), getattr(error, "code", None), getattr(error, "err", str(error))


def raised(result: Any) -> bool:
    return isinstance(result, tuple) and len(result) == 3 and isinstance(result[0], type)


def both(*args: Any, images: list | None = None, **options: Any) -> tuple[Any, Any]:
    pair = BFMatcher(*args, **options), cv2.BFMatcher(*args, **options)
    for matcher in pair if images is not None else ():
        matcher.add(images)
    return pair


@pytest.fixture
def product(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Names of the functions of the product that were called."""
    called: list[str] = []
    for name in ("nearest", "mutual", "within"):
        function = getattr(nearest, name)

        def spy(*args: Any, _name: str = name, _function: Any = function) -> Any:
            called.append(_name)
            return _function(*args)

        monkeypatch.setattr(nearest, name, spy)
    return called


FAST = {
    "match": ("match", (Q, T), {}),
    "keywords": ("match", (), {"queryDescriptors": Q, "trainDescriptors": T, "mask": MASK}),
    "mask": ("match", (Q, T, MASK), {}),
    "no mask": ("match", (Q, T, None), {}),
    "knn": ("knnMatch", (Q, T, 2), {}),
    "knn keywords": ("knnMatch", (Q,), {"trainDescriptors": T, "k": 3}),
    "numpy k": ("knnMatch", (Q, T, np.int64(2)), {}),
    "more than there are": ("knnMatch", (Q, T, 99), {}),
    "knn mask": ("knnMatch", (Q, T, 30, MASK), {}),
    "knn compact": ("knnMatch", (Q, T, 2, MASK, True), {}),
    "knn compact keyword": ("knnMatch", (Q, T, 2), {"mask": MASK, "compactResult": True}),
    "radius": ("radiusMatch", (Q, T, 3.0), {}),
    "radius of an int": ("radiusMatch", (Q, T, 3), {}),
    "numpy radius": ("radiusMatch", (Q, T), {"maxDistance": np.float32(3)}),
    "radius mask": ("radiusMatch", (Q, T, 3.0, MASK), {}),
    "radius compact": ("radiusMatch", (Q, T, 1.5, None, True), {}),
    "UMat": ("match", (cv2.UMat(Q), cv2.UMat(T)), {}),
    "UMat and mask": ("match", (cv2.UMat(Q), cv2.UMat(T), cv2.UMat(MASK)), {}),
    "Fortran order": ("match", (np.asfortranarray(Q), T), {}),
    "every other": ("match", (np.repeat(Q, 2, axis=1)[:, ::2], T[::-1]), {}),
}
FAST["knn 1"] = ("knnMatch", (Q, T, 1), {})
FAST["knn 1 compact"] = ("knnMatch", (Q, T, 1), {"compactResult": True})


@pytest.mark.parametrize("norm", [cv2.NORM_L2, cv2.NORM_L2SQR])
@pytest.mark.parametrize("case", FAST)
def test_calls_that_the_product_answers(case, norm, product):
    method, args, kwargs = FAST[case]
    got, wanted = (answer(m, method, *args, **kwargs) for m in both(norm))
    assert got == wanted
    assert not raised(got)
    assert product


@pytest.mark.parametrize(
    "case", ["match", "no mask", "knn 1", "knn 1 compact", "UMat", "every other"]
)
def test_cross_check_by_the_product(case, product):
    method, args, kwargs = FAST[case]
    got, wanted = (answer(m, method, *args, **kwargs) for m in both(crossCheck=True))
    assert got == wanted
    assert 0 < sum(map(bool, got)) < 50
    assert product == ["mutual"]


COLLECTION = {
    "match": ("match", (Q,), {}),
    "keyword": ("match", (), {"queryDescriptors": Q}),
    "masks": ("match", (Q, [MASK, OTHER_MASK]), {}),
    "masks keyword": ("match", (Q,), {"masks": (MASK, OTHER_MASK)}),
    "one mask": ("match", (Q, [MASK, None]), {}),
    "no masks": ("match", (Q,), {"masks": []}),
    "None for masks": ("match", (Q,), {"masks": None}),
    "knn": ("knnMatch", (Q, 3), {}),
    "knn keyword": ("knnMatch", (Q,), {"k": 2}),
    "knn masks": ("knnMatch", (Q, 20, [MASK, OTHER_MASK]), {}),
    "knn compact": ("knnMatch", (Q, 2, [MASK, OTHER_MASK], True), {}),
    "radius": ("radiusMatch", (Q, 3.0), {}),
    "radius masks": ("radiusMatch", (Q, 3.0, [MASK, OTHER_MASK]), {"compactResult": True}),
    "UMat": ("match", (cv2.UMat(Q),), {}),
}


@pytest.mark.parametrize("case", COLLECTION)
def test_the_collection_by_the_product(case, product):
    method, args, kwargs = COLLECTION[case]
    got, wanted = (answer(m, method, *args, **kwargs) for m in both(images=[T, S]))
    assert got == wanted
    assert not raised(got)
    assert product


def test_added_umats_are_matched():
    got, wanted = (answer(m, "match", Q) for m in both(images=[cv2.UMat(T)]))
    assert got == wanted
    assert len(got) == 50


REFUSED = {
    "nothing": ("match", (), {}),
    "unknown keyword": ("match", (Q, T), {"foo": 1}),
    "too many": ("match", (Q, T, MASK, 1), {}),
    "given twice": ("match", (Q, T), {"queryDescriptors": Q}),
    "lists": ("match", (Q.tolist(), T.tolist()), {}),
    "train is None": ("match", (Q, None), {}),
    "train is None by keyword": ("match", (Q,), {"trainDescriptors": None}),
    "other types": ("match", (Q, BYTES), {}),
    "other widths": ("match", (Q, T[:, :4]), {}),
    "float64": ("match", (Q.astype(np.float64), T.astype(np.float64)), {}),
    "float16": ("match", (Q.astype(np.float16), T.astype(np.float16)), {}),
    "bool mask": ("match", (Q, T, MASK > 0), {}),
    "mask of other size": ("match", (Q, T, MASK[:5]), {}),
    "mask of other type": ("match", (Q, T, MASK.astype(np.float32)), {}),
    "mask is a list": ("match", (Q, T, [MASK]), {}),
    "knn without k": ("knnMatch", (Q, T), {}),
    "k = 0": ("knnMatch", (Q, T, 0), {}),
    "k < 0": ("knnMatch", (Q, T, -1), {}),
    "k is a float": ("knnMatch", (Q, T, 2.0), {}),
    "k is None": ("knnMatch", (Q, T, None), {}),
    "radius 0": ("radiusMatch", (Q, T, 0), {}),
    "radius < 0": ("radiusMatch", (Q, T, -1.0), {}),
    "radius is nan": ("radiusMatch", (Q, T, float("nan")), {}),
    "radius is a word": ("radiusMatch", (Q, T, "far"), {}),
}


@pytest.mark.parametrize("case", REFUSED)
def test_errors_are_opencvs(case):
    method, args, kwargs = REFUSED[case]
    got, wanted = (answer(m, method, *args, **kwargs) for m in both())
    assert raised(wanted)
    assert got == wanted


CROSS_REFUSED = {
    "k = 2": ("knnMatch", (Q, T, 2), {}),
    "mask": ("match", (Q, T, MASK), {}),
}


@pytest.mark.parametrize("case", CROSS_REFUSED)
def test_errors_of_the_cross_check(case):
    method, args, kwargs = CROSS_REFUSED[case]
    got, wanted = (answer(m, method, *args, **kwargs) for m in both(crossCheck=True))
    assert raised(wanted)
    assert got == wanted


def test_cross_check_refuses_two_images_as_opencv():
    got, wanted = (answer(m, "match", Q) for m in both(crossCheck=True, images=[T, S]))
    assert raised(wanted)
    assert got == wanted
    got, wanted = (answer(m, "match", Q) for m in both(crossCheck=True, images=[T]))
    assert got == wanted
    assert len(got) > 5


@pytest.mark.parametrize("masks", [[MASK], [MASK, MASK], [MASK, 3], MASK, [OTHER_MASK, MASK]])
def test_errors_of_masks_of_the_collection(masks):
    got, wanted = (answer(m, "match", Q, masks=masks) for m in both(images=[T, S]))
    assert raised(wanted)
    assert got == wanted


def far(value: float) -> np.ndarray:
    rows = Q.copy()
    rows[2, 3], rows[7] = value, value
    return rows


ODD = {
    "query is None": ("match", (None, T), {}),
    "query is empty": ("match", (Q[:0], T), {}),
    "train is empty": ("match", (Q, T[:0]), {}),
    "both are empty": ("match", (Q[:0], T[:0]), {}),
    "nothing was added": ("match", (Q,), {}),
    "knn, nothing was added": ("knnMatch", (Q, 2), {}),
    "nan": ("match", (far(np.nan), T), {}),
    "nan in train": ("knnMatch", (T, far(np.nan), 3), {}),
    "inf": ("match", (far(np.inf), T), {}),
    "-inf on both sides": ("match", (far(-np.inf), far(-np.inf)), {}),
    "overflow": ("match", (far(3e38), T), {}),
    "any radius": ("radiusMatch", (Q, T, float("inf"), MASK), {}),
    "bytes": ("match", (BYTES, BYTES[::-1]), {}),
    "train is flat": ("match", (Q, T[0]), {}),
    "one column": ("match", (Q[:, 0], T[:, 0]), {}),
    "three axes": ("match", (Q[:, :, None], T[:, :, None]), {}),
    "other byte order": ("match", (Q.astype(">f4"), T.astype(">f4")), {}),
    "k and None": ("knnMatch", (Q, 2, None), {}),
    "radius and None": ("radiusMatch", (Q, 2.0, None), {}),
    "compact is an int": ("knnMatch", (Q, T, 1, MASK, 1), {}),
}


@pytest.mark.parametrize("cross_check", [False, True])
@pytest.mark.parametrize("case", ODD)
def test_odd_calls_end_as_opencvs(case, cross_check):
    method, args, kwargs = ODD[case]
    got, wanted = (answer(m, method, *args, **kwargs) for m in both(crossCheck=cross_check))
    np.testing.assert_equal(got, wanted)  # in which nan equals nan


@pytest.mark.parametrize(
    "norm", [cv2.NORM_L1, cv2.NORM_INF, cv2.NORM_HAMMING, cv2.NORM_HAMMING2, 77]
)
@pytest.mark.parametrize("rows", [Q, BYTES], ids=["float", "bytes"])
@pytest.mark.parametrize("cross_check", [False, True])
def test_other_norms_are_opencvs(norm, rows, cross_check, product):
    query, train = rows[:30], rows[20:]
    calls = [("match", ()), ("knnMatch", (2,)), ("radiusMatch", (3.0,))]
    for method, rest in calls:
        pair = both(norm, cross_check)
        got, wanted = (answer(m, method, query, train, *rest) for m in pair)
        assert got == wanted
    assert not product


@pytest.mark.parametrize("args", [("x",), (4.0,), (None, True), (4, "x"), (4, True, 1)])
def test_construction_is_refused_as_by_opencv(args):
    errors = []
    for create in (BFMatcher, cv2.BFMatcher):
        try:
            create(*args)
            errors.append(None)
        except (TypeError, cv2.error) as error:
            errors.append(type(error))
    assert errors[0] == errors[1]


def test_the_three_ways_to_make_one():
    for create in (BFMatcher, BFMatcher.create, BFMatcher_create):
        assert repr(create()) == "BFMatcher(normType=4, crossCheck=False)"
        assert repr(create(cv2.NORM_L1, True)) == "BFMatcher(normType=2, crossCheck=True)"
        assert repr(create(crossCheck=True, normType=np.int32(6))).endswith("6, crossCheck=True)")
    assert cv2_superpoint.BFMatcher is BFMatcher


def test_it_has_all_that_opencvs_has():
    public = {name for name in dir(cv2.BFMatcher) if not name.startswith("_")}
    assert public <= set(dir(BFMatcher))


def test_the_collection_is_kept_as_by_opencv(tmp_path):
    for matcher in both():
        assert matcher.empty()
        assert matcher.isMaskSupported()
        assert matcher.getTrainDescriptors() == ()
        matcher.add([T])
        matcher.add(descriptors=[S])
        matcher.train()
        assert not matcher.empty()
        kept = matcher.getTrainDescriptors()
        assert isinstance(kept, tuple)
        np.testing.assert_array_equal(kept[0], T)
        np.testing.assert_array_equal(kept[1], S)
        assert matcher.clone(True).empty()
        assert matcher.clone(emptyTrainData=True).empty()
        assert len(matcher.clone().getTrainDescriptors()) == 2
        matcher.clear()
        assert matcher.empty()
        assert matcher.match(Q) == ()
        matcher.save(str(tmp_path / "matcher.yml"))
        assert isinstance(matcher.getDefaultName(), str)


def test_a_clone_is_deep_and_of_the_same_parameters():
    matcher = BFMatcher(cv2.NORM_L2SQR, True)
    rows = T.copy()
    matcher.add([rows])
    clone = matcher.clone()
    assert type(clone) is BFMatcher
    assert repr(clone) == repr(matcher)
    wanted = plain(matcher.match(Q))
    rows[:] = 0
    assert plain(clone.match(Q)) == wanted


def through_pickle(matcher: BFMatcher) -> BFMatcher:
    return pickle.loads(pickle.dumps(matcher))


@pytest.mark.parametrize("duplicate", [copy.copy, copy.deepcopy, through_pickle])
@pytest.mark.parametrize("images", [[], [T, S], [cv2.UMat(T)]], ids=["none", "two", "UMat"])
def test_copies_match_the_same(duplicate, images):
    matcher = BFMatcher(cv2.NORM_L2SQR)
    if images:
        matcher.add(images)
    again = duplicate(matcher)
    assert again.empty() == matcher.empty()
    assert plain(again.match(Q)) == plain(matcher.match(Q))
    assert plain(again.match(Q, T)) == plain(matcher.match(Q, T))
    again.add([T])
    assert len(again.getTrainDescriptors()) == len(images) + 1
    assert len(matcher.getTrainDescriptors()) == len(images)


@pytest.mark.parametrize("cross_check", [False, True])
def test_descriptors_that_are_all_alike(cross_check, product):
    rows = np.full((300, 8), 0.3, np.float32)
    for method, rest in (("match", ()), ("knnMatch", (1,)), ("radiusMatch", (1.0,))):
        got, wanted = (answer(m, method, rows, rows, *rest) for m in both(crossCheck=cross_check))
        if method == "radiusMatch":
            got, wanted = ([sorted(row) for row in result] for result in (got, wanted))
        assert got == wanted
    assert len(product) == 3


def test_threads_match_the_same():
    matcher = BFMatcher(crossCheck=True)
    queries = [RANDOM.normal(size=(100 + i, 8)).astype(np.float32) for i in range(20)]
    wanted = [plain(matcher.match(query, T)) for query in queries]
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda query: plain(matcher.match(query, T)), queries * 3))
    assert found == wanted * 3


# Beyond OpenCV -----------------------------------------------------------------------------------


def test_images_of_fewer_descriptors_than_k():
    """There OpenCV returns what happened to lie in memory."""
    matcher = BFMatcher()
    matcher.add([T, S[:1], S[1:3]])
    joined = cv2.BFMatcher().knnMatch(Q, np.vstack([T, S[:3]]), 5)
    starts = [0, 40, 41]
    found = [
        [(m.queryIdx, m.trainIdx + starts[m.imgIdx], 0, m.distance) for m in row]
        for row in matcher.knnMatch(Q, 5)
    ]
    assert found == [list(map(plain, row)) for row in joined]


def test_more_descriptors_than_opencv_takes():
    train = RANDOM.normal(size=(2**18 + 1, 2)).astype(np.float32)
    assert raised(answer(cv2.BFMatcher(), "match", train[-3:], train))
    found = answer(BFMatcher(), "match", train[-3:], train)
    assert found == tuple((i, 2**18 - 2 + i, 0, 0.0) for i in range(3))


def test_equal_distances_within_a_radius_keep_their_order():
    (row,) = BFMatcher().radiusMatch(Q[:1], np.repeat(Q[1:2], 99, axis=0), 99.0)
    assert [m.trainIdx for m in row] == list(range(99))


def test_arrays_are_matched_without_pytorch():
    script = (
        "import sys, types, numpy as np\n"
        "package = types.ModuleType('cv2_superpoint')\n"
        "package.__path__ = [sys.argv[1]]\n"
        "sys.modules['cv2_superpoint'] = package\n"
        "from cv2_superpoint.opencv.bfmatcher import BFMatcher\n"
        "assert len(BFMatcher().match(np.eye(3, dtype='f4'), np.eye(3, dtype='f4'))) == 3\n"
        "assert 'torch' not in sys.modules\n"
    )
    folder = os.path.dirname(cv2_superpoint.__file__)
    subprocess.run([sys.executable, "-c", script, folder], check=True)


def test_the_page_on_matching_runs():
    page = Path(__file__).parents[2] / "docs" / "matching.md"
    names: dict[str, Any] = {}
    for block in re.findall(r"```python\n(.*?)```", page.read_text(encoding="utf-8"), re.DOTALL):
        exec(block, names)
    assert len(names["good"]) > 100
    assert len(names["mutual"]) > 100


@pytest.mark.parametrize("cross_check", [False, True])
def test_tensors(cross_check):
    query, train = torch.from_numpy(Q).requires_grad_(), torch.from_numpy(T)
    matcher = BFMatcher(crossCheck=cross_check)
    wanted = plain(matcher.match(Q, T))
    assert plain(matcher.match(query, train)) == wanted
    assert plain(matcher.match(query, T)) == wanted
    matcher.add([train])
    assert plain(matcher.match(query)) == wanted
    half = query.half()
    assert plain(matcher.match(half, train)) == plain(matcher.match(Q.astype("f2").astype("f4"), T))
    assert plain(matcher.match(query.bfloat16(), train)) == plain(
        matcher.match(query.bfloat16().float(), train)
    )


def test_tensors_and_masks_that_opencv_matches():
    mask = torch.from_numpy(MASK)
    query, train = torch.from_numpy(Q), torch.from_numpy(T)
    assert plain(BFMatcher().match(query, train, mask)) == plain(cv2.BFMatcher().match(Q, T, MASK))
    matcher = BFMatcher(cv2.NORM_HAMMING)
    assert plain(matcher.match(*[torch.from_numpy(BYTES)] * 2)) == plain(
        matcher.match(BYTES, BYTES)
    )
    matcher = BFMatcher(cv2.NORM_L1)
    matcher.add([train])
    wanted = plain(cv2.BFMatcher(cv2.NORM_L1).match(Q, T, MASK))
    assert plain(matcher.match(query, masks=[mask])) == wanted
    with pytest.raises(cv2.error, match="type"):
        BFMatcher().match(query.double(), train.double())


@pytest.mark.gpu
@pytest.mark.parametrize("cross_check", [False, True])
def test_tensors_of_a_gpu(cross_check):
    query, train = torch.from_numpy(Q).cuda(), torch.from_numpy(T).cuda()
    matcher = BFMatcher(crossCheck=cross_check)
    wanted = plain(matcher.match(Q, T))
    assert plain(matcher.match(query, train)) == wanted
    assert plain(matcher.match(query, T)) == wanted
    if not cross_check:
        mask = torch.from_numpy(MASK)
        for given in (mask, mask.cuda()):
            assert plain(matcher.match(query, train, given)) == plain(matcher.match(Q, T, MASK))
    matcher.add([train])
    assert plain(matcher.match(query)) == wanted


def test_ratio_test_and_drawing_work_unchanged():
    image = np.zeros((100, 100), np.uint8)
    keypoints = [cv2.KeyPoint(float(i), float(i), 8) for i in range(50)]
    train = np.vstack([Q[:20] + 0.01, T]).astype(np.float32)
    good = []
    for m, n in BFMatcher().knnMatch(Q, train, k=2):
        if m.distance < 0.75 * n.distance:
            good.append([m])
    assert {(m.queryIdx, m.trainIdx) for (m,) in good} >= {(i, i) for i in range(20)}
    points = [*keypoints, *keypoints]
    assert cv2.drawMatchesKnn(image, points, image, points, good, None) is not None


SPEED = """
import time, cv2, numpy as np, cv2_superpoint
cv2.setNumThreads(1)
random = np.random.default_rng(0)
for width in (64, 256):
    rows = random.normal(size=(2, 1000, width)).astype(np.float32)
    query, train = rows / np.linalg.norm(rows, axis=2, keepdims=True)
    best = [1e9, 1e9]
    for _ in range(15):  # one after the other, so that both meet the same machine
        for i, library in enumerate((cv2, cv2_superpoint)):
            matcher = library.BFMatcher(cv2.NORM_L2, crossCheck=True)
            start = time.perf_counter()
            matcher.match(query, train)
            best[i] = min(best[i], time.perf_counter() - start)
    print(best[0] / best[1])
"""


def test_it_is_much_faster():
    threads = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
    script = [sys.executable, "-c", SPEED]
    printed = subprocess.run(script, env=os.environ | threads, check=True, capture_output=True)
    ratio64, ratio256 = map(float, printed.stdout.split())
    assert ratio64 > 1.5
    assert ratio256 > 3

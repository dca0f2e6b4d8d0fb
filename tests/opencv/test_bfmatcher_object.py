"""The matcher as an object: made, copied, shared; and what is beyond OpenCV's."""

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
from matchers import BYTES, MASK, RANDOM, Q, S, T, answer, both, plain, raised

import cv2_superpoint
from cv2_superpoint import BFMatcher, BFMatcher_create


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

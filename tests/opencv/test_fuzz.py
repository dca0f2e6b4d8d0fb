"""Whatever the arguments, a call works or raises a ``cv2.error``, and the object goes on working.

``HYPOTHESIS_PROFILE=nightly`` tries 10,000 of each. What comes out of proper arguments is in
test_properties.py.
"""

import inspect
import multiprocessing
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import cv2
import numpy as np
import pytest
import skimage.data
import torch
from hypothesis import example, given
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

from cv2_superpoint import SuperPoint, SuperPoint_create

METHODS = sorted(name for name in dir(SuperPoint) if not name.startswith("_") and name != "create")
SETTERS = [name for name in METHODS if name.startswith("set")]
CREATE = list(inspect.signature(SuperPoint).parameters)

# Arguments -------------------------------------------------------------------------------------

numbers = st.one_of(
    st.integers(),
    st.integers(-3, 70),
    st.floats(),
    st.floats(0, 3),
    st.sampled_from(
        [np.int64(3), np.float32(1.5), np.uint8(9), np.float64("nan"), 2**31, -(2**31)]
    ),
    st.booleans(),
    st.complex_numbers(),
    st.decimals(),
    st.fractions(),
)
arrays = st.one_of(
    npst.arrays(
        np.uint8, npst.array_shapes(min_dims=0, max_dims=4, min_side=0, max_side=9), fill=st.just(0)
    ),
    npst.arrays(npst.scalar_dtypes(), npst.array_shapes(max_dims=3, max_side=9), fill=st.nothing()),
    st.sampled_from([np.array([None, 1], object), np.array("text"), np.zeros(3, "f4,i4")]),
)
c_floats = st.floats(width=32)
c_ints = st.integers(-(2**31), 2**31 - 1)
keypoints = st.one_of(
    st.builds(cv2.KeyPoint, c_floats, c_floats, c_floats, c_floats, c_floats, c_ints, c_ints),
    st.builds(cv2.KeyPoint, st.floats(0, 40), st.floats(0, 40), st.just(8.0)),
)
images = st.builds(
    lambda shape, step, seed: np.random.default_rng(seed).integers(0, 256, shape, np.uint8)[
        ::step, :: abs(step)
    ],
    st.sampled_from([(1, 1), (1, 40), (40, 1), (8, 8), (33, 47), (33, 47, 1), (33, 47, 3)]),
    st.sampled_from([1, -1, 2, -3]),
    st.integers(0, 99),
)
names = st.text(st.characters(codec="utf-8", exclude_characters="/\\:"), max_size=8)
leaves = st.one_of(
    st.none(),
    numbers,
    names,
    st.binary(max_size=5),
    arrays,
    images,
    keypoints,
    st.builds(object),
    st.builds(cv2.UMat, images),
    st.builds(cv2.FileStorage),
    st.builds(cv2.FileNode),
)
anything = st.recursive(
    leaves,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.lists(inner, max_size=3).map(tuple),
        st.dictionaries(st.text(max_size=3), inner, max_size=2),
    ),
    max_leaves=5,
)
plausible = st.one_of(
    images,
    st.lists(images, max_size=2),
    st.lists(keypoints, max_size=3),
    st.lists(st.lists(keypoints, max_size=3), max_size=2),
    numbers,
    names,
)
arguments = st.one_of(anything, plausible)

# What is asked ---------------------------------------------------------------------------------

IMAGE = np.ascontiguousarray(skimage.data.camera()[90:190, 180:280])


@pytest.fixture(autouse=True, scope="module")
def _elsewhere(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Files named by chance are written there."""
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(tmp_path_factory.mktemp("fuzz"))
        yield


def call(function: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    """Return what a call returns, or its cv2.error; raise anything else."""
    try:
        return function(*args, **kwargs)
    except cv2.error as error:
        return error


def parameters(feature: SuperPoint) -> list[Any]:
    return [getattr(feature, name)() for name in METHODS if name.startswith("get")]


@pytest.mark.parametrize("method", METHODS)
@given(data=st.data())
def test_any_arguments_of_any_method(method, data):
    feature = SuperPoint_create(50, device="cpu")
    function = getattr(feature, method)
    count = len(inspect.signature(function).parameters)
    before = parameters(feature)
    result = call(function, *(data.draw(arguments) for _ in range(count)))
    if isinstance(result, cv2.error):
        assert parameters(feature) == before
    call(feature.setMaxFeatures, 5)
    found, rows = feature.detectAndCompute(IMAGE, None)
    assert len(found) == (0 if rows is None else len(rows)) <= 5


@pytest.mark.parametrize("flag", [None, 0, np.False_])
def test_flags_that_opencv_takes_for_false(flag):
    feature = SuperPoint_create(50, device="cpu")
    for either in (feature, cv2.ORB_create(50)):
        assert either.detectAndCompute(IMAGE, None, None, flag)[0]


@pytest.mark.parametrize("flag", ["", 0.0, [], np.zeros(3)])
def test_flags_that_opencv_refuses(flag):
    feature = SuperPoint_create(50, device="cpu")
    for either in (feature, cv2.ORB_create(50)):
        with pytest.raises(cv2.error):
            either.detectAndCompute(IMAGE, None, None, flag)


@given(
    given_arguments=st.fixed_dictionaries(
        {}, optional={name: st.one_of(arguments, numbers) for name in CREATE}
    )
)
def test_any_arguments_of_the_constructor(given_arguments):
    feature = call(SuperPoint_create, **given_arguments)
    if not isinstance(feature, cv2.error):
        assert isinstance(feature.detect(IMAGE), tuple)


DEVICES = ["cpu", "cpu:3", "cpu:-1", "CPU", "cuda:7", "mps", "meta", "xla", "hpu", "vulkan"]


@example(device="hpu")  # PyTorch: ModuleNotFoundError
@given(device=st.sampled_from(DEVICES) | names)
def test_any_device(device):
    feature = call(SuperPoint_create, device=device)
    if not isinstance(feature, cv2.error):
        assert isinstance(feature.detect(IMAGE), tuple)


@given(
    calls=st.lists(
        st.one_of(
            st.tuples(st.sampled_from(SETTERS), numbers),
            st.tuples(st.sampled_from(["detect", "extract"]), images),
        ),
        min_size=2,
        max_size=16,
    )
)
def test_any_calls_of_many_threads(calls):
    feature = SuperPoint_create(20, device="cpu")
    with ThreadPoolExecutor(8) as pool:
        jobs = [pool.submit(call, getattr(feature, name), value) for name, value in calls]
        for job in jobs:
            job.result()
    for setter in SETTERS:
        getter = setter.replace("set", "get", 1)
        getattr(feature, setter)(getattr(feature, getter)())  # of the type and range it takes
    assert isinstance(feature.detect(IMAGE), tuple)


def test_a_pool_of_spawned_processes_finds_the_same():
    feature = SuperPoint_create(50, scoreThreshold=1e-4, device="cpu")
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        (found,) = pool.map(feature.extract, [IMAGE])
    wanted = feature.extract(IMAGE)
    assert len(found) == len(wanted) > 0
    np.testing.assert_allclose(found.descriptors, wanted.descriptors, atol=1e-4)


# Adversarial images ----------------------------------------------------------------------------

ROWS, COLUMNS = np.mgrid[:320, :480]
ADVERSARIAL = {
    "checkerboard of pixels": (ROWS + COLUMNS) % 2 * 255,
    "checkerboard of cells": (ROWS // 8 + COLUMNS // 8) % 2 * 255,
    "checkerboard of 5 pixels": (ROWS // 5 + COLUMNS // 5) % 2 * 255,
    "stripes": COLUMNS // 2 % 2 * 255,
    "diagonal stripes": (ROWS + COLUMNS) // 4 % 2 * 255,
    "dots": (ROWS % 9 == 0) * (COLUMNS % 9 == 0) * 255,
    "noise": np.random.default_rng(0).integers(0, 256, ROWS.shape),
    "black": ROWS * 0,
    "white": ROWS * 0 + 255,
    "ramp": COLUMNS * 255 // 479,
}


def cpu_seconds(feature: SuperPoint, image: np.ndarray) -> float:
    times = []
    for _ in range(3):
        start = time.process_time()
        feature.detectAndCompute(image, None)
        times.append(time.process_time() - start)
    return min(times)


@pytest.mark.parametrize("pattern", ADVERSARIAL)
def test_no_image_takes_much_longer_than_a_photograph(pattern, photographs):
    feature = SuperPoint_create(0, device="cpu")  # without a limit of keypoints
    photograph = photographs["coffee"]
    image = ADVERSARIAL[pattern].astype(np.uint8)
    assert image.shape == photograph.shape
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # threads that wait for each other count as busy
    try:
        feature.detect(image)
        assert cpu_seconds(feature, image) < 3 * cpu_seconds(feature, photograph)
    finally:
        torch.set_num_threads(threads)

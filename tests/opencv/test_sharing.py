"""Pickles, copies, threads and processes: what one object does, all that come from it do."""

import copy
import pickle
import random
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Event

import cv2
import numpy as np
import pytest
import torch

from cv2_superpoint import Features, SuperPoint, SuperPoint_create
from cv2_superpoint.model import weights as checkpoint
from cv2_superpoint.model.network import Architecture, SuperPointNet

NAMES = ("xy", "score", "size", "angle", "octave", "descriptors")


def assert_same(a: Features, b: Features) -> None:
    for name in NAMES:
        np.testing.assert_array_equal(getattr(a, name), getattr(b, name), err_msg=name)


@pytest.fixture(scope="module")
def images(photographs: dict[str, np.ndarray]) -> list[np.ndarray]:
    """Of several sizes."""
    return [image[: 120 + 3 * i, 40:200] for i, image in enumerate(photographs.values())]


@pytest.fixture
def weights(tmp_path: Path) -> Path:
    """A file of random weights of a small network."""
    torch.manual_seed(0)
    network = SuperPointNet(Architecture((4, 4, 8, 8), head_width=8)).eval()
    path = tmp_path / "weights.safetensors"
    path.write_bytes(checkpoint.serialise(checkpoint.Checkpoint(network)))
    return path


def through_pickle(feature: SuperPoint) -> SuperPoint:
    return pickle.loads(pickle.dumps(feature))


COPIES = [copy.copy, copy.deepcopy, through_pickle]
PARAMETERS = {
    "scaleFactor": 1.5,
    "nlevels": 2,
    "edgeThreshold": 7,
    "scoreThreshold": 0.01,
    "nmsRadius": 3,
}


@pytest.mark.parametrize("duplicate", COPIES)
def test_copies_find_the_same(duplicate, images):
    feature = SuperPoint_create(50, **PARAMETERS)
    again = duplicate(feature)
    assert type(again) is SuperPoint
    assert again is not feature
    assert repr(again) == repr(feature)
    assert len(feature.extract(images[0])) == 50
    for image in images:
        assert_same(again.extract(image), feature.extract(image))


@pytest.mark.parametrize("duplicate", COPIES)
def test_copies_keep_what_setters_set(duplicate):
    feature = SuperPoint_create(50, **PARAMETERS)
    feature.setMaxFeatures(7)
    feature.setNMSRadius(9)
    again = duplicate(feature)
    assert again.getMaxFeatures() == 7
    assert again.getScaleFactor() == 1.5
    assert again.getNLevels() == 2
    assert again.getEdgeThreshold() == 7
    assert again.getScoreThreshold() == 0.01
    assert again.getNMSRadius() == 9


@pytest.mark.parametrize("duplicate", COPIES)
def test_copies_are_set_apart(duplicate):
    feature = SuperPoint_create(50)
    again = duplicate(feature)
    again.setMaxFeatures(7)
    assert feature.getMaxFeatures() == 50


@pytest.mark.parametrize("protocol", range(2, pickle.HIGHEST_PROTOCOL + 1))
def test_shipped_weights_are_pickled_by_reference(protocol):
    data = pickle.dumps(SuperPoint_create(50), protocol)
    assert len(data) < 2000
    assert pickle.loads(data).getMaxFeatures() == 50


@pytest.mark.parametrize("duplicate", COPIES)
def test_other_weights_are_copied_by_value(duplicate, weights, images):
    feature = SuperPoint_create(50, weights=weights, scoreThreshold=0)
    wanted = feature.extract(images[0])
    assert len(wanted) == 50
    weights.unlink()
    assert_same(duplicate(feature).extract(images[0]), wanted)
    # And again from the copy.
    assert_same(duplicate(duplicate(feature)).extract(images[0]), wanted)


def test_subclasses_stay_what_they_are():
    assert type(through_pickle(Special(9))) is Special
    assert type(copy.deepcopy(Special(9))) is Special
    assert type(Special.create(9)) is Special


class Special(SuperPoint):
    pass


class Tagged(SuperPoint):
    """With something of its own to lose."""

    def __init__(self, *args: object, tag: str = "", **kwargs: object) -> None:
        super().__init__(*args, **kwargs)
        self.tag = tag
        self.notes = [tag]


@pytest.mark.parametrize("duplicate", COPIES)
def test_attributes_of_subclasses_are_copied(duplicate):
    feature = Tagged(7, tag="mine", device="cpu")
    other = duplicate(feature)
    assert type(other) is Tagged
    assert (other.tag, other.notes) == ("mine", ["mine"])
    assert other.getMaxFeatures() == 7


def test_another_process_finds_the_same(images, tmp_path):
    feature = SuperPoint_create(50, device="cpu")
    (tmp_path / "pickle").write_bytes(pickle.dumps((feature, images[1])))
    code = (
        "import pickle, sys\n"
        "feature, image = pickle.load(open(sys.argv[1] + '/pickle', 'rb'))\n"
        "pickle.dump(feature.extract(image), open(sys.argv[1] + '/features', 'wb'))"
    )
    subprocess.run([sys.executable, "-c", code, str(tmp_path)], check=True)
    found = pickle.loads((tmp_path / "features").read_bytes())
    wanted = feature.extract(images[1])
    assert len(found) == len(wanted) > 20
    np.testing.assert_allclose(found.xy, wanted.xy, atol=1e-3)
    np.testing.assert_allclose(found.descriptors, wanted.descriptors, atol=1e-4)


def test_calls_repeat_exactly(detector, images):
    wanted = [detector.extract(image) for image in images]
    for _ in range(3):
        for image, features in zip(images, wanted, strict=True):
            assert_same(detector.extract(image), features)
    assert_same(SuperPoint_create(500, device="cpu").extract(images[0]), wanted[0])


def test_threads_find_the_same(detector, images):
    wanted = [detector.extract(image) for image in images]
    described = [detector.compute(image, detector.detect(image))[1] for image in images]

    def work(i: int) -> None:
        image = images[i % len(images)]
        if i % 2:
            assert_same(detector.extract(image), wanted[i % len(images)])
        else:
            rows = detector.compute(image, detector.detect(image))[1]
            np.testing.assert_array_equal(rows, described[i % len(images)])

    with ThreadPoolExecutor(8) as pool:
        assert len(list(pool.map(work, range(60)))) == 60  # raises what the threads raised


def test_detectors_share_what_ships(images):
    first = SuperPoint_create(50, device="cpu")
    found = first.extract(images[0])
    second = SuperPoint_create(9, nlevels=1, descriptorSize=32, device="cpu")
    assert second._extractor.runner is first._extractor.runner
    other = SuperPoint_create(9, model="superpoint", device="cpu")
    assert other._extractor.runner is not first._extractor.runner
    assert second.extract(images[0]).descriptors.shape == (9, 32)
    assert_same(first.extract(images[0]), found)


def test_setters_of_one_thread_leave_a_running_call_alone(images):
    feature = SuperPoint_create(40, nlevels=2, device="cpu")
    allowed = []
    for settings in ((40, 2, 4), (3, 1, 9)):
        feature.setMaxFeatures(settings[0])
        feature.setNLevels(settings[1])
        feature.setNMSRadius(settings[2])
        allowed.append(feature.extract(images[0]))
    few, many = feature, SuperPoint_create(40, nlevels=2, device="cpu")
    assert_same(many.extract(images[0]), allowed[0])

    # Set in the very middle of a call: when the network runs.
    extractor = many._extractor
    run, inside = extractor.runner, Event()

    def meddle(*arguments: object) -> object:
        inside.set()
        with ThreadPoolExecutor(1) as other:
            other.submit(many.setMaxFeatures, 3).result()
            other.submit(many.setNLevels, 1).result()
            other.submit(many.setNMSRadius, 9).result()
        return run(*arguments)

    meddle.device = run.device
    extractor.runner = meddle
    found = many.extract(images[0])
    extractor.runner = run
    assert inside.is_set()
    assert_same(found, allowed[0])  # as it was called
    assert_same(many.extract(images[0]), allowed[1])  # from the next call on
    assert few.getMaxFeatures() == many.getMaxFeatures() == 3


def test_threads_that_set_different_parameters_lose_none():
    feature = SuperPoint_create()

    def set_all(i: int) -> tuple[int, int]:
        if i % 2:
            feature.setMaxFeatures(i)
            return feature.getMaxFeatures(), i
        feature.setEdgeThreshold(i)
        return feature.getEdgeThreshold(), i

    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        with ThreadPoolExecutor(2) as pool:
            odd = pool.submit(lambda: [set_all(i) for i in range(1, 4001, 2)])
            even = pool.submit(lambda: [set_all(i) for i in range(0, 4000, 2)])
            results = odd.result() + even.result()
    finally:
        sys.setswitchinterval(interval)
    assert [got for got, _ in results] == [i for _, i in results]


def test_random_states_stay_as_they_are(weights, images):
    torch.manual_seed(5)
    np.random.seed(5)  # noqa: NPY002
    random.seed(5)

    def draw() -> tuple:
        return torch.rand(1).item(), np.random.rand(), random.random()  # noqa: NPY002

    expected = draw()
    torch.manual_seed(5)
    np.random.seed(5)  # noqa: NPY002
    random.seed(5)
    for feature in (SuperPoint_create(50), SuperPoint_create(50, weights=weights)):
        feature.extract(images[0])
        copy.deepcopy(feature).detect(images[0])
    assert draw() == expected


def test_global_settings_of_torch_stay_as_they_are(images):
    def settings() -> tuple:
        return (
            torch.is_grad_enabled(),
            torch.is_inference_mode_enabled(),
            torch.get_default_dtype(),
            torch.get_num_threads(),
            torch.is_autocast_enabled("cpu"),
            torch.are_deterministic_algorithms_enabled(),
        )

    before = settings()
    for precision in ("float32", "bfloat16"):
        SuperPoint_create(50, precision=precision, device="cpu").extract(images[0])
        assert settings() == before


def bfloat16() -> torch.autocast:
    return torch.autocast("cpu", torch.bfloat16)


@pytest.mark.parametrize(
    "context", [torch.no_grad, torch.enable_grad, torch.inference_mode, bfloat16]
)
def test_results_do_not_depend_on_the_callers_context(detector, context, images):
    wanted = detector.extract(images[0])
    with context():
        assert_same(detector.extract(images[0]), wanted)
        assert_same(SuperPoint_create(500, device="cpu").extract(images[0]), wanted)


def test_results_do_not_depend_on_the_default_dtype(detector, images):
    wanted = detector.extract(images[0])
    corners = cv2.ORB_create(50).detect(images[0])
    described = detector.compute(images[0], corners)[1]
    torch.set_default_dtype(torch.float64)
    try:
        found = detector.extract(images[0])
        again = SuperPoint_create(500, device="cpu").extract(images[0])
        rows = detector.compute(images[0], detector.detect(images[0]))[1]
        kept, foreign = detector.compute(images[0], corners)
    finally:
        torch.set_default_dtype(torch.float32)
    for features in (found, again):
        assert features.xy.dtype == features.descriptors.dtype == np.float32
        np.testing.assert_allclose(features.xy, wanted.xy, atol=1e-3)
    np.testing.assert_allclose(rows, wanted.descriptors, atol=1e-4)
    assert len(kept) == len(described) > 10
    np.testing.assert_allclose(foreign, described, atol=1e-4)


@pytest.mark.parametrize("precision", ["auto", "float32"])
def test_results_do_not_depend_on_the_default_device(precision, images):
    def detect() -> tuple:
        feature = SuperPoint_create(50, device="cpu", precision=precision, weights=weights)
        corners = cv2.ORB_create(50).detect(images[0])
        return feature.extract(images[0]), feature.compute(images[0], corners)[1]

    weights = checkpoint.FOLDER / "superpoint-lite.safetensors"  # not shared with others
    wanted, described = detect()
    with torch.device("meta"):  # which nothing can be computed on
        found, again = detect()
    assert_same(found, wanted)
    np.testing.assert_array_equal(again, described)


def test_results_are_the_callers_to_change(detector, images):
    first = detector.extract(images[0])
    kept = copy.deepcopy(first)
    for name in NAMES:
        getattr(first, name)[:] = 0
    assert_same(detector.extract(images[0]), kept)


@pytest.mark.parametrize("precision", ["int8", "bfloat16", "float16"])
def test_less_precision_finds_about_the_same(detector, precision, images):
    wanted = detector.extract(images[0])
    found = SuperPoint_create(500, device="cpu", precision=precision).extract(images[0])
    distances = np.abs(found.xy[:, None] - wanted.xy[None]).max(2)
    assert (distances.min(1) < 1.5).mean() > 0.8
    near = distances.min(1) < 0.25
    rows = wanted.descriptors[distances.argmin(1)]
    assert near.sum() > 10
    assert np.median((found.descriptors * rows).sum(1)[near]) > 0.98
    np.testing.assert_allclose(np.linalg.norm(found.descriptors, axis=1), 1, atol=1e-5)

"""The path for GPUs, without one: equal to the CPU's, never waiting, and sparing with memory."""

from __future__ import annotations

import contextlib
import sys

import cv2
import numpy as np
import pytest
import torch
from torch.overrides import TorchFunctionMode

from cv2_superpoint import SuperPoint_create
from cv2_superpoint.extract import extractor, on_device, regions
from cv2_superpoint.extract.extractor import Extractor
from cv2_superpoint.extract.regions import split
from cv2_superpoint.model.network import Architecture, SuperPointNet
from cv2_superpoint.runners.eager import EagerRunner
from cv2_superpoint.runners.maps import Maps
from cv2_superpoint.settings import DetectionSettings

CPU, META = torch.device("cpu"), torch.device("meta")
WIDTH = 6


def network(device: torch.device = CPU) -> SuperPointNet:
    torch.manual_seed(0)
    built = SuperPointNet(Architecture((2, 3, 4, 5), WIDTH, 7))
    return built.eval().requires_grad_(False).to(device)


class RandomMaps:
    """A runner whose maps depend on the pixels' shape only; with ties, one pixel of
    each cell has one of two values.
    """

    precision = "float32"
    device = CPU

    def __init__(self, ties: bool) -> None:
        self.ties = ties

    def __call__(self, pixels: torch.Tensor, detect: bool, describe: bool) -> Maps:
        batch, _, height, width = pixels.shape
        generator = torch.Generator().manual_seed(height * 1000 + width)
        size = (batch, 65, height // 8, width // 8)
        logits = 4 * torch.randn(size, generator=generator)
        if self.ties:
            hottest = logits == logits[:, :64].amax(1, keepdim=True)
            dustbin = (logits[:, 64:] > 0).float()
            logits = torch.where(hottest, 0.0, -200.0)
            logits[:, 64:] = dustbin
        features = torch.randn((batch, WIDTH, *size[2:]), generator=generator)
        return Maps(logits, features if describe else None)


@pytest.fixture
def at_once(monkeypatch):
    """Let the CPU extract as other devices do, in a context."""

    @contextlib.contextmanager
    def switch():
        with monkeypatch.context() as patch:
            patch.setattr(extractor, "_ONE_BY_ONE", ())
            yield

    return switch


def assert_equal(got, wanted):
    assert len(got) == len(wanted)
    for a, b in zip(got, wanted, strict=True):
        for name in ("xy", "score", "size", "angle", "octave"):
            np.testing.assert_allclose(getattr(a, name), getattr(b, name), atol=1e-4, err_msg=name)
            assert getattr(a, name).dtype == getattr(b, name).dtype
        if b.descriptors is None:
            assert a.descriptors is None
        else:  # products of matrices round by the number of rows
            np.testing.assert_allclose(a.descriptors, b.descriptors, atol=1e-4)
            assert a.descriptors.flags.c_contiguous


SETTINGS = [
    DetectionSettings(),
    DetectionSettings(nfeatures=7, nlevels=3, edge_threshold=0),
    DetectionSettings(nfeatures=0, nlevels=2, score_threshold=0.3),
    DetectionSettings(nfeatures=0, nlevels=1, nms_radius=0, score_threshold=0.0),
    DetectionSettings(nfeatures=50, nlevels=2, nms_radius=11, first_level=1),
    DetectionSettings(nfeatures=100_000, nlevels=2, nms_radius=1, edge_threshold=9),
    DetectionSettings(score_threshold=100.0),
]


@pytest.mark.parametrize("ties", [False, True])
@pytest.mark.parametrize("settings", SETTINGS, ids=range(len(SETTINGS)))
@pytest.mark.parametrize("size", [(97, 130), (3, 50)])
def test_results_are_those_of_the_cpu(at_once, monkeypatch, size, settings, ties):
    images = [np.zeros(size, np.uint8)] * 3 + [np.zeros((40, 41), np.uint8)]
    masks = [None, np.random.default_rng(0).random(size) > 0.5, np.zeros(size, bool), None]
    monkeypatch.setattr(
        regions, "split", lambda level, size, full, core: split(level, size, full, 64)
    )
    extract = Extractor(network(), RandomMaps(ties), 5).extract
    wanted = extract(images, masks, settings)
    undescribed = extract(images, masks, settings, False)
    with at_once():
        assert_equal(extract(images, masks, settings), wanted)
        assert_equal(extract(images, masks, settings, False), undescribed)
    assert len(wanted[2]) == 0  # masked out
    if settings.score_threshold < 1 and min(size) > 10:
        repeated = len(wanted[0]) - len(np.unique(wanted[0].score))
        assert len(wanted[0]) > 0
        assert (repeated > 0) == ties


class Plain:
    """A runner that sees the same everywhere: suppression goes on from corner to corner."""

    precision, device = "float32", CPU

    def __call__(self, pixels: torch.Tensor, detect: bool, describe: bool) -> Maps:
        batch, _, height, width = pixels.shape
        return Maps(torch.zeros(batch, 65, height // 8, width // 8), None)


@pytest.mark.parametrize("nfeatures", [0, 1, 300])
def test_more_rounds_follow_where_points_are_missing(at_once, monkeypatch, nfeatures):
    rounds = []
    find = extractor.find_candidates

    def spy(*arguments):
        rounds.append(arguments[-1])
        return find(*arguments)

    monkeypatch.setattr(extractor, "find_candidates", spy)
    settings = DetectionSettings(nfeatures, nlevels=1, edge_threshold=0, nms_radius=2)
    extract = Extractor(network(), Plain(), 5).extract
    images = [np.zeros((80, 120), np.uint8)]
    wanted = extract(images, [None], settings, False)
    with at_once():
        assert_equal(extract(images, [None], settings, False), wanted)
    assert rounds[0] == on_device.ROUNDS
    assert rounds[-1] > on_device.ROUNDS


def test_photographs_need_no_more_rounds(photographs, at_once, monkeypatch):
    feature = SuperPoint_create(500, device="cpu", precision="float32")
    several = list(photographs.values())
    wanted = feature.extract(several)
    calls = []
    monkeypatch.setattr(extractor, "is_complete", lambda packed: calls.append(packed) or True)
    with at_once():
        got = feature.extract(several)
    assert all(on_device.is_complete(packed) for packed in calls)
    assert_equal(got, wanted)


class _NoNumbersSent(TorchFunctionMode):
    """Fail where our code sends Python's numbers to the device, and waits until they arrive."""

    def __torch_function__(self, function, types, arguments=(), keywords=None):
        ours = sys._getframe(1).f_globals["__name__"].startswith("cv2_superpoint.")
        sends = function in (torch.tensor, torch.as_tensor, torch.Tensor.new_tensor)
        assert not (ours and sends)
        return function(*arguments, **(keywords or {}))


@pytest.mark.parametrize("nfeatures", [0, 500])
@pytest.mark.parametrize("describe", [True, False])
def test_extraction_waits_for_the_device_once(monkeypatch, nfeatures, describe):
    """Tensors of the "meta" device have no values that could be waited for."""
    copied = []

    def to_host(packed):
        assert packed.device == META
        copied.append(packed)
        return np.zeros(packed.shape, np.float32)

    monkeypatch.setattr(extractor, "to_host", to_host)
    # This device has no autocast.
    monkeypatch.setattr(torch, "autocast", lambda *_, **__: contextlib.nullcontext())
    on_meta = network(META)
    runner = EagerRunner(on_meta, META, "float32")
    settings = DetectionSettings(nfeatures, nlevels=3)
    images = [np.zeros((1300, 200), np.uint8)] * 2
    masks = [None, np.ones((1300, 200), bool)]
    with _NoNumbersSent():
        found = Extractor(on_meta, runner, 5).extract(images, masks, settings, describe)
    assert [len(features) for features in found] == [0, 0]
    (packed,) = copied
    assert packed.dtype == torch.float32
    assert packed.shape[::2] == (2, 10 if describe else 5)
    assert packed.shape[1] == 500 or nfeatures == 0


def test_other_devices_resize_in_floating_point():
    image = torch.zeros(1, 1, 20, 30, dtype=torch.uint8, device=META)
    assert regions.resize(image, (10, 15)).dtype == torch.float32


class LittleMemory:
    """A runner that cannot hold more than some pixels at once."""

    def __init__(self, runner, pixels: int) -> None:
        self.runner, self.pixels = runner, pixels
        self.precision, self.device = runner.precision, runner.device
        self.shapes = []

    def __call__(self, pixels: torch.Tensor, detect: bool, describe: bool) -> Maps:
        if pixels.numel() > self.pixels:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.\nMore")
        self.shapes.append(tuple(pixels.shape))
        return self.runner(pixels, detect, describe)


@pytest.mark.parametrize("fixed_sizes", [False, True])
def test_batches_and_then_images_are_split_where_memory_is_short(
    photographs, at_once, monkeypatch, fixed_sizes
):
    monkeypatch.setattr(extractor, "_PIXELS_PER_BATCH", {})
    feature = SuperPoint_create(100, nlevels=1, device="cpu", precision="float32")
    several = [photographs["camera"]] * 3
    pixels = several[0].size
    extracting = feature._extractor
    wanted = feature.extract(several)
    keypoints, rows = feature.detectAndCompute(several[0], None)
    whole = extracting.runner
    with at_once() if fixed_sizes else contextlib.nullcontext():
        extracting.runner = LittleMemory(whole, 2 * pixels)
        assert_equal(feature.extract(several), wanted)
        assert {shape[0] for shape in extracting.runner.shapes} == {1, 2}

        extracting.runner = LittleMemory(whole, pixels - 1)
        tiled = feature.extract(several)
        assert all(shape[0] == 1 and shape[3] < 480 for shape in extracting.runner.shapes)
        for a, b in zip(tiled, wanted, strict=True):
            between = np.linalg.norm(a.xy[:, None] - b.xy[None], axis=2)
            assert (between.min(1) < 0.1).mean() > 0.95
        _, again = feature.compute(several[0], keypoints)
        assert ((again * rows).sum(1) > 0.999).mean() > 0.95


def test_too_little_memory_is_an_error_of_opencv(photographs):
    feature = SuperPoint_create(100, device="cpu", precision="float32")
    keypoints = feature.detect(photographs["camera"])
    feature._extractor.runner = LittleMemory(feature._extractor.runner, 100)
    for call, name in (
        (lambda image: feature.detect(image), "detect"),
        (lambda image: feature.detectAndCompute(image, None), "detectAndCompute"),
        (lambda image: feature.extract([image, image]), "extract"),
        (lambda image: feature.compute(image, keypoints), "compute"),
    ):
        with pytest.raises(cv2.error, match="memory is too small: CUDA out of memory") as caught:
            call(photographs["camera"])
        assert caught.value.code == cv2.Error.StsNoMem
        assert caught.value.func == name


class NoNumbers(RandomMaps):
    """A runner whose logits are no numbers in one cell, as float16 makes them on overflow."""

    def __call__(self, pixels: torch.Tensor, detect: bool, describe: bool) -> Maps:
        maps = super().__call__(pixels, detect, describe)
        maps.logits[:, :, 1, 1] = torch.nan
        return maps


def test_logits_that_are_no_numbers_cost_their_own_points_only(at_once):
    extract = Extractor(network(), NoNumbers(False), 5).extract
    images, settings = [np.zeros((80, 128), np.uint8)], DetectionSettings(5000, nlevels=1)
    wanted = extract(images, [None], settings)
    with at_once():
        found = extract(images, [None], settings)
    assert_equal(found, wanted)
    assert len(found[0]) > 0

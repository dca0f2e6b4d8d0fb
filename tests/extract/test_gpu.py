"""The same on a GPU as on a CPU."""

import itertools
import pickle
import warnings

import cv2
import numpy as np
import pytest
import torch

from cv2_superpoint import Features, SuperPoint_create
from cv2_superpoint.extract import extractor, on_device
from cv2_superpoint.model.weights import load_shipped
from cv2_superpoint.runners.cuda_graph import CudaGraphRunner
from cv2_superpoint.runners.eager import EagerRunner

pytestmark = pytest.mark.gpu

PARAMETERS = [{}, {"nlevels": 4}, {"nmsRadius": 2, "scoreThreshold": 0.001}]


@pytest.fixture
def exact(monkeypatch: pytest.MonkeyPatch) -> None:
    """No TF32: float32 as a CPU understands it."""
    monkeypatch.setattr(torch.backends.cudnn, "allow_tf32", False)


def distances(a: Features, b: Features) -> np.ndarray:
    """From each keypoint of `a` to each of `b`."""
    return np.linalg.norm(a.xy[:, None] - b.xy[None], axis=2)


def assert_close(a: Features, b: Features, share: float, pixels: float, cosine: float) -> None:
    """Assert that of each, so many keypoints are among the other's, with like descriptors."""
    between = distances(a, b)
    assert min(between.shape) > 100
    assert (between.min(0) <= pixels).mean() >= share
    assert (between.min(1) <= pixels).mean() >= share
    near = between.min(1) <= pixels
    rows = b.descriptors[between.argmin(1)][near]
    assert ((a.descriptors[near] * rows).sum(1) >= cosine).mean() >= share


@pytest.mark.usefixtures("exact")
@pytest.mark.parametrize("parameters", PARAMETERS, ids=str)
def test_cpu_and_gpu_agree(photographs, parameters):
    cpu = SuperPoint_create(500, device="cpu", precision="float32", **parameters)
    gpu = SuperPoint_create(500, device="cuda", precision="float32", **parameters)
    for image in photographs.values():
        assert_close(gpu.extract(image), cpu.extract(image), 0.98, 0.05, 0.9999)
        keypoints = cpu.detect(image)
        rows = gpu.compute(image, keypoints)[1]
        np.testing.assert_allclose(rows, cpu.compute(image, keypoints)[1], atol=1e-3)


@pytest.mark.usefixtures("exact")
@pytest.mark.parametrize("nfeatures", [0, 50, 5000])
def test_limits_and_masks_on_a_gpu(photographs, nfeatures):
    image = photographs["coffee"]
    mask = np.zeros_like(image)
    mask[50:200, 30:300] = 255
    cpu = SuperPoint_create(nfeatures, device="cpu", precision="float32")
    gpu = SuperPoint_create(nfeatures, device="cuda", precision="float32")
    wanted, got = cpu.extract(image, mask), gpu.extract(image, mask)
    assert len(got) == pytest.approx(len(wanted), rel=0.03)
    between = distances(got, wanted)
    assert (between.min(1) <= 0.05).mean() >= 0.97
    assert (between.min(0) <= 0.05).mean() >= 0.97


@pytest.mark.parametrize("describe", [False, True])
def test_extraction_waits_for_the_gpu_once(photographs, monkeypatch, describe):
    feature = SuperPoint_create(500, device="cuda")
    images, settings = [photographs["coffee"]] * 3, feature._settings
    extract = feature._extractor.extract
    for _ in range(2):  # libraries wait when they start, and graphs are recorded
        extract(images, [None] * 3, settings, describe)
    copied = []

    def to_host(packed):
        copied.append(packed)
        torch.cuda.set_sync_debug_mode("default")  # this may wait
        return on_device.to_host(packed)

    monkeypatch.setattr(extractor, "to_host", to_host)
    torch.cuda.set_sync_debug_mode("error")
    try:
        extract(images, [None] * 3, settings, describe)
    finally:
        torch.cuda.set_sync_debug_mode("default")
    assert len(copied) == 1


def test_little_memory_on_a_gpu(photographs, monkeypatch):
    several = [photographs["camera"]] * 16
    feature = SuperPoint_create(100, device="cuda", precision="float32")
    whole = feature.extract(several)
    attempts = []
    fit = on_device.fit_memory
    monkeypatch.setattr(on_device, "fit_memory", lambda *given: attempts.append(1) or fit(*given))
    torch.cuda.empty_cache()
    total = torch.cuda.get_device_properties(0).total_memory
    torch.cuda.set_per_process_memory_fraction((torch.cuda.memory_reserved() + 2**27) / total)
    try:
        for got, wanted in zip(feature.extract(several), whole, strict=True):
            assert (distances(got, wanted).min(1) <= 0.1).mean() >= 0.95
    finally:
        torch.cuda.set_per_process_memory_fraction(1.0)
    assert attempts, "all fitted at once"


@pytest.mark.parametrize("precision", ["float16", "bfloat16"])
def test_half_precision_is_close(photographs, precision):
    whole = SuperPoint_create(500, device="cuda", precision="float32")
    half = SuperPoint_create(500, device="cuda", precision=precision)
    for image in photographs.values():
        found = half.extract(image)
        assert_close(found, whole.extract(image), 0.85, 1, 0.98)
        np.testing.assert_allclose(np.linalg.norm(found.descriptors, axis=1), 1, atol=1e-5)


@pytest.mark.parametrize("device", [None, "cuda", "cuda:0", "cpu"])
def test_devices(photographs, device):
    feature = SuperPoint_create(500, device=device)
    keypoints, rows = feature.detectAndCompute(photographs["camera"], None)
    assert rows.shape == (len(keypoints), 64)
    assert ("cpu" if device == "cpu" else "cuda") in repr(feature)
    again = pickle.loads(pickle.dumps(feature))
    np.testing.assert_allclose(again.compute(photographs["camera"], keypoints)[1], rows, atol=1e-3)


def test_missing_devices_are_refused():
    with pytest.raises(cv2.error, match="cuda:99"):
        SuperPoint_create(device="cuda:99")


def test_results_repeat_on_a_gpu(photographs):
    feature = SuperPoint_create(500, device="cuda")
    first = feature.extract(photographs["coffee"])
    for _ in range(5):
        assert_close(feature.extract(photographs["coffee"]), first, 1, 1e-3, 0.99999)


@pytest.mark.usefixtures("exact")
def test_graphs_do_what_was_recorded(photographs):
    network = load_shipped("superpoint-lite").network.cuda()
    eager = EagerRunner(network, torch.device("cuda"), "float32")
    graphs = CudaGraphRunner(eager)
    images = [torch.from_numpy(image[None, None, :160, :216].copy()).cuda()
              for image in photographs.values()]  # fmt: skip
    streams = [torch.cuda.current_stream(), torch.cuda.Stream()]
    with torch.inference_mode(), warnings.catch_warnings():
        warnings.simplefilter("error")
        for _ in range(3):
            for image, stream in itertools.product(images, streams):
                with torch.cuda.stream(stream):
                    got = graphs(image, True, True)
                stream.synchronize()
                for a, b in zip(got, eager(image, True, True), strict=True):
                    torch.testing.assert_close(a, b, atol=1e-4, rtol=1e-4)
    assert len(graphs._graphs) == 1


def test_a_batch_on_a_gpu(photographs):
    feature = SuperPoint_create(500, device="cuda")
    several = [photographs["camera"], photographs["brick"], photographs["camera"][:100]]
    mask = np.zeros_like(several[0])
    mask[:, 200:] = 255
    batch = feature.extract(several, [mask, None, None])
    assert (batch[0].xy[:, 0] > 199).all()
    for features, image, allowed in zip(batch, several, (mask, None, None), strict=True):
        alone = feature.extract(image, allowed)
        assert (distances(features, alone).min(1) <= 0.1).mean() >= 0.97


def test_nothing_found_on_a_gpu():
    feature = SuperPoint_create(500, device="cuda")
    assert feature.detectAndCompute(np.zeros((40, 50), np.uint8), None) == ((), None)
    assert feature.detectAndCompute(np.zeros((1, 1), np.uint8), None) == ((), None)

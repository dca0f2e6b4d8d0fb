"""The quantised network against the network."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from cv2_superpoint import SuperPoint_create
from cv2_superpoint.model.network import ARCHITECTURES, Architecture, ConvBlock, SuperPointNet
from cv2_superpoint.model.weights import load_shipped, shipped_models
from cv2_superpoint.runners import choose, int8
from cv2_superpoint.runners.eager import EagerRunner
from cv2_superpoint.runners.int8 import (
    Int8Runner,
    can_multiply_int8,
    measure_ranges,
    round_weights,
)
from cv2_superpoint.runners.simulated_int8 import simulate_int8

CPU = torch.device("cpu")

needs_int8 = pytest.mark.skipif(not can_multiply_int8(), reason="this CPU has no fast int8")


def shipped_runner(model: str) -> Int8Runner:
    loaded = load_shipped(model)
    return Int8Runner(loaded.network, loaded.metadata["ranges"])


def pixels(photographs, name="camera"):
    image = photographs[name][:160, :216]
    return torch.from_numpy(np.ascontiguousarray(image))[None, None]


@needs_int8
@pytest.mark.parametrize("model", shipped_models())
@torch.inference_mode()
def test_what_ships_is_about_the_same_quantised(model, photographs):
    loaded = load_shipped(model)
    quantised = Int8Runner(loaded.network, loaded.metadata["ranges"])
    exact = EagerRunner(loaded.network, CPU, "float32")
    for name in photographs:
        image = pixels(photographs, name)
        got, wanted = quantised(image, True, True), exact(image, True, True)
        # (A quantised network that forgot a scale would be off by far more.)
        assert (got.logits - wanted.logits).abs().mean() < 0.15 * wanted.logits.std()
        likeness = F.cosine_similarity(got.features, wanted.features, dim=1)
        assert likeness.mean() > 0.98


def test_rounded_weights_keep_their_sums():
    torch.manual_seed(0)
    weight = torch.randn(40, 6, 3, 3)
    weight[0] -= weight[0].mean()  # a filter for edges
    weight[1] = 0
    weight[2] = 0.5
    rounded, scales = round_weights(weight)
    steps = weight / scales[:, None, None, None]
    assert ((rounded == rounded.round()) & (rounded.abs() <= 127)).all()
    assert ((rounded - steps).abs() < 1 + 1e-4).all()
    assert ((rounded - steps).flatten(1).sum(1).abs() < 0.5 + 1e-3).all()
    assert rounded[0].sum() == 0
    assert (rounded[1] == 0).all()
    assert rounded[2].abs().max() in (63, 64)  # two of which come together


def test_two_weights_side_by_side_never_overflow_16_bits():
    torch.manual_seed(0)
    weight = torch.cat(
        [torch.randn(200, 5, 3, 3), torch.rand(50, 5, 3, 3), -torch.rand(50, 5, 3, 3)]
    )
    rounded, _ = round_weights(weight)
    pairs = F.pad(rounded, (0, 0, 0, 0, 0, 1)).unflatten(1, (3, 2))
    assert 255 * pairs.clamp_min(0).sum(2).max() <= 2**15 - 1
    assert 255 * pairs.clamp_max(0).sum(2).min() >= -(2**15)
    assert pairs.abs().sum(2).flatten(1).amax(1).min() >= 126  # and no step is larger than needed


@needs_int8
@pytest.mark.parametrize("channels", [4, 16, 24, 64])
@pytest.mark.parametrize("kernel", [1, 3])
@torch.inference_mode()
def test_the_largest_inputs_are_added_up_exactly(channels, kernel):
    """CPUs without VNNI, whose sums saturate, are as good as any."""
    torch.manual_seed(0)
    block = ConvBlock(channels, 20, kernel, "none", 1e-5, relu=False)
    with torch.no_grad():
        block.get_submodule("conv").weight[:10].abs_()
        block.get_submodule("conv").bias.zero_()
    pixels = torch.randint(0, 2, (2, channels, 17, 33)) * 255
    got = int8._quantise_last(block, 1.0)(
        pixels.to(torch.uint8).contiguous(memory_format=torch.channels_last)
    )
    steps, scales = round_weights(block.get_submodule("conv").weight)
    wanted = F.conv2d(pixels.double(), steps.double(), padding=kernel // 2)
    assert torch.equal((got / scales[:, None, None]).round(), wanted.float())
    assert wanted.abs().max() > 2**15


@needs_int8
@pytest.mark.parametrize("model", shipped_models())
@torch.inference_mode()
def test_kept_sums_come_nearer_to_the_network(model, photographs, monkeypatch):
    exact = EagerRunner(load_shipped(model).network, CPU, "float32")

    def error():
        runner = shipped_runner(model)
        images = [pixels(photographs, name) for name in photographs]
        pairs = [(runner(image, True, True), exact(image, True, True)) for image in images]
        return [
            float(sum((got[i] - wanted[i]).square().sum() for got, wanted in pairs)) for i in (0, 1)
        ]

    def round_one_by_one(weight):
        scales = round_weights(weight)[1]
        return (weight / scales[:, None, None, None]).round(), scales

    kept = error()
    monkeypatch.setattr(int8, "round_weights", round_one_by_one)
    one_by_one = error()
    assert kept[0] < 0.9 * one_by_one[0]
    assert kept[1] < 0.5 * one_by_one[1]


@needs_int8
@pytest.mark.parametrize(
    "architecture",
    [
        ARCHITECTURES["superpoint-paper"],
        Architecture((8, 16, 16, 24), 16, 32, stem_stride=2, detail_stages=3),
        Architecture((8, 8, 8, 8), 8, 8, stem_stride=1, detail_stages=3),
    ],
)
@torch.inference_mode()
def test_any_architecture_can_be_quantised(architecture, photographs):
    torch.manual_seed(0)
    network = SuperPointNet(architecture).eval()
    image = pixels(photographs)
    ranges = measure_ranges(network, [image.float() / 255])
    got = Int8Runner(network, ranges)(image, True, True)
    wanted = EagerRunner(network, CPU, "float32")(image, True, True)
    for a, b in zip(got, wanted, strict=True):
        assert (a - b).norm() < 0.1 * b.norm()


@needs_int8
@pytest.mark.parametrize("model", shipped_models())
@torch.inference_mode()
def test_simulation_rounds_alike(model, photographs):
    loaded = load_shipped(model)
    ranges, image = loaded.metadata["ranges"], pixels(photographs)
    before = {key: value.clone() for key, value in loaded.network.state_dict().items()}
    got = EagerRunner(simulate_int8(loaded.network, ranges), CPU, "float32")(image, True, True)
    wanted = Int8Runner(loaded.network, ranges)(image, True, True)
    exact = EagerRunner(loaded.network, CPU, "float32")(image, True, True)
    for a, b, c in zip(got, wanted, exact, strict=True):
        assert (a - b).norm() < 0.25 * (c - b).norm()
    assert all((value == before[key]).all() for key, value in loaded.network.state_dict().items())


@needs_int8
@pytest.mark.parametrize("model", shipped_models())
@torch.inference_mode()
def test_number_of_threads_does_not_matter(model, photographs):
    runner, before = shipped_runner(model), torch.get_num_threads()
    outputs = []
    try:
        for count in (1, 2, 3):
            torch.set_num_threads(count)
            outputs.append([runner(pixels(photographs, name), True, True) for name in photographs])
    finally:
        torch.set_num_threads(before)
    for others in outputs[1:]:
        for wanted, got in zip(outputs[0], others, strict=True):
            assert torch.equal(got.logits, wanted.logits)
            assert torch.equal(got.features, wanted.features)


@needs_int8
@torch.inference_mode()
def test_ranges_round_better_than_the_largest_values(photographs):
    network = load_shipped("superpoint-lite").network
    images = [pixels(photographs, name) for name in photographs]
    ranges = measure_ranges(network, [image.float() / 255 for image in images])
    largest = dict.fromkeys(ranges, 0.0)

    def note(path: str, output: torch.Tensor) -> None:
        largest[path] = max(largest[path], float(output.max()))

    for path in ranges:
        block = network.get_submodule(path)
        block.register_forward_hook(lambda *call, path=path: note(path, call[-1]))
    exact = EagerRunner(network, CPU, "float32")
    wanted = [exact(image, True, True).logits for image in images]
    errors = []
    for scales in (ranges, largest):
        runner = Int8Runner(network, scales)
        pairs = zip(images, wanted, strict=True)
        errors.append(sum((runner(i, True, True).logits - w).square().sum() for i, w in pairs))
    assert all(ranges[path] <= largest[path] + 1e-6 for path in ranges)
    assert errors[0] < 0.8 * errors[1]


@needs_int8
def test_only_what_is_wanted_is_computed(photographs):
    runner = shipped_runner("superpoint-lite")
    assert runner(pixels(photographs), False, True).logits is None
    assert runner(pixels(photographs), True, False).features is None


def test_the_same_points_are_found_quantised(photographs):
    """At least 97 % of the points lie within half a pixel of one found in float32."""
    near = total = 0
    kinds = {p: SuperPoint_create(300, device="cpu", precision=p) for p in ("auto", "float32")}
    for image in photographs.values():
        found, wanted = (kinds[p].extract(image) for p in ("auto", "float32"))
        # Where the list ends is a matter of the last digit: look among more.
        more = SuperPoint_create(600, device="cpu", precision="float32").extract(image)
        distance = np.linalg.norm(found.xy[:, None] - more.xy[None], axis=2)
        near += (distance.min(1) < 0.5).sum()
        total += len(found)
        assert len(found) == len(wanted)
    assert near / total > 0.97


def test_auto_says_what_it_chose():
    precision = SuperPoint_create(device="cpu").getPrecision()
    assert precision == ("int8" if can_multiply_int8() else precision)
    assert precision in ("int8", "bfloat16", "float32")
    assert SuperPoint_create(device="cpu", precision="float32").getPrecision() == "float32"


def test_a_pytorch_without_the_kernels_computes_in_float32_and_says_so_once(monkeypatch):
    def missing(*_: object) -> None:
        raise AttributeError("'_OpNamespace' 'onednn' object has no attribute 'qconv_prepack'")

    monkeypatch.setattr(choose, "Int8Runner", missing)
    with pytest.warns(RuntimeWarning, match="cannot compute in int8") as said:
        feature = SuperPoint_create(device="cpu", precision="int8")
    assert len(said) == 1
    assert feature.getPrecision() == "float32"


def test_a_cpu_without_fast_int8_does_not_try(monkeypatch):
    monkeypatch.setattr(choose, "can_multiply_int8", lambda: False)
    monkeypatch.setattr(choose, "can_multiply_bfloat16", lambda _: False)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert SuperPoint_create(device="cpu").getPrecision() == "float32"

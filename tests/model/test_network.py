"""The networks themselves: sizes, shapes, and batch normalisation folded away."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch

from cv2_superpoint.model.network import ARCHITECTURES, Architecture, SuperPointNet, fold_batch_norm

TINY = {"widths": (2, 3, 4, 5), "head_width": 6, "descriptor_dim": 7}


def parameters(architecture: Architecture) -> int:
    return sum(p.numel() for p in SuperPointNet(architecture).parameters())


def multiplications(architecture: Architecture) -> float:
    """Of one pixel of the image."""
    channels, total = architecture.stem_stride**2, 0.0
    for stage, width in enumerate(architecture.widths):
        stride = architecture.stem_stride if stage == 0 else 2**stage
        total += 9 * (channels * width + width * width) / stride**2
        total += 9 * width * (stage < architecture.detail_stages)
        channels = width
    head, rows = architecture.head_width, 65 + architecture.descriptor_dim
    return total + (2 * 9 * channels * head + head * rows) / 64


def test_superpoint_paper_is_the_papers():
    architecture = ARCHITECTURES["superpoint-paper"]
    assert architecture == Architecture()
    assert architecture.norm == "none"
    # By hand: encoder, then the detector, then the descriptor (weights and biases).
    pairs = [(1, 64), (64, 64), (64, 64), (64, 64), (64, 128), (128, 128), (128, 128), (128, 128)]
    encoder = sum(9 * i * o + o for i, o in pairs)
    head = 9 * 128 * 256 + 256
    assert parameters(architecture) == encoder + 2 * head + (256 * 65 + 65) + (256 * 256 + 256)
    assert parameters(architecture) == pytest.approx(1.3e6, rel=0.01)


def test_superpoint_is_the_papers_folded_and_with_details():
    ours = ARCHITECTURES["superpoint"]
    assert replace(ours, stem_stride=1, detail_stages=0) == ARCHITECTURES["superpoint-paper"]


def test_superpoint_lite_is_an_order_of_magnitude_cheaper():
    ratio = multiplications(ARCHITECTURES["superpoint"]) / multiplications(
        ARCHITECTURES["superpoint-lite"]
    )
    assert 5 < ratio < 40


@pytest.mark.parametrize("norm", ["none", "before", "after"])
@pytest.mark.parametrize(("batch", "height", "width"), [(1, 8, 8), (2, 24, 40), (3, 64, 8)])
def test_shapes_of_outputs(norm, batch, height, width):
    network = SuperPointNet(Architecture(**TINY, norm=norm)).eval()
    image = torch.rand(batch, 1, height, width)
    for i, features in enumerate(network.encode(image)):
        side = 2**i
        assert features.shape == (batch, i + 2, height // side, width // side)
    logits, descriptors = network(image)
    assert logits.shape == (batch, 65, height // 8, width // 8)
    assert descriptors.shape == (batch, 7, height // 8, width // 8)


@pytest.mark.parametrize(
    ("name", "size"), [("superpoint", 256), ("superpoint-lite", 64), ("superpoint-paper", 256)]
)
def test_sizes_of_the_descriptors_of_named_architectures(name, size):
    _, descriptors = SuperPointNet(ARCHITECTURES[name]).eval()(torch.rand(1, 1, 16, 16))
    assert descriptors.shape == (1, size, 2, 2)


DETAILED = [{"stem_stride": s, "detail_stages": d} for s in (1, 2) for d in (0, 1, 2, 3)]


@pytest.mark.parametrize("fields", DETAILED, ids=str)
def test_stems_and_details_change_no_shape(fields):
    network = SuperPointNet(Architecture(**TINY, **fields)).eval()
    image = torch.rand(2, 1, 24, 40)
    features = network.encode(image)
    assert features[0].shape[2:] == (24 // fields["stem_stride"], 40 // fields["stem_stride"])
    logits, descriptors = network(image)
    assert logits.shape == (2, 65, 3, 5)
    assert descriptors.shape == (2, 7, 3, 5)


@pytest.mark.parametrize("stem", [1, 2])
def test_details_add_to_the_pixels_they_lie_on_and_not_to_the_dustbin(stem):
    torch.manual_seed(0)
    fields = {"stem_stride": stem, "detail_stages": 3}
    network = SuperPointNet(Architecture(**TINY, **fields)).eval()
    features = network.encode(torch.rand(1, 1, 16, 24))
    with torch.no_grad():
        added = (network.detect(features) - network.detector(features[-1]))[0].numpy()
        maps = {i: layer(features[int(i)])[0].numpy() for i, layer in network.detail.items()}
    # The first two stages of a folded stem have one resolution: one map for both.
    assert list(maps) == (["1", "2"] if stem == 2 else ["0", "1", "2"])
    assert not added[64].any()
    for y in range(16):
        for x in range(24):
            wanted = 0
            for stage, of_stage in maps.items():
                stride = (stem, 2, 4)[int(stage)]
                channel = (y % stride) * stride + x % stride
                wanted += of_stage[channel, y // stride, x // stride]
            got = added[(y % 8) * 8 + x % 8, y // 8, x // 8]
            assert got == pytest.approx(wanted, abs=1e-5)


def test_a_folded_stem_sees_every_pixel():
    network = SuperPointNet(Architecture(**TINY, stem_stride=2)).eval()
    for parameter in network.encoder.parameters():  # no ReLU is ever shut
        torch.nn.init.ones_(parameter)
    image = torch.rand(1, 1, 8, 8, requires_grad=True)
    network.encode(image)[0].square().sum().backward()
    assert (image.grad != 0).all()


def test_outputs_are_not_rectified():
    network = SuperPointNet(Architecture(**TINY)).eval()
    for head in (network.detector, network.descriptor):
        torch.nn.init.constant_(head[1].conv.bias, -100)
    for output in network(torch.rand(1, 1, 32, 32)):
        assert (output < 0).all()


@pytest.mark.parametrize("norm", ["none", "before", "after"])
def test_architectures_go_through_json(norm):
    architecture = Architecture(**TINY, norm=norm, norm_eps=1e-3, stem_stride=2, detail_stages=3)
    fields = json.loads(json.dumps(architecture.to_dict()))
    assert Architecture.from_dict(fields) == architecture


@pytest.mark.parametrize(
    "change",
    [
        {"widths": [1, 2, 3]},
        {"widths": [1, 2, 3, 0]},
        {"widths": [1, 2, 3, 4.0]},
        {"widths": "1234"},
        {"widths": 4},
        {"head_width": -1},
        {"head_width": True},
        {"descriptor_dim": 1 << 40},
        {"norm": "sideways"},
        {"norm_eps": "much"},
        {"norm_eps": -1.0},
        {"stem_stride": 3},
        {"stem_stride": "2"},
        {"detail_stages": 4},
        {"detail_stages": [1]},
        {"unknown": 1},
    ],
    ids=str,
)
def test_impossible_architectures_are_refused(change):
    with pytest.raises((TypeError, ValueError)):
        Architecture.from_dict({**Architecture().to_dict(), **change})


def with_random_norms(architecture: Architecture) -> SuperPointNet:
    torch.manual_seed(1)
    network = SuperPointNet(architecture)
    for module in network.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            torch.nn.init.uniform_(module.weight, -1.5, 1.5)
            torch.nn.init.normal_(module.bias)
            torch.nn.init.normal_(module.running_mean)
            torch.nn.init.uniform_(module.running_var, 1e-3, 3)
    return network


@pytest.mark.parametrize("eps", [1e-5, 1e-1])
def test_folding_changes_nothing_but_the_norms(eps):
    fields = {"stem_stride": 2, "detail_stages": 2}
    network = with_random_norms(Architecture(**TINY, **fields, norm="before", norm_eps=eps)).eval()
    folded = fold_batch_norm(network)
    assert folded.architecture.norm == "none"
    assert not folded.training
    assert not any(isinstance(m, torch.nn.BatchNorm2d) for m in folded.modules())
    image = torch.rand(2, 1, 40, 32)
    with torch.no_grad():
        for got, wanted in zip(folded(image), network(image), strict=True):
            scale = float(wanted.abs().max())
            np.testing.assert_allclose(got, wanted, atol=1e-5 * scale)


def test_folding_while_training_leaves_the_network_as_it_is():
    network = with_random_norms(Architecture(**TINY, norm="before")).train()
    before = {key: value.clone() for key, value in network.state_dict().items()}
    folded = fold_batch_norm(network)
    assert network.training
    assert all(torch.equal(before[key], value) for key, value in network.state_dict().items())
    image = torch.rand(1, 1, 16, 16)
    with torch.no_grad():
        for got, wanted in zip(folded(image), network.eval()(image), strict=True):
            np.testing.assert_allclose(got, wanted, atol=1e-5 * float(wanted.abs().max()))


def test_folding_what_has_no_norms_copies():
    network = SuperPointNet(Architecture(**TINY)).eval()
    folded = fold_batch_norm(network)
    assert folded is not network
    for key, value in folded.state_dict().items():
        assert torch.equal(value, network.state_dict()[key])
        assert value.data_ptr() != network.state_dict()[key].data_ptr()


def test_norms_after_the_activation_cannot_be_folded():
    with pytest.raises(ValueError, match="after"):
        fold_batch_norm(SuperPointNet(Architecture(**TINY, norm="after")))


def test_norms_sit_where_the_architecture_says():
    def order(norm: str) -> list[str]:
        network = SuperPointNet(Architecture(**TINY, norm=norm))
        return [type(layer).__name__ for layer in network.encoder[0][0]]

    assert order("none") == ["Conv2d", "ReLU"]
    assert order("before") == ["Conv2d", "BatchNorm2d", "ReLU"]
    assert order("after") == ["Conv2d", "ReLU", "BatchNorm2d"]

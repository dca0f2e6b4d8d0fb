"""Our own files of weights."""

from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
import safetensors.torch
import torch
from weight_files import State, small

from cv2_superpoint import SuperPoint_create
from cv2_superpoint.model import weights as checkpoint
from cv2_superpoint.model.binary import BinaryCode
from cv2_superpoint.model.network import ARCHITECTURES, SuperPointNet
from cv2_superpoint.model.weights import Checkpoint

pytestmark = pytest.mark.filterwarnings(
    "ignore:Detected pickle protocol", "ignore:Initializing zero-element"
)


LARGEST = {"superpoint-lite": 600_000, "superpoint": 2_800_000}
"""Bytes of the files that ship."""


def outputs(network: SuperPointNet) -> tuple[torch.Tensor, torch.Tensor]:
    image = torch.rand(2, 1, 24, 32, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        return network(image)


def assert_equal(a: Checkpoint, b: Checkpoint) -> None:
    assert a.network.architecture == b.network.architecture
    assert a.metadata == b.metadata
    assert (a.code is None) == (b.code is None)
    if a.code and b.code:
        assert np.array_equal(a.code.directions, b.code.directions)
        assert np.array_equal(a.code.thresholds, b.code.thresholds)
    assert not a.network.training
    assert a.network.state_dict().keys() == b.network.state_dict().keys()
    for x, y in zip(outputs(a.network), outputs(b.network), strict=True):
        assert torch.equal(x, y)


@pytest.mark.parametrize("norm", ["none", "before", "after"])
def test_round_trip(norm, tmp_path):
    wanted = small(norm=norm, norm_eps=1e-3)
    data = checkpoint.serialise(wanted)
    assert_equal(checkpoint.deserialise(data), wanted)
    path = tmp_path / "x.safetensors"
    path.write_bytes(data)
    assert_equal(checkpoint.load(path), wanted)
    assert_equal(checkpoint.load(str(path)), wanted)
    assert_equal(checkpoint.deserialise(checkpoint.serialise(checkpoint.load(path))), wanted)


def test_a_binary_code_is_kept_with_the_weights(tmp_path):
    rows = np.eye(256, dtype=np.float32)
    code = BinaryCode(rows[:64], np.float32([-1, -0.25, 0.5, 1]))
    wanted = replace(small(), code=code)
    assert_equal(checkpoint.deserialise(checkpoint.serialise(wanted)), wanted)
    path = tmp_path / "half.safetensors"
    path.write_bytes(checkpoint.serialise(wanted, torch.float16))
    loaded = checkpoint.load(path).code
    assert np.array_equal(loaded.encode(rows), code.encode(rows))


@pytest.mark.parametrize(
    "tensors",
    [
        {"binary.directions": torch.zeros(64, 256)},
        {"binary.directions": torch.zeros(64, 255), "binary.thresholds": torch.zeros(4)},
        {"binary.directions": torch.zeros(64, 256), "binary.thresholds": torch.zeros(3)},
        {"binary.directions": torch.zeros(64, 256), "binary.thresholds": torch.zeros(4, 1)},
        {"binary.directions": torch.zeros(256), "binary.thresholds": torch.zeros(1)},
        {
            "binary.directions": torch.full((256, 256), torch.nan),
            "binary.thresholds": torch.ones(1),
        },
    ],
    ids=["alone", "short", "too few bits", "a matrix", "a list", "not finite"],
)
def test_a_wrong_binary_code_is_refused(tensors, ours):
    state, header = read_ours(ours)
    del header["sha256"]
    ours.write_bytes(safetensors.torch.save(state | tensors, header))
    with pytest.raises(ValueError, match="binary code"):
        checkpoint.load(ours)


@pytest.mark.parametrize("model", LARGEST)
def test_half_precision_halves_the_file(model, tmp_path):
    torch.manual_seed(0)
    wanted = Checkpoint(SuperPointNet(ARCHITECTURES[model]).eval(), {"training": {"steps": 3}})
    data = checkpoint.serialise(wanted, torch.float16)
    assert len(data) < 0.51 * len(checkpoint.serialise(wanted))
    path = tmp_path / "half.safetensors"
    path.write_bytes(data)
    loaded = checkpoint.load(path)
    assert loaded.metadata == wanted.metadata
    for got, true in zip(outputs(loaded.network), outputs(wanted.network), strict=True):
        assert got.dtype == torch.float32
        np.testing.assert_allclose(got, true, atol=1e-3)


def test_half_precision_keeps_the_counters_of_batch_normalisation():
    network = small(norm="before").network
    network.get_submodule("encoder.0.0.norm").num_batches_tracked += 100_001
    data = checkpoint.serialise(Checkpoint(network), torch.float16)
    loaded = checkpoint.deserialise(data).network
    assert int(loaded.get_submodule("encoder.0.0.norm").num_batches_tracked) == 100_001


def read_ours(path: Path) -> tuple[State, dict[str, str]]:
    with safetensors.safe_open(path, framework="pt") as file:
        return {key: file.get_tensor(key) for key in file.keys()}, file.metadata()  # noqa: SIM118


def test_files_without_a_checksum_load(ours):
    wanted = checkpoint.load(ours)
    state, header = read_ours(ours)
    del header["sha256"]
    ours.write_bytes(safetensors.torch.save(state, header))
    assert_equal(checkpoint.load(ours), wanted)


def test_a_file_that_changes_changes_no_network(ours):
    network = checkpoint.load(ours).network
    before = outputs(network)
    with open(ours, "r+b") as stream:
        stream.write(bytes(ours.stat().st_size))
    assert all(map(torch.equal, outputs(network), before))
    with open(ours, "wb"):  # a map of the file would end here with a signal
        pass
    assert all(map(torch.equal, outputs(network), before))


def test_what_ships_has_a_checksum():
    for path in checkpoint.FOLDER.glob("*.safetensors"):
        assert "sha256" in read_ours(path)[1]


@pytest.mark.parametrize("start", [b"\x80", b"PK"])
def test_headers_of_any_length(start, tmp_path):
    # The file begins with the length of its header, which may look like the start of a pickle
    # or of a zip archive.
    wanted = small()
    for padding in range(0, 30_000, 8):
        padded = replace(wanted, metadata={"training": {"note": " " * padding}})
        data = checkpoint.serialise(padded)
        if data.startswith(start):
            break
    assert data.startswith(start)
    path = tmp_path / "x.safetensors"
    path.write_bytes(data)
    assert_equal(checkpoint.load(path), padded)


def test_what_ships_loads_and_says_where_it_comes_from():
    names = checkpoint.shipped_models()
    assert checkpoint.DEFAULT_MODEL in names
    for name in names:
        loaded = checkpoint.load_shipped(name)
        assert loaded.network.architecture.norm == "none"
        assert loaded.metadata["training"]
        assert loaded.metadata["metrics"]
        assert loaded.code is not None
        assert (checkpoint.FOLDER / f"{name}.safetensors").stat().st_size < LARGEST[name]
        size = ARCHITECTURES[name].descriptor_dim
        assert SuperPoint_create(model=name).descriptorSize() == size


def test_unknown_models_are_refused_by_name():
    with pytest.raises(ValueError, match=r"superglue.*superpoint-lite"):
        checkpoint.load_shipped("superglue")


def test_weights_that_are_no_such_model_are_refused(ours):
    assert SuperPoint_create(weights=ours).descriptorSize() == 256
    with pytest.raises(cv2.error, match="superpoint-lite"):
        SuperPoint_create(weights=ours, model="superpoint-lite")
    shipped = checkpoint.FOLDER / "superpoint-lite.safetensors"
    assert SuperPoint_create(weights=str(shipped), model="superpoint-lite").descriptorSize() == 64

"""Files that must be refused, whatever they hold."""

import contextlib
import json
import os
import pickle
import re
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import pytest
import safetensors.torch
import torch
from damage import damaged, damages
from hypothesis import given
from hypothesis import strategies as st
from weight_files import MAGIC_LEAP, SMALL, WRAPPINGS, State, random_state, scale, small

from cv2_superpoint import SuperPoint_create
from cv2_superpoint.model import weights as checkpoint
from cv2_superpoint.model.network import Architecture

pytestmark = pytest.mark.filterwarnings(
    "ignore:Detected pickle protocol", "ignore:Initializing zero-element"
)


SMALL_NETWORK = small()


def assert_refused(path: Path, match: str | None = None) -> None:
    """Assert a clear error that names the file, from both doors."""
    with pytest.raises((ValueError, FileNotFoundError), match=match) as caught:
        checkpoint.load(path)
    assert path.name in str(caught.value)
    with pytest.raises(cv2.error, match=match) as caught:
        SuperPoint_create(weights=path)
    assert path.name in str(caught.value)


def test_missing_files_and_folders(tmp_path):
    with pytest.raises(FileNotFoundError, match="nowhere"):
        checkpoint.load(tmp_path / "nowhere.pth")
    assert_refused(tmp_path / "nowhere.pth")
    assert_refused(tmp_path)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\n",
        b"PK",
        b"PK\x03\x04",
        b"\x80",
        b"\x80\x04",
        b"\x80\x02}q\0.",
        b"\0" * 8,
        b"\0" * 100,
        b"\xff" * 100,
        b"\x02\0\0\0\0\0\0\0{}",
        b'\x02\0\0\0\0\0\0\0{"',
        b"\x89PNG\r\n\x1a\n",
        b"<html><body>404</body></html>",
        b"no weights at all\n" * 9,
    ],
    ids=repr,
)
def test_files_that_are_something_else(content, tmp_path):
    path = tmp_path / "weights.pth"
    path.write_bytes(content)
    assert_refused(path)


@pytest.mark.parametrize("wrapping", ["torch.save", "torch.save before 1.6", "safetensors", "ours"])
@pytest.mark.parametrize("share", [0.0001, 0.001, 0.01, 0.3, 0.9, 0.99, 0.9999])
def test_truncated_files(wrapping, share, tmp_path):
    whole, path = tmp_path / "whole", tmp_path / "weights.pth"
    if wrapping == "ours":
        whole.write_bytes(checkpoint.serialise(small()))
    else:
        WRAPPINGS[wrapping]({"conv1a.weight": torch.zeros(64, 1, 3, 3)}, whole)
    data = whole.read_bytes()
    path.write_bytes(data[: max(1, int(len(data) * share))])
    assert_refused(path)


@given(place=st.integers(0, 10**6), bit=st.integers(0, 7))
def test_a_flipped_bit_is_noticed(place, bit, tmp_path_factory):
    data = bytearray(checkpoint.serialise(SMALL_NETWORK))
    start = 8 + int.from_bytes(data[:8], "little")
    data[start + place % (len(data) - start)] ^= 1 << bit
    path = tmp_path_factory.getbasetemp() / "flipped.safetensors"
    path.write_bytes(data)
    with pytest.raises(ValueError, match="damaged"):
        checkpoint.load(path)
    with pytest.raises(cv2.error, match="damaged"):
        SuperPoint_create(weights=path)


@pytest.mark.parametrize(("old", "new"), [('"steps": 3', '"steps": 4'), ("1e-05", "2e-05")])
def test_a_changed_header_is_noticed(old, new, ours):
    data = ours.read_bytes()
    changed = data.replace(old.replace('"', '\\"').encode(), new.replace('"', '\\"').encode())
    assert changed != data
    ours.write_bytes(changed)
    assert_refused(ours, "damaged")


PIECES = [
    b"\0",
    b"\xff",
    b"{",
    b"}",
    b'"',
    b".",
    b"(",
    b"R",
    b"cos\nsystem\n",
    b"cbuiltins\nexec\n",
]
PIECES += [
    b"F32",
    b"F64",
    b"F16",
    b"BF16",
    b"F8_E4M3",
    b"F4",
    b"I8",
    b"U64",
    b"C64",
    b"BOOL",
    b"F6_E3M2",
]


@given(
    kind=st.sampled_from(["torch.save", "torch.save before 1.6", "safetensors", "ours"]),
    damage=damages(PIECES, removed=4, inserted=4),
)
def test_damaged_files_raise_nothing_else(kind, damage, tmp_path_factory):
    path = tmp_path_factory.getbasetemp() / "damaged"
    if kind == "ours":
        data = checkpoint.serialise(SMALL_NETWORK)
    else:
        WRAPPINGS[kind]({"conv1a.weight": torch.zeros(4, 1, 3, 3), "other": torch.ones(5)}, path)
        data = path.read_bytes()
    path.write_bytes(damaged(data, damage, reach=4000))  # rather in the header
    with contextlib.suppress(cv2.error):
        SuperPoint_create(weights=path)


@pytest.mark.parametrize(
    "dtype",
    ["BOOL", "F4", "F6_E2M3", "F8_E5M2", "F8_E4M3", "F8_E8M0", "U8", "I16", "U32", "U64", "C64"],
)
def test_types_that_are_no_weights(dtype, tmp_path):
    bits = {"F4": 4, "F6": 6, "BO": 8}.get(dtype[:2]) or int(re.findall(r"\d+", dtype)[0])
    size = 64 * 9 * bits // 8
    header = {"conv1a.weight": {"dtype": dtype, "shape": [64, 1, 3, 3], "data_offsets": [0, size]}}
    text = json.dumps(header).encode()
    path = tmp_path / "weights.safetensors"
    path.write_bytes(struct.pack("<Q", len(text)) + text + bytes(size))
    assert_refused(path)


class Bomb:
    """What unpickling it would leave behind is a file."""

    def __init__(self, target: Path) -> None:
        self.target = target

    def __reduce__(self) -> tuple:
        return (Path.touch, (self.target,))


@pytest.mark.parametrize(
    "write",
    [
        lambda bomb, path: torch.save(bomb, path),
        lambda bomb, path: torch.save({"conv1a.weight": bomb}, path),
        lambda bomb, path: torch.save({"state_dict": bomb}, path),
        lambda bomb, path: torch.save(bomb, path, _use_new_zipfile_serialization=False),
        *(
            lambda bomb, path, protocol=protocol: path.write_bytes(pickle.dumps(bomb, protocol))
            for protocol in range(6)
        ),
    ],
)
def test_nothing_is_executed(write, tmp_path):
    path, target = tmp_path / "weights.pth", tmp_path / "executed"
    write(Bomb(target), path)
    assert_refused(path)
    assert not target.exists()


def change(key: str, value: Any) -> Callable[[State], None]:
    return lambda state: state.update({key: value})


BAD_STATES: dict[str, tuple[Callable[[State], Any], str | None]] = {
    "nothing": (lambda state: state.clear(), None),
    "a key is missing": (lambda state: state.pop("conv2b.bias"), "encoder.1.1.conv.bias"),
    "a stage is missing": (lambda state: state.pop("conv3a.weight"), "encoder.2.0.conv.weight"),
    "no detector": (lambda state: [state.pop(f"convP{x}.weight") for x in "ab"], "detector"),
    "a key too many": (change("conv5a.weight", torch.zeros(3)), "conv5a"),
    "a shape": (change("conv2b.weight", torch.zeros(64, 64, 5, 5)), "encoder.1.1.conv.weight"),
    "a bias of a scalar": (change("conv1b.bias", torch.tensor(1.0)), "encoder.0.1.conv.bias"),
    "a weight of a scalar": (change("conv1a.weight", torch.tensor(1.0)), None),
    "no channels": (change("conv1a.weight", torch.zeros(0, 1, 3, 3)), None),
    "colour": (change("conv1a.weight", torch.zeros(64, 3, 3, 3)), "encoder.0.0.conv.weight"),
    "too few cells": (change("convPb.weight", torch.zeros(64, 256, 1, 1)), "detector.1"),
    "NaN": (change("conv2b.bias", torch.full((64,), torch.nan)), "finite.*encoder.1.1.conv.bias"),
    "infinity": (change("conv2b.bias", torch.full((64,), -torch.inf)), "finite"),
    "overflow": (change("conv2b.bias", torch.full((64,), 1e300, dtype=torch.float64)), "finite"),
    "integers": (change("conv2b.weight", torch.zeros(64, 64, 3, 3, dtype=torch.int8)), None),
    "complex": (change("conv2b.bias", torch.zeros(64, dtype=torch.complex64)), "conv2b.bias"),
    "no descriptor": (
        lambda state: state.update(
            {"convDb.weight": torch.zeros(0, 256, 1, 1), "convDb.bias": torch.zeros(0)}
        ),
        None,
    ),
    "times 1e10": (lambda state: scale(state, 1e10), "finite"),
    "times 1e-30": (lambda state: scale(state, 1e-30), "zero"),
    "times 0": (lambda state: scale(state, 0), "zero"),
}


@pytest.mark.parametrize("case", BAD_STATES)
@pytest.mark.parametrize("write", [torch.save, safetensors.torch.save_file])
def test_wrong_states(case, write, tmp_path):
    spoil, match = BAD_STATES[case]
    state = random_state(MAGIC_LEAP, False)
    spoil(state)
    path = tmp_path / "weights.pth"
    try:
        write(state, path)
    except KeyError:
        pytest.skip("this safetensors cannot write complex numbers")
    assert_refused(path, match)


EMPTY = torch.zeros(64)
STRANGE = {
    "sparse": lambda: EMPTY.to_sparse(),
    "compressed sparse": lambda: torch.zeros(8, 8).to_sparse_csr(),
    "meta": lambda: EMPTY.to("meta"),
    "nested": lambda: torch.nested.nested_tensor([EMPTY, EMPTY]),
    "quantised": lambda: torch.quantize_per_tensor(EMPTY, 1.0, 0, torch.quint8),
    "of no memory": lambda: torch.zeros(()).expand(1 << 40),
}


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("key", ["conv1a.weight", "conv1a.bias"])
@pytest.mark.parametrize("case", STRANGE)
def test_tensors_that_are_no_arrays(case, key, tmp_path):
    path = tmp_path / "weights.pth"
    torch.save({**random_state(MAGIC_LEAP, False), key: STRANGE[case]()}, path)
    assert_refused(path, key)


def test_parameters_are_tensors_too(tmp_path):
    state = random_state(MAGIC_LEAP, False)
    path = tmp_path / "weights.pth"
    torch.save({key: torch.nn.Parameter(value) for key, value in state.items()}, path)
    assert checkpoint.load(path).network.architecture == Architecture()


def test_zip_bombs_are_not_unpacked(tmp_path, monkeypatch):
    plain, path = tmp_path / "plain.pth", tmp_path / "bomb.pth"
    torch.save({"conv1a.weight": torch.zeros(1 << 20)}, plain)
    with zipfile.ZipFile(plain) as source, zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as bomb:
        for entry in source.namelist():
            bomb.writestr(entry, source.read(entry))
    assert path.stat().st_size < 20_000
    monkeypatch.setattr(torch, "load", lambda *_, **__: pytest.fail("it was unpacked"))
    assert_refused(path, "compressed")


def test_files_that_are_too_large_are_not_read(ours, monkeypatch):
    os.truncate(ours, 1 << 31)
    monkeypatch.setattr(Path, "read_bytes", lambda _: pytest.fail("it was read"))
    assert_refused(ours, "too large")


@pytest.mark.skipif(os.name != "posix", reason="names are not bytes here")
@pytest.mark.parametrize("wrapping", ["torch.save", "torch.save before 1.6", "safetensors"])
def test_names_that_are_not_utf8(wrapping, tmp_path):
    plain = tmp_path / "plain"
    WRAPPINGS[wrapping](random_state(MAGIC_LEAP, False), plain)
    path = Path(os.fsdecode(os.fsencode(tmp_path) + b"/caf\xe9"))
    plain.rename(path)
    assert SuperPoint_create(weights=path).descriptorSize() == 256
    with pytest.raises(cv2.error, match="no such file"):
        SuperPoint_create(weights=f"{path}\0")


@pytest.mark.parametrize(
    "content",
    [
        {},
        [],
        3,
        "conv1a.weight",
        None,
        torch.zeros(3),
        {"conv1a.weight": 3},
        {3: torch.zeros(3)},
        {"other": torch.zeros(3)},
        {"state_dict": {}},
        {"state_dict": {"other": torch.zeros(3)}},
    ],
    ids=str,
)
def test_torch_files_of_something_else(content, tmp_path):
    path = tmp_path / "weights.pth"
    torch.save(content, path)
    assert_refused(path)


WELL = SMALL.to_dict()


@pytest.mark.parametrize(
    "architecture",
    [
        "",
        "{",
        "[]",
        "null",
        "3",
        "{}",
        json.dumps({**WELL, "unknown": 1}),
        json.dumps({**WELL, "widths": [4, 6, 8]}),
        json.dumps({**WELL, "widths": [4, 6, 8, -10]}),
        json.dumps({**WELL, "widths": [4, 6, 8, 10.5]}),
        json.dumps({**WELL, "widths": 4}),
        json.dumps({**WELL, "widths": [4, 6, 8, 11]}),
        json.dumps({**WELL, "widths": [4, 6, 8, 10**9]}),
        json.dumps({**WELL, "descriptor_dim": 0}),
        json.dumps({**WELL, "norm": "before"}),
        json.dumps({**WELL, "norm": "sideways"}),
        json.dumps({**WELL, "norm": None}),
        json.dumps({**WELL, "norm_eps": "much"}),
        json.dumps({**WELL, "stem_stride": 2.0}),
        json.dumps({**WELL, "stem_stride": True}),
        json.dumps({**WELL, "stem_stride": None}),
        json.dumps({**WELL, "detail_stages": 0.0}),
        json.dumps({**WELL, "detail_stages": [0]}),
        json.dumps({**WELL, "norm_eps": None}),
        json.dumps({**WELL, "norm_eps": float("nan")}),
        "[" * 100_000,
    ],
    ids=lambda text: text[:60],
)
def test_our_files_with_a_wrong_header(architecture, tmp_path):
    state = small().network.state_dict()
    path = tmp_path / "weights.safetensors"
    path.write_bytes(safetensors.torch.save(state, {"architecture": architecture}))
    assert_refused(path)


@pytest.mark.parametrize("key", ["training", "metrics"])
def test_our_files_with_wrong_metadata(key, tmp_path):
    header = {"architecture": json.dumps(WELL), key: "{"}
    path = tmp_path / "weights.safetensors"
    path.write_bytes(safetensors.torch.save(small().network.state_dict(), header))
    assert_refused(path)


def test_a_header_that_claims_too_much_memory(tmp_path):
    header = json.dumps({"x": {"dtype": "F32", "shape": [1 << 40], "data_offsets": [0, 1 << 42]}})
    path = tmp_path / "weights.safetensors"
    path.write_bytes(struct.pack("<Q", len(header)) + header.encode())
    assert_refused(path)

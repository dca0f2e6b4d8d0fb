"""The binary code learned for a network."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
import torch
import torch.nn.functional as F
from skimage import data

from cv2_superpoint.model.network import Architecture, SuperPointNet
from cv2_superpoint.model.weights import Checkpoint, load, load_shipped, serialise, shipped_models
from train.data.images import pack
from train.files import UserError
from train.options import parse
from train.pipeline import run
from train.report.binary import learn_code

IMAGES = [torch.rand(1, 1, 48, 64, generator=torch.Generator().manual_seed(i)) for i in range(4)]
PHOTOGRAPH = torch.from_numpy(data.camera()[:240, :320])[None, None].float() / 255


def network(size: int) -> SuperPointNet:
    torch.manual_seed(0)
    shape = Architecture((4, 4, 8, 8), head_width=80, descriptor_dim=size)
    return SuperPointNet(shape).eval().requires_grad_(False)


@pytest.mark.parametrize("size", [7, 64, 100])
def test_bits_are_learned_for_descriptors_of_any_length(size):
    net = network(size)
    code = learn_code(net, IMAGES)
    assert code.directions.shape == (64, size)
    again = learn_code(net, IMAGES)
    assert np.array_equal(code.directions, again.directions)
    rows = torch.randn(300, size, generator=torch.Generator().manual_seed(1))
    bits = code.encode(F.normalize(rows, dim=1).numpy())
    assert bits.shape == (300, 32)
    assert 0.2 < np.unpackbits(bits).mean() < 0.8


@pytest.mark.parametrize("model", shipped_models())
def test_bits_of_like_descriptors_are_like(model):
    loaded = load_shipped(model)
    code = learn_code(loaded.network, [PHOTOGRAPH])
    rows = F.normalize(loaded.network(PHOTOGRAPH)[1], dim=1).permute(0, 2, 3, 1).flatten(0, 2)
    rows = rows.detach().numpy()[::5]
    bits = np.unpackbits(code.encode(rows), axis=1)
    distance = (bits[:, None] != bits).mean(2)
    assert np.corrcoef(distance.ravel(), 1 - (rows @ rows.T).ravel())[0, 1] > 0.8


def test_thresholds_follow_the_spread():
    code = learn_code(network(64), IMAGES)
    np.testing.assert_allclose(code.thresholds / code.thresholds[-1], [-1, -0.3, 0.3, 1], rtol=1e-5)
    rows = torch.cat([network(64)(image)[1] for image in IMAGES])
    rows = F.normalize(rows, dim=1).permute(0, 2, 3, 1).flatten(0, 2).numpy()
    spread = np.sqrt(np.square(rows @ code.directions.T).mean())
    np.testing.assert_allclose(code.thresholds[-1], spread, rtol=1e-5)


def test_binary_adds_a_code_and_changes_nothing_else(tmp_path):
    cv2.imwrite(str(tmp_path / "camera.png"), data.camera())
    old = Checkpoint(network(64), {"training": {"steps": 3}, "ranges": {"x": 1.5}})
    weights = tmp_path / "mine.safetensors"
    weights.write_bytes(serialise(old, torch.float16))
    arguments = ["--init", weights, "--out", tmp_path / "run", "--images", tmp_path]
    run(parse(["binary", *map(str, arguments)]))
    new, old = load(tmp_path / "run" / "mine.safetensors"), load(weights)
    assert old.code is None
    assert new.code is not None
    assert new.metadata == old.metadata
    before, after = old.network.state_dict(), new.network.state_dict()
    assert all(torch.equal(before[key], after[key]) for key in before)


def test_binary_needs_weights(tmp_path):
    with pytest.raises(UserError, match="--init"):
        parse(["binary", "--out", str(tmp_path)])
    cv2.imwrite(str(tmp_path / "camera.png"), data.camera())
    pack([tmp_path], tmp_path / "images")
    for other in ("shipped", tmp_path / "nowhere.safetensors"):
        with pytest.raises(UserError, match="file of weights"):
            parse(["binary", "--init", str(other), "--out", str(tmp_path)])
    broken = tmp_path / "broken.safetensors"
    broken.write_bytes(b"no weights")
    with pytest.raises(UserError, match="broken"):
        run(parse(["binary", "--init", str(broken), "--out", str(tmp_path)]))


@pytest.mark.parametrize("model", shipped_models())
def test_what_ships_was_learned(model):
    code = load_shipped(model).code
    assert code is not None
    assert (len(code.directions), len(code.thresholds)) == (64, 4)

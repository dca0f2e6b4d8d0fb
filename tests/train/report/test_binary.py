"""The binary code learned for a network."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
import torch
import torch.nn.functional as F
from skimage import data

from cv2_superpoint.model.network import Architecture, SuperPointNet
from cv2_superpoint.model.weights import FOLDER, Checkpoint, load, serialise
from train.data.images import pack
from train.files import UserError
from train.options import parse
from train.pipeline import run
from train.report.binary import learn_code

IMAGES = [torch.rand(1, 1, 48, 64, generator=torch.Generator().manual_seed(i)) for i in range(4)]


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
    rows = F.normalize(net(IMAGES[0])[1], dim=1).permute(0, 2, 3, 1).flatten(0, 2).numpy()
    bits = code.encode(rows)
    assert bits.shape == (len(rows), 32)
    # Nearest neighbours of the bits are near.
    near = cv2.BFMatcher(cv2.NORM_HAMMING).knnMatch(bits, bits, k=2)
    likeness = [rows[second.queryIdx] @ rows[second.trainIdx] for _, second in near]
    assert np.mean(likeness) > np.mean(rows @ rows.T)


def test_thresholds_follow_the_spread():
    code = learn_code(network(64), IMAGES)
    np.testing.assert_allclose(code.thresholds / code.thresholds[-1], [-1, -0.3, 0.3, 1], rtol=1e-5)
    rows = torch.cat([network(64)(image)[1] for image in IMAGES])
    rows = F.normalize(rows, dim=1).permute(0, 2, 3, 1).flatten(0, 2).numpy()
    np.testing.assert_allclose(code.thresholds[-1], (rows @ code.directions.T).std(), rtol=0.3)


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
    broken = tmp_path / "broken.safetensors"
    broken.write_bytes(b"no weights")
    with pytest.raises(UserError, match="broken"):
        run(parse(["binary", "--init", str(broken), "--out", str(tmp_path)]))


def test_what_ships_was_learned():
    for path in FOLDER.glob("*.safetensors"):
        code = load(path).code
        assert code is not None
        assert (len(code.directions), len(code.thresholds)) == (64, 4)

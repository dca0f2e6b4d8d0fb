"""What is exported after fine-tuning: weights that load, and a card that tells their origin."""

from __future__ import annotations

import copy
from dataclasses import asdict, replace

import cv2
import pytest
import torch
import torch.nn.functional as F
from jsonargparse import ArgumentParser
from skimage import data

from cv2_superpoint.model.network import ARCHITECTURES, Architecture, SuperPointNet, fold_batch_norm
from cv2_superpoint.model.weights import load
from train.data.images import pack
from train.files import UserError
from train.learn import checkpoints
from train.report.export import export
from train.settings import FOLDER, Settings

HISTORY = {"hardware": "none", "seconds": 60.0, "losses": {"loss": 1.0}}


@pytest.fixture
def settings():
    parser = ArgumentParser()
    parser.add_class_arguments(Settings)
    chosen = parser.instantiate(parser.parse_path(FOLDER / "smoke.yaml"))
    return Settings(**vars(chosen))


@pytest.mark.parametrize(
    ("init", "norm", "origin", "licence"),
    [
        (None, "before", "Trained from nothing", "Apache-2.0"),
        ("shipped", "none", "Fine-tuned from `shipped`", "Apache-2.0"),
        ("their/weights.pth", "after", "Fine-tuned from `weights.pth`", "that of the weights"),
    ],
)
def test_every_network_that_can_be_trained_is_exported(
    tmp_path, settings, init, norm, origin, licence
):
    cv2.imwrite(str(tmp_path / "camera.png"), data.camera())
    pack([tmp_path], tmp_path / "images")
    network = SuperPointNet(Architecture((2, 3, 4, 5), head_width=6, descriptor_dim=7, norm=norm))
    checkpoints.write(tmp_path / "joint.ckpt", network, 3, {}, HISTORY)
    weights = export(tmp_path, settings, init, None, None)
    image = torch.rand(1, 1, 16, 24)
    (logits, rows), (wanted_logits, wanted_rows) = (
        load(weights).network(image),
        network.eval()(image),
    )
    assert torch.allclose(logits, wanted_logits, atol=5e-3)  # stored in half precision
    # Descriptors may be turned, but all of them alike.
    products, wanted = (
        torch.einsum("bchw,bcij->bhwij", F.normalize(r, dim=1), F.normalize(r, dim=1))
        for r in (rows, wanted_rows)
    )
    assert torch.allclose(products, wanted, atol=5e-3)
    loaded = load(weights)
    assert ("ranges" in loaded.metadata) == (norm != "after")
    card = (tmp_path / "MODEL_CARD.md").read_text()
    assert origin in card
    assert f"| licence | {licence}" in card


@pytest.mark.parametrize(
    ("architecture", "name"),
    [(ARCHITECTURES["superpoint"], "superpoint"), (Architecture((2, 3, 4, 5)), "custom")],
)
def test_weights_are_named_after_the_network_that_they_are(tmp_path, settings, architecture, name):
    """The settings say superpoint-lite, but what was fine-tuned need not be one."""
    cv2.imwrite(str(tmp_path / "camera.png"), data.camera())
    pack([tmp_path], tmp_path / "images")
    network = SuperPointNet(replace(architecture, norm="before"))
    checkpoints.write(tmp_path / "joint.ckpt", network, 3, {}, HISTORY)
    weights = export(tmp_path, settings, "their.ckpt", None, None)
    assert weights == tmp_path / f"{name}.safetensors"
    assert weights.exists()
    assert f"# Model card: {name}\n" in (tmp_path / "MODEL_CARD.md").read_text()


def test_an_average_lies_halfway_between_the_weights_and_what_they_came_from(tmp_path, settings):
    cv2.imwrite(str(tmp_path / "camera.png"), data.camera())
    pack([tmp_path], tmp_path / "images")
    shape = Architecture((2, 3, 4, 5), head_width=6, descriptor_dim=7, norm="before")
    for name in ("first", "joint"):
        checkpoints.write(tmp_path / f"{name}.ckpt", SuperPointNet(shape), 3, {}, HISTORY)
    first = str(tmp_path / "first.ckpt")
    plain = load(export(tmp_path, settings, first, None, None)).network.state_dict()
    mean = load(export(tmp_path, settings, first, None, None, average=True)).network.state_dict()
    initial = fold_batch_norm(checkpoints.load_network(first, "").eval()).state_dict()
    for key, value in mean.items():
        if not key.startswith("descriptor.1"):  # turned
            assert torch.allclose(value - initial[key], plain[key] - value, atol=2e-3)
    assert not torch.equal(mean["encoder.0.0.conv.weight"], plain["encoder.0.0.conv.weight"])
    assert "and averaged with it" in (tmp_path / "MODEL_CARD.md").read_text()


def test_an_average_is_of_descriptors_that_are_turned_alike(tmp_path, settings):
    """What learns from a teacher is turned to it first: here, it is turned and nothing else."""
    cv2.imwrite(str(tmp_path / "camera.png"), data.camera())
    pack([tmp_path], tmp_path / "images")
    first = SuperPointNet(Architecture((2, 3, 4, 5), head_width=6, descriptor_dim=7, norm="none"))
    turned = copy.deepcopy(first)
    rotation = torch.linalg.qr(torch.randn(7, 7))[0]
    last = turned.descriptor[1].conv
    last.weight.data = torch.einsum("ij,jkyx->ikyx", rotation, last.weight)
    last.bias.data = rotation @ last.bias
    checkpoints.write(tmp_path / "first.ckpt", first, 3, {}, HISTORY)
    checkpoints.write(tmp_path / "joint.ckpt", turned, 3, {}, HISTORY | {"teacher": "some"})
    weights = export(tmp_path, settings, str(tmp_path / "first.ckpt"), None, None, average=True)
    image = torch.rand(1, 1, 16, 24)
    products = [
        torch.einsum("bchw,bcij->bhwij", rows, rows)
        for rows in (load(weights).network(image)[1], first.eval()(image)[1])
    ]
    assert torch.allclose(*products, atol=2e-2 * products[1].abs().max().item())


@pytest.mark.parametrize("teacher", [None, "some"])
def test_what_is_of_another_shape_is_not_averaged(tmp_path, settings, teacher):
    network = SuperPointNet(Architecture((2, 3, 4, 5), norm="before"))
    checkpoints.write(tmp_path / "joint.ckpt", network, 3, {}, HISTORY | {"teacher": teacher})
    other = SuperPointNet(Architecture((3, 3, 4, 5), norm="before"))
    checkpoints.write(tmp_path / "other.ckpt", other, 3, {}, HISTORY)
    with pytest.raises(UserError, match="another architecture"):
        export(tmp_path, settings, str(tmp_path / "other.ckpt"), None, None, average=True)


def test_the_checkpoint_says_what_was_fine_tuned_and_with_which_settings(tmp_path, settings):
    """And the card shows the network that the file holds."""
    cv2.imwrite(str(tmp_path / "camera.png"), data.camera())
    pack([tmp_path], tmp_path / "images")
    network = SuperPointNet(Architecture((2, 3, 4, 5), norm="before"))
    history = {**HISTORY, "init": "their.ckpt", "settings": {**asdict(settings), "seed": 4321}}
    checkpoints.write(tmp_path / "joint.ckpt", network, 3, {}, history)
    weights = export(tmp_path, settings, None, None, None)
    card = (tmp_path / "MODEL_CARD.md").read_text()
    assert "Fine-tuned from `their.ckpt`" in card
    assert '"seed": 4321' in card
    assert load(weights).metadata["training"]["settings"]["seed"] == 4321
    assert "norm='none'" in card
    assert "norm='before'" not in card


def test_a_running_mean_is_what_is_exported(tmp_path, settings):
    cv2.imwrite(str(tmp_path / "camera.png"), data.camera())
    pack([tmp_path], tmp_path / "images")
    last, mean = (SuperPointNet(Architecture((2, 3, 4, 5))) for _ in range(2))
    checkpoints.write(tmp_path / "joint.ckpt", last, 3, {}, HISTORY, mean.state_dict())
    exported = load(export(tmp_path, settings, None, None, None)).network.state_dict()
    for key, value in mean.state_dict().items():
        if not key.startswith("descriptor.1"):  # turned
            assert torch.allclose(value, exported[key], atol=1e-3)


def test_the_card_counts_the_images_of_the_run_by_licence(tmp_path, settings):
    for name in ("a", "b", "unknown"):
        cv2.imwrite(str(tmp_path / f"{name}.png"), data.camera())
    pack([tmp_path], tmp_path / "images")
    network = SuperPointNet(Architecture((2, 3, 4, 5), head_width=6, descriptor_dim=7))
    checkpoints.write(tmp_path / "joint.ckpt", network, 3, {}, HISTORY)
    manifest = tmp_path / "manifest.csv"
    manifest.write_text("file,licence_note\na.png,CC0\nb.png,CC0\nof another run.png,GPL\n")
    export(tmp_path, settings, None, None, manifest)
    card = (tmp_path / "MODEL_CARD.md").read_text()
    assert "| CC0 | 2 |" in card
    assert "| not in the manifest | 1 |" in card
    assert "GPL" not in card

"""The loop of all stages: going on after a pause, and never writing weights that are spoiled."""

from __future__ import annotations

import itertools
import math
import signal
import time
from types import SimpleNamespace

import pytest
import torch
from lightning_fabric import Fabric

from cv2_superpoint.model.network import Architecture, SuperPointNet
from train.data.datasets import Batch
from train.deadline import TimeUp
from train.interrupts import Request
from train.learn import checkpoints, loop
from train.settings import FitSettings

ARCHITECTURE = Architecture((2, 3, 4, 5), head_width=6, descriptor_dim=7, norm="before")


@pytest.fixture
def fit(tmp_path):
    """Fit a tiny network to nothing in particular, with a checkpoint in a folder of the test."""

    def run(
        iterations,
        precision="32-true",
        spoil=lambda network, step: None,
        compiled=False,
        ema=0.0,
        frozen=(),
        **keywords,
    ):
        steps = itertools.count()

        def losses(forward, parts):
            (batch,) = parts
            spoil(network, next(steps))
            logits, descriptors = forward(batch.images.float() / 255)
            return {"loss": logits.square().mean() + descriptors.square().mean()}

        images = torch.randint(0, 256, (2, 1, 16, 16), dtype=torch.uint8)
        nothing = torch.zeros(2, 1, 2), torch.zeros(2, 1), torch.zeros(2, 1, dtype=torch.bool)
        batch = Batch(images, torch.full((2, 2), 16), *nothing)
        network = SuperPointNet(ARCHITECTURE)
        settings = FitSettings(iterations, 2, 1e-3, 1, 16, 16, compiled, ema)
        checkpoint = tmp_path / "stage.ckpt"
        stage = loop.Stage(
            checkpoint,
            settings,
            losses,
            lambda seed, share: itertools.repeat((batch,)),
            frozen=frozen,
        )
        fabric = Fabric(accelerator="cpu", devices=1, precision=precision)
        loop.fit(fabric, network, stage, 1, **keywords)
        return torch.load(checkpoint, weights_only=True)

    return run


def test_the_optimizer_goes_on_where_the_weights_are(fit):
    """Fabric moves the network, here to other numbers, on a GPU to its memory."""
    fit(2, "64-true")
    state = fit(4, "64-true")
    assert state["step"] == 4
    moments = [value["exp_avg"] for value in state["optimizer"]["state"].values()]
    assert {moment.dtype for moment in moments} == {torch.float64}
    assert {int(value["step"]) for value in state["optimizer"]["state"].values()} == {4}


def test_a_compiled_network_trains_and_its_checkpoint_is_one_of_any_other(fit, monkeypatch):
    compile_, calls = torch.compile, []

    def traced(network, **keywords):  # without the minute that it takes to generate code
        calls.append(network)
        return compile_(network, **{**keywords, "backend": "eager"})

    monkeypatch.setattr(torch, "compile", traced)
    before = fit(1)["network"]
    after = fit(3, compiled=True)["network"]
    assert calls
    assert before.keys() == after.keys()
    assert any(not torch.equal(value, after[name]) for name, value in before.items())
    assert fit(4)["step"] == 4


def _lose(network, step):
    if step == 3:
        torch.nn.init.constant_(network.detector[1].conv.bias, torch.nan)


def test_weights_that_are_not_finite_are_never_written(fit):
    before = fit(2)
    with pytest.raises(FloatingPointError, match="stage"):
        fit(100, spoil=_lose)
    assert fit(2)["step"] == before["step"] == 2


def test_nor_when_interrupted_before_it_was_noticed(fit):
    def lose_and_interrupt(network, step):
        _lose(network, step)
        if step == 5:
            raise KeyboardInterrupt

    fit(2)
    with pytest.raises(KeyboardInterrupt):
        fit(100, spoil=lose_and_interrupt)
    state = fit(2)
    assert state["step"] == 2
    assert all(value.isfinite().all() for value in state["network"].values())


@pytest.mark.parametrize(("signals", "step"), [(1, 3), (2, 2)])
def test_ctrl_c_waits_for_the_iteration_and_twice_does_not(fit, signals, step):
    """Raised within one, it can be lost: PyTorch drops errors of some functions it calls."""

    def interrupt(network, done):
        if done == 2:
            for _ in range(signals):
                signal.raise_signal(signal.SIGINT)

    with pytest.raises(KeyboardInterrupt):
        fit(100, spoil=interrupt)
    assert fit(1)["step"] == step
    assert fit(step + 2)["step"] == step + 2


@pytest.mark.parametrize(
    ("asked", "over", "error"),
    [(1, 0, KeyboardInterrupt), (2, 1, KeyboardInterrupt), (0, 1, TimeUp)],
)
def test_a_process_stops_for_the_reason_of_any(asked, over, error):
    sums = torch.tensor([asked, over], dtype=torch.float32)
    fabric = SimpleNamespace(device=torch.device("cpu"), all_reduce=lambda own, reduce_op: sums)
    with pytest.raises(error):
        loop._stop_if_asked(fabric, Request(), math.inf)


def test_frozen_parameters_keep_their_values(fit):
    before = fit(1, frozen=("descriptor.",))["network"]
    after = fit(3, frozen=("descriptor.",))["network"]
    changed = {name for name in before if not torch.equal(before[name], after[name])}
    weights = {name for name in changed if "norm" not in name}  # statistics go on
    assert weights
    assert not any(name.startswith("descriptor.") for name in weights)


def test_when_time_is_up_it_saves_and_later_resumes(fit):
    with pytest.raises(TimeUp):
        fit(1000, until=time.time())
    state = fit(1, until=math.inf)  # has nothing to do
    assert state["step"] == loop.REPORT_ITERATIONS
    assert fit(state["step"] + 2)["step"] == state["step"] + 2


def test_the_running_mean_is_the_exponential_one_and_resumes(fit):
    decay, key = 0.75, "encoder.0.0.conv.weight"
    torch.manual_seed(0)
    state = fit(1, ema=decay)
    mean = state["mean"][key]
    assert not torch.equal(mean, state["network"][key])
    for iterations in (2, 3):
        state = fit(iterations, ema=decay)
        mean = decay * mean + (1 - decay) * state["network"][key]
        torch.testing.assert_close(state["mean"][key], mean)
    assert torch.equal(checkpoints.trained_network(state).state_dict()[key], state["mean"][key])
    assert "mean" not in fit(4)


def test_what_a_run_came_from_is_remembered(fit):
    about = {"init": "first", "teacher": "better"}
    with pytest.raises(TimeUp):
        fit(1000, until=time.time(), about=about)
    state = fit(loop.REPORT_ITERATIONS + 1, about={"init": "other", "teacher": None})
    assert {key: state["history"][key] for key in about} == about
    assert state["history"]["losses"]

"""The loop that every training stage shares: schedule, checkpoints, progress and curves."""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from lightning_fabric import Fabric
from torch import Tensor
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from cv2_superpoint.model.network import SuperPointNet

from ..data.datasets import Batch
from ..deadline import TimeUp, is_over
from ..interrupts import Request, held_back
from ..settings import FitSettings
from . import checkpoints
from .progress import Progress

log = logging.getLogger(__name__)

Losses = dict[str, Tensor]
Forward = Callable[[Tensor], tuple[Tensor, Tensor]]
Parts = tuple[Batch, ...]
"""A batch, in parts of different kinds of pictures."""
LossFunction = Callable[[Forward, Parts], Losses]
"""From the wrapped network and a batch on the device to losses: ``loss`` and others."""
Batches = Callable[[list[int], int], Iterator[Parts]]
"""From a seed and this process' share of the batch to endless batches."""

CHECKPOINT_SECONDS = 120.0
REPORT_ITERATIONS = 20


@dataclass(frozen=True)
class Stage:
    """What one stage of training learns, and from what.

    Attributes
    ----------
    checkpoint
        File to resume from and to write; its stem names the stage, and its TensorBoard curves
        (``curves/STEM``, beside it).
    settings
        Iterations, batch, rate.
    losses
        Turns a batch on the device into losses.
    batches
        Makes the batches.
    frozen
        Beginnings of the names of the parameters that keep their values.
    """

    checkpoint: Path
    settings: FitSettings
    losses: LossFunction
    batches: Batches
    frozen: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """Of the stage."""
        return self.checkpoint.stem


def hardware(device: torch.device) -> str:
    """Return the name of a GPU, or of the processor."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    return f"{torch.backends.cpu.get_cpu_capability()} CPU thread"


def fit(
    fabric: Fabric,
    network: SuperPointNet,
    stage: Stage,
    seed: int,
    until: float = math.inf,
    about: dict[str, Any] | None = None,
) -> None:
    """Train a network in place, resuming from the stage's checkpoint if there is one.

    Parameters
    ----------
    fabric
        Gives device, precision and processes.
    network
        Trained in place; left in training mode.
    stage
        What it learns.
    seed
        Of the run. What is drawn differs by stage, process and the iteration it resumes from.
    until
        When to stop, as of ``time.time``; looked at in reports.
    about
        What the checkpoint's history tells of the run besides; ``init`` is what it was begun with,
        ``teacher`` what it learned from: they stay as they were first given.

    Raises
    ------
    KeyboardInterrupt
        At Ctrl-C or SIGTERM: after this iteration (with several processes: the next report) and
        saving; at the second at once.
    TimeUp
        At `until`, after saving.
    UserError
        If the checkpoint is of another architecture, or broken.
    FloatingPointError
        If the loss or its gradient is no longer finite; the checkpoint is not overwritten then.
    OSError
        If a checkpoint cannot be written.
    """
    learner = _Learner(fabric, network, stage, about or {})
    total, start = stage.settings.iterations, learner.done
    if start:
        log.info("%s resumes from iteration %d", stage.name, start)
    if start >= total:
        return
    learner.set_up()
    seeds = [seed, *stage.name.encode(), start, fabric.global_rank]
    torch.manual_seed(int(np.random.default_rng(seeds).integers(1 << 62)))
    share = max(1, stage.settings.batch // fabric.world_size)
    batches = stage.batches(seeds, share)
    curves = stage.checkpoint.parent / "curves" / stage.name if fabric.is_global_zero else None
    progress = Progress(stage.name, start, total, share * fabric.world_size, curves)
    saved = time.monotonic()
    with held_back() as request:
        try:
            while learner.done < total:
                with progress.waiting():
                    batch = next(batches)
                progress.add(learner.learn(batch))
                if request.made and fabric.world_size == 1:  # several stop together, below
                    raise KeyboardInterrupt
                if learner.done % REPORT_ITERATIONS and learner.done < total:
                    continue
                if not progress.is_finite():
                    raise FloatingPointError(
                        f"the loss of {stage.name}, or its gradient, at iteration {learner.done} "
                        "is not finite"
                    )
                progress.report(learner.done)
                if learner.done < total:
                    _stop_if_asked(fabric, request, until)
                if time.monotonic() - saved > CHECKPOINT_SECONDS:
                    learner.save(progress.means)
                    saved = time.monotonic()
        finally:  # also when stopped
            try:
                if progress.is_finite():
                    learner.save(progress.means)
            finally:
                progress.close()
        fabric.barrier()


def _stop_if_asked(fabric: Fabric, request: Request, until: float) -> None:
    """Raise in all processes what any of them has a reason for."""
    reasons = torch.tensor([request.made, is_over(until)], device=fabric.device).float()
    asked, over = fabric.all_reduce(reasons, reduce_op="sum").tolist()
    if asked:
        raise KeyboardInterrupt
    if over:
        raise TimeUp


class _Learner:
    """A network, its optimiser and its running mean, between checkpoints."""

    def __init__(
        self, fabric: Fabric, network: SuperPointNet, stage: Stage, about: dict[str, Any]
    ) -> None:
        self._fabric, self._network, self._stage = fabric, network, stage
        found = stage.checkpoint.exists()
        self._state = checkpoints.restore(network, stage.checkpoint) if found else {}
        self.done: int = self._state.get("step", 0)
        history = self._state.get("history", {})
        self._about = about | {
            key: value for key, value in history.items()
            if key == "init" or (key == "teacher" and value)
        }  # fmt: skip
        self._losses: dict[str, float] = history.get("losses", {})
        self._seconds: float = history.get("seconds", 0.0)
        self._began = time.monotonic()

    def set_up(self) -> None:
        """Put the network and its optimiser on the device."""
        network, settings = self._network, self._stage.settings
        for name, parameter in network.named_parameters():
            parameter.requires_grad_(not name.startswith(self._stage.frozen))
        network.train().to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self._optimizer = torch.optim.AdamW(
            [parameter for parameter in network.parameters() if parameter.requires_grad],
            lr=settings.learning_rate,
            weight_decay=1e-4,
            fused=self._fabric.device.type == "cuda",
        )
        compiled = torch.compile(network) if settings.compile else network
        self._module, self._wrapped = self._fabric.setup(compiled, self._optimizer)
        if self._state:  # not before: the moments are put where the weights are at this moment
            self._optimizer.load_state_dict(self._state["optimizer"])
        self._mean = _running_mean(network, settings.ema, self._state.get("mean"))

    def learn(self, batch: Parts) -> Losses:
        """Take one step; return its losses, on the device."""
        settings = self._stage.settings
        for group in self._optimizer.param_groups:
            group["lr"] = settings.learning_rate * _rate(self.done, settings)
        losses = self._stage.losses(self._module, self._fabric.to_device(batch))
        self._wrapped.zero_grad(set_to_none=True)
        self._fabric.backward(losses["loss"])
        # Nothing is read from the device but in reports: the GPU would wait for the CPU.
        norm = self._fabric.clip_gradients(
            self._module, self._wrapped, max_norm=5.0, error_if_nonfinite=False
        )
        self._wrapped.step()
        if self._mean:
            self._mean.update_parameters(self._network)
        self.done += 1
        return {**losses, "gradient_norm": norm}

    def save(self, means: dict[str, float]) -> None:
        """Write the checkpoint, in the first process."""
        if not self._fabric.is_global_zero:
            return
        history = {
            **self._about,
            "hardware": f"{self._fabric.world_size} x {hardware(self._fabric.device)}",
            "seconds": self._seconds + time.monotonic() - self._began,
            "losses": means or self._losses,
        }
        checkpoints.write(
            self._stage.checkpoint,
            self._network,
            self.done,
            self._optimizer.state_dict(),
            history,
            self._mean.module.state_dict() if self._mean else None,
        )


def _rate(step: int, settings: FitSettings) -> float:
    """Return the share of the peak learning rate at a step."""
    if step < settings.warm_up:
        return (step + 1) / settings.warm_up
    progress = (step - settings.warm_up) / max(1, settings.iterations - settings.warm_up)
    return 0.5 * (1 + math.cos(math.pi * min(1.0, progress)))


def _running_mean(
    network: SuperPointNet, decay: float, state: dict[str, Tensor] | None
) -> AveragedModel | None:
    """Return the exponential moving average of the weights, resumed if it has a state."""
    if not decay:
        return None
    mean = AveragedModel(network, multi_avg_fn=get_ema_multi_avg_fn(decay), use_buffers=True)
    if state:
        mean.module.load_state_dict(state)
    mean.n_averaged += 1  # it is a mean already: of what the network begins with
    return mean

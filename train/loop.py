"""The loop that every training stage shares: schedule, checkpoints, progress and curves."""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from lightning.fabric import Fabric
from torch import Tensor
from torch.utils.tensorboard import SummaryWriter
from tqdm import tqdm

from cv2_superpoint.network import SuperPointNet

from .presets import FitSettings

log = logging.getLogger(__name__)

Losses = dict[str, Tensor]
Step = Callable[[Callable[[Tensor], tuple[Tensor, Tensor]], int, np.random.Generator], Losses]
"""From the wrapped network, this process' batch size and chance to losses: ``loss`` and others."""

CHECKPOINT_SECONDS = 120.0


def _rate(step: int, settings: FitSettings) -> float:
    """Return the share of the peak learning rate at a step."""
    if step < settings.warm_up:
        return (step + 1) / settings.warm_up
    progress = (step - settings.warm_up) / max(1, settings.iterations - settings.warm_up)
    return 0.5 * (1 + math.cos(math.pi * min(1.0, progress)))


def fit(
    fabric: Fabric,
    network: SuperPointNet,
    parameters: list[torch.nn.Parameter],
    step: Step,
    settings: FitSettings,
    seed: int,
    name: str,
    out: Path,
) -> None:
    """Train `parameters` of `network` in place, going on from the stage's checkpoint if any.

    Parameters
    ----------
    fabric
        Gives device, precision and processes.
    network
        Trained in place; left in training mode.
    parameters
        Which of its parameters learn; the others keep their values.
    step
        Makes a batch and returns its losses.
    settings
        Iterations, batch, rate.
    seed
        Of the run. What is drawn differs by stage, process and the iteration it goes on from.
    name
        Of the stage: names its checkpoint and its curves.
    out
        Folder of checkpoints (``name.ckpt``) and TensorBoard curves (``curves/name``).

    Raises
    ------
    ValueError
        If the checkpoint is of another architecture.
    """
    learning = set(parameters)
    for parameter in network.parameters():
        parameter.requires_grad_(parameter in learning)
    network.train().to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    optimizer = torch.optim.AdamW(parameters, lr=settings.learning_rate, weight_decay=1e-4)
    path, start = out / f"{name}.ckpt", 0
    if path.exists():
        state = torch.load(path, map_location="cpu", weights_only=True)
        if state["architecture"] != network.architecture.to_dict():
            raise ValueError(f"{path} is of another architecture: {state['architecture']}")
        network.load_state_dict(state["network"])
        optimizer.load_state_dict(state["optimizer"])
        start = state["step"]
        log.info("%s goes on from iteration %d", name, start)
    if start >= settings.iterations:
        return
    module, wrapped = fabric.setup(network, optimizer)
    rng = np.random.default_rng([seed, *name.encode(), start, fabric.global_rank])
    torch.manual_seed(int(rng.integers(1 << 62)))

    def save(done: int) -> None:
        if fabric.is_global_zero:
            partial = path.with_suffix(".partial")
            torch.save(
                {
                    "architecture": network.architecture.to_dict(),
                    "network": network.state_dict(),
                    "optimizer": wrapped.optimizer.state_dict(),
                    "step": done,
                },
                partial,
            )
            partial.replace(path)

    writer = SummaryWriter(out / "curves" / name) if fabric.is_global_zero else None
    share = max(1, settings.batch // fabric.world_size)
    bar = tqdm(
        total=settings.iterations, initial=start, desc=name, disable=writer is None, mininterval=5
    )
    means: dict[str, float] = {}
    saved, done = time.monotonic(), start
    try:
        for i in range(start, settings.iterations):
            for group in wrapped.param_groups:
                group["lr"] = settings.learning_rate * _rate(i, settings)
            losses = step(module, share, rng)
            wrapped.zero_grad(set_to_none=True)
            fabric.backward(losses["loss"])
            fabric.clip_gradients(module, wrapped, max_norm=5.0)
            wrapped.step()
            done = i + 1
            bar.update()
            for key, value in losses.items():
                now = float(value.detach())
                means[key] = 0.98 * means.get(key, now) + 0.02 * now
            if writer and done % 20 == 0:
                rate = settings.batch * bar.format_dict["rate"] if bar.format_dict["rate"] else 0
                bar.set_postfix({k: f"{v:.3f}" for k, v in means.items()}, refresh=False)
                for key, mean in means.items():
                    writer.add_scalar(key, mean, done)
                writer.add_scalar("images_per_second", rate, done)
            if time.monotonic() - saved > CHECKPOINT_SECONDS:
                save(done)
                saved = time.monotonic()
    finally:  # Ctrl-C saves as well
        save(done)
        bar.close()
        if writer:
            writer.close()
    fabric.barrier()

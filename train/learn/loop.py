"""The loop that every training stage shares: schedule, checkpoints, progress and curves."""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import torch
from lightning.fabric import Fabric
from torch import Tensor
from torch.utils.tensorboard import SummaryWriter
from tqdm import tqdm

from cv2_superpoint.model.network import SuperPointNet

from ..data.datasets import Batch
from ..settings import FitSettings
from . import checkpoints

log = logging.getLogger(__name__)

Losses = dict[str, Tensor]
Forward = Callable[[Tensor], tuple[Tensor, Tensor]]
Step = Callable[[Forward, Batch], Losses]
"""From the wrapped network and a batch on the device to losses: ``loss`` and others."""
Batches = Callable[[list[int], int], Iterator[Batch]]
"""From a seed and this process' share of the batch to endless batches."""

CHECKPOINT_SECONDS = 120.0
REPORT_ITERATIONS = 20


def _rate(step: int, settings: FitSettings) -> float:
    """Return the share of the peak learning rate at a step."""
    if step < settings.warm_up:
        return (step + 1) / settings.warm_up
    progress = (step - settings.warm_up) / max(1, settings.iterations - settings.warm_up)
    return 0.5 * (1 + math.cos(math.pi * min(1.0, progress)))


def _finite(losses: Losses) -> bool:
    return all(math.isfinite(value) for value in losses.values())


def hardware(device: torch.device) -> str:
    """Return the name of a GPU, or of the processor."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    return f"{torch.backends.cpu.get_cpu_capability()} CPU thread"


def fit(
    fabric: Fabric,
    network: SuperPointNet,
    parameters: list[torch.nn.Parameter],
    step: Step,
    batches: Batches,
    settings: FitSettings,
    seed: int,
    checkpoint: Path,
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
        Turns a batch on the device into losses.
    batches
        Makes the batches.
    settings
        Iterations, batch, rate.
    seed
        Of the run. What is drawn differs by stage, process and the iteration it goes on from.
    checkpoint
        File to go on from and to write; its stem names the stage, and its TensorBoard curves
        (``curves/STEM``, beside it).

    Raises
    ------
    UserError
        If the checkpoint is of another architecture, or broken.
    FloatingPointError
        If the loss or its gradient is no longer finite; the checkpoint is not overwritten then.
    OSError
        If a checkpoint cannot be written.
    """
    name, on_gpu = checkpoint.stem, fabric.device.type == "cuda"
    learning = set(parameters)
    for parameter in network.parameters():
        parameter.requires_grad_(parameter in learning)
    network.train().to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    optimizer = torch.optim.AdamW(
        parameters, lr=settings.learning_rate, weight_decay=1e-4, fused=on_gpu
    )
    start, seconds = 0, 0.0
    means: dict[str, float] = {}
    state = checkpoints.restore(network, checkpoint) if checkpoint.exists() else None
    if state:
        start, seconds = state["step"], state["history"]["seconds"]
        log.info("%s goes on from iteration %d", name, start)
    if start >= settings.iterations:
        return
    compiled = torch.compile(network) if settings.compile else network
    module, wrapped = fabric.setup(compiled, optimizer)
    if state:  # not before: the moments are put where the weights are at this moment
        optimizer.load_state_dict(state["optimizer"])
    seeds = [seed, *name.encode(), start, fabric.global_rank]
    torch.manual_seed(int(np.random.default_rng(seeds).integers(1 << 62)))
    share = max(1, settings.batch // fabric.world_size)
    source = batches(seeds, share)

    def save(done: int) -> None:
        if fabric.is_global_zero:
            history = {
                "hardware": f"{fabric.world_size} x {hardware(fabric.device)}",
                "seconds": seconds + time.monotonic() - started,
                "losses": means,
            }
            checkpoints.write(checkpoint, network, done, optimizer.state_dict(), history)

    curves = checkpoint.parent / "curves" / name
    writer = SummaryWriter(curves) if fabric.is_global_zero else None
    bar = tqdm(
        total=settings.iterations, initial=start, desc=name, disable=writer is None, mininterval=5
    )
    sums: Losses = {}
    saved = began = started = time.monotonic()
    waited, done, reported = 0.0, start, start
    try:
        for i in range(start, settings.iterations):
            for group in optimizer.param_groups:
                group["lr"] = settings.learning_rate * _rate(i, settings)
            asked = time.monotonic()
            made = next(source)
            waited += time.monotonic() - asked
            batch = Batch(*(t.to(fabric.device, non_blocking=True) for t in made))
            losses = step(module, batch)
            wrapped.zero_grad(set_to_none=True)
            fabric.backward(losses["loss"])
            # Nothing is read from the device but in reports: the GPU would wait for the CPU.
            norm = fabric.clip_gradients(module, wrapped, max_norm=5.0, error_if_nonfinite=False)
            wrapped.step()
            done = i + 1
            bar.update()
            for key, value in {**losses, "gradient_norm": norm}.items():
                sums[key] = sums.get(key, 0) + value.detach()
            if done % REPORT_ITERATIONS == 0 or done == settings.iterations:
                count, reported = done - reported, done
                if not _finite(sums):
                    raise FloatingPointError(
                        f"the loss of {name}, or its gradient, at iteration {done} is not finite"
                    )
                means = {key: float(total) / count for key, total in sums.items()}
                now = time.monotonic()
                means["images_per_second"] = share * fabric.world_size * count / (now - began)
                means["waiting"] = waited / (now - began)
                sums, waited, began = {}, 0.0, now
                if writer:
                    bar.set_postfix({k: f"{v:.3g}" for k, v in means.items()}, refresh=False)
                    for key, mean in means.items():
                        writer.add_scalar(key, mean, done)
                if now - saved > CHECKPOINT_SECONDS:
                    save(done)
                    saved = time.monotonic()
    finally:  # Ctrl-C saves as well
        bar.close()
        if writer:
            writer.close()
        if _finite(sums):
            save(done)
    fabric.barrier()

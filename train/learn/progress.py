"""What a stage shows while it learns: means of its losses, a progress bar, TensorBoard curves."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from torch import Tensor
from torch.utils.tensorboard import SummaryWriter
from tqdm import tqdm

from ..output import naming


class Progress:
    """Sums losses on their device, and reads them only for reports.

    Parameters
    ----------
    name
        Of the stage.
    start, total
        Iterations done before, and in the end.
    batch
        Images per iteration, over all processes.
    curves
        Folder of TensorBoard's curves; None: show and write nothing.
    """

    def __init__(self, name: str, start: int, total: int, batch: int, curves: Path | None) -> None:
        self.means: dict[str, float] = {}
        self._batch, self._curves = batch, curves
        self._writer = SummaryWriter(curves) if curves else None
        self._bar = tqdm(
            total=total, initial=start, desc=name, disable=curves is None, mininterval=5
        )
        self._sums: dict[str, Tensor] = {}
        self._count, self._waited, self._began = 0, 0.0, time.monotonic()

    @contextmanager
    def waiting(self) -> Iterator[None]:
        """Count the time as time without data."""
        asked = time.monotonic()
        yield
        self._waited += time.monotonic() - asked

    def add(self, losses: dict[str, Tensor]) -> None:
        """Take in the losses of one iteration."""
        self._count += 1
        self._bar.update()
        for key, value in losses.items():
            self._sums[key] = self._sums.get(key, 0) + value.detach()

    def is_finite(self) -> bool:
        """Tell whether all losses since the last report are finite numbers."""
        return all(math.isfinite(value) for value in self._sums.values())

    def report(self, done: int) -> None:
        """Show and write the means since the last report."""
        seconds = time.monotonic() - self._began
        self.means = {key: float(total) / self._count for key, total in self._sums.items()}
        self.means["images_per_second"] = self._batch * self._count / seconds
        self.means["waiting"] = self._waited / seconds
        self._sums, self._count, self._waited, self._began = {}, 0, 0.0, time.monotonic()
        if self._writer and self._curves:
            self._bar.set_postfix({k: f"{v:.3g}" for k, v in self.means.items()}, refresh=False)
            with naming(self._curves):
                for key, mean in self.means.items():
                    self._writer.add_scalar(key, mean, done)

    def close(self) -> None:
        """End the bar and the curves."""
        self._bar.close()
        if self._writer and self._curves:
            with naming(self._curves):
                self._writer.close()

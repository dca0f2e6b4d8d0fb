"""Training in pieces: every process of a run stops at the same time."""

from __future__ import annotations

import os
import time

from lightning_fabric.utilities import rank_zero_only

_VARIABLE = "CV2_SUPERPOINT_TRAIN_UNTIL"


class TimeUp(Exception):  # noqa: N818  (not an error)
    """The run's time is over, and what it has done is saved."""


def deadline(minutes: float) -> float:
    """Return the time (as of ``time.time``) at which this run ends.

    The first process of a run decides for those that it starts.
    """
    own = str(time.time() + 60 * minutes)
    if rank_zero_only.rank == 0:
        os.environ[_VARIABLE] = own
    return float(os.environ.get(_VARIABLE, own))


def is_over(until: float) -> bool:
    """Tell whether a deadline has passed."""
    return time.time() >= until

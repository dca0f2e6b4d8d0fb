"""``python -m train STAGE --out DIR --images DIR|TAR...``: see ``train/README.md``."""

from __future__ import annotations

import logging
import signal

from lightning_fabric.utilities import rank_zero_only

from .deadline import TimeUp
from .files import UserError
from .interrupts import SIGNALS
from .options import parse
from .pipeline import run

_INTERRUPTED = 130  # the shells' status after Ctrl-C
_MORE_TO_DO = 75  # EX_TEMPFAIL of sysexits.h: the user may try again


def main() -> None:
    """Run one stage, or all of them; what the user can mend is said in one line."""
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    # Also in the background, where shells have Ctrl-C ignored, and for those who say it by SIGTERM.
    for name in SIGNALS:
        signal.signal(name, signal.default_int_handler)
    try:
        run(parse())
    except KeyboardInterrupt:
        raise SystemExit(_status(_INTERRUPTED)) from None
    except TimeUp:
        if rank_zero_only.rank == 0:
            logging.info("time is up: the same command resumes from here")
        raise SystemExit(_status(_MORE_TO_DO)) from None
    except (OSError, FloatingPointError, UserError) as error:
        raise SystemExit(f"python -m train: {error}") from error


def _status(status: int) -> int:
    """Return the status of this process: only the first speaks for all.

    At any other that is not 0, Lightning kills the first, which may be saving.
    """
    return status if rank_zero_only.rank == 0 else 0


if __name__ == "__main__":
    main()

"""Options that several commands have."""

import argparse

from .detectors import NAMES
from .machine import count_cores


def add_methods(parser: argparse.ArgumentParser, *default: str) -> None:
    """Add ``--methods`` with the names of its default."""
    parser.add_argument(
        "--methods",
        nargs="+",
        default=list(default),
        metavar="NAME",
        help=f"{NAMES}; or module:callable (default: {' '.join(default)})",
    )


def add_repeats(parser: argparse.ArgumentParser) -> None:
    """Add ``--repeats`` of RANSAC."""
    parser.add_argument(
        "--repeats",
        type=positive,
        default=1,
        metavar="N",
        help="orders of the matches to fit homographies to, averaged (default: 1)",
    )


def add_workers(parser: argparse.ArgumentParser) -> None:
    """Add ``--workers``, by default as many as there are cores."""
    parser.add_argument(
        "--workers",
        type=positive,
        default=count_cores(),
        metavar="N",
        help="processes side by side; 1 for timings that nothing disturbs (default: %(default)s)",
    )


def positive(text: str) -> int:
    """Read a whole number above 0."""
    if not text.isdecimal() or int(text) == 0:
        raise argparse.ArgumentTypeError(f"a positive whole number is wanted, not {text!r}")
    return int(text)


def size(text: str) -> tuple[int, int]:
    """Read ``640x480`` as (height, width)."""
    width, cross, height = text.partition("x")
    if not cross:
        raise argparse.ArgumentTypeError(f"a size is like 640x480, not {text!r}")
    return positive(height), positive(width)

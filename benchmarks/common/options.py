"""Options that several commands have."""

import argparse

from .detectors import NAMES


def add_methods(parser: argparse.ArgumentParser, *default: str) -> None:
    """Add ``--methods`` with the names of its default."""
    parser.add_argument(
        "--methods",
        nargs="+",
        default=list(default),
        metavar="NAME",
        help=f"{NAMES}; or module:callable (default: {' '.join(default)})",
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

"""``python -m cv2_superpoint.replace SCRIPT.py ARGS...``: run a script with SuperPoint as ORB."""

from __future__ import annotations

import argparse
import runpy
import sys
from collections.abc import Sequence
from pathlib import Path

from .opencv.replacing import REPLACEABLE, replacing


def main(arguments: Sequence[str] | None = None) -> None:
    """Run a script in this process, as ``python SCRIPT.py ARGS...`` would.

    Its exit status, output and exceptions are its own.
    """
    parser = argparse.ArgumentParser(
        prog="python -m cv2_superpoint.replace",
        description="Run a script with SuperPoint in the place of OpenCV's features.",
    )
    parser.add_argument(
        "--features",
        default="ORB",
        type=_features,
        metavar="NAME,...",
        help=f"what to replace, any of {', '.join(REPLACEABLE)}; by default ORB",
    )
    parser.add_argument("script", type=Path)
    parser.add_argument("arguments", nargs=argparse.REMAINDER, help="of the script")
    chosen = parser.parse_args(arguments)
    if not chosen.script.is_file():
        parser.error(f"no such script: {chosen.script}")
    sys.argv = [str(chosen.script), *chosen.arguments]
    sys.path[0] = str(chosen.script.resolve().parent)
    with replacing(*chosen.features):
        runpy.run_path(str(chosen.script), run_name="__main__")


def _features(text: str) -> list[str]:
    names = text.split(",")
    unknown = [name for name in names if name not in REPLACEABLE]
    if unknown:
        wanted = ", ".join(REPLACEABLE)
        raise argparse.ArgumentTypeError(f"can replace {wanted}, not {', '.join(unknown)}")
    return names


if __name__ == "__main__":
    main()

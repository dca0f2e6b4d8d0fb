"""``python -m cv2_superpoint.replace SCRIPT.py ARGS...``: run a script with SuperPoint as ORB."""

from __future__ import annotations

import argparse
import runpy
import sys
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path

from .opencv.replacing import REPLACEABLE, replacing


def main(arguments: Sequence[str] | None = None) -> None:
    """Run a script in this process, as ``python SCRIPT.py ARGS...`` would, or a module.

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
    parser.add_argument(
        "-m", dest="module", action="store_true", help="the script is a module, as for python -m"
    )
    parser.add_argument("script")
    rest = parser.add_argument("arguments", nargs=argparse.REMAINDER, help="of the script")
    rest.required = False  # in what the parser says when the script is missing, too
    chosen = parser.parse_args(arguments)
    script, path = chosen.script, Path(chosen.script)
    if not (_is_module(script) if chosen.module else path.is_file()):
        parser.error(f"no such {'module' if chosen.module else 'script'}: {script}")
    sys.argv = [script, *chosen.arguments]
    with replacing(*chosen.features):
        if chosen.module:
            runpy.run_module(script, run_name="__main__", alter_sys=True)
        else:
            sys.path[0] = str(path.resolve().parent)
            runpy.run_path(script, run_name="__main__")


def _is_module(name: str) -> bool:
    try:
        return find_spec(name) is not None
    except (ImportError, ValueError):  # of the package that it is in, or no name
        return False


def _features(text: str) -> list[str]:
    names = text.split(",")
    unknown = [name for name in names if name not in REPLACEABLE]
    if unknown:
        wanted = ", ".join(REPLACEABLE)
        raise argparse.ArgumentTypeError(f"can replace {wanted}, not {', '.join(unknown)}")
    return names


if __name__ == "__main__":
    main()

"""The command line: ``python -m benchmarks hpatches --data DIR``."""

import argparse
import json
import math
import platform
import sys
import textwrap
from dataclasses import asdict
from pathlib import Path
from typing import Any

import cv2

from . import accuracy, datasets, detectors


def main(arguments: list[str] | None = None) -> None:
    """Parse the command line and run the benchmark it names."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    hpatches = commands.add_parser(
        "hpatches",
        help="repeatability, matching and homography accuracy on HPatches-format sequences",
        description=datasets.LAYOUT,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    hpatches.add_argument("--data", type=Path, required=True, metavar="DIR")
    hpatches.add_argument(
        "--methods",
        nargs="+",
        default=["ORB", "SIFT", "SuperPoint"],
        metavar="NAME",
        help=f"{', '.join(detectors.METHODS)}, or module:callable (default: ORB SIFT SuperPoint)",
    )
    hpatches.add_argument("--json", type=Path, metavar="FILE", help="write every record here")
    hpatches.add_argument(
        "--per-sequence", action="store_true", help="print a table row per sequence too"
    )
    hpatches.add_argument(
        "--repeats", type=int, default=1, metavar="N", help="RANSAC runs per pair, averaged"
    )
    options = parser.parse_args(arguments)
    protocol = accuracy.Protocol(ransac_repeats=max(1, options.repeats))
    try:
        methods = {name: detectors.find_factory(name) for name in options.methods}
        sequences = datasets.read_sequences(options.data)
        images, pairs = accuracy.run(methods, sequences, protocol)
    except (detectors.UnknownMethodError, datasets.DatasetError) as error:
        parser.exit(2, f"{error}\n")

    versions = library_versions()
    print_paragraph(f"rules: {accuracy.RULES}")
    print_paragraph(f"protocol: {describe(asdict(protocol))}")
    print_paragraph(f"versions: {describe(versions)}; OpenCV threads {cv2.getNumThreads()}")
    print()
    if options.per_sequence:
        print(accuracy.format_table(images, pairs, protocol, per_sequence=True), end="\n\n")
    print(accuracy.format_table(images, pairs, protocol))
    if options.json:
        report = {
            "protocol": asdict(protocol),
            "versions": versions,
            "images": [asdict(image) for image in images],
            "pairs": [asdict(pair) for pair in pairs],
        }
        options.json.write_text(json.dumps(_finite_or_null(report), indent=1, allow_nan=False))


def print_paragraph(text: str) -> None:
    """Print a text wrapped to the width of a report."""
    print(textwrap.fill(text, width=100, subsequent_indent="  "))


def describe(settings: dict[str, Any]) -> str:
    """Join names and values: ``size (480, 640); points 1000``."""
    return "; ".join(f"{name} {value}" for name, value in settings.items())


def library_versions() -> dict[str, str]:
    """Versions of Python and of the libraries that this process has used."""
    names = ("cv2", "numpy", "torch", "cv2_superpoint")
    used = {name: sys.modules[name] for name in names if name in sys.modules}
    return {"Python": platform.python_version()} | {
        name: str(getattr(module, "__version__", "unknown")) for name, module in used.items()
    }


def _finite_or_null(value: Any) -> Any:
    # JSON has neither infinity (no homography found) nor nan (no point repeated).
    if isinstance(value, dict):
        return {key: _finite_or_null(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_finite_or_null(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


if __name__ == "__main__":
    main()

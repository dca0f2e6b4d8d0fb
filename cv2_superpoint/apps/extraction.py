"""The command ``cv2-superpoint extract``."""

from __future__ import annotations

import argparse
import hashlib
import re
from pathlib import Path
from typing import TYPE_CHECKING

from ..model import weights
from ..settings import DetectionSettings

if TYPE_CHECKING:
    from ..bulk.pipeline import Engine
    from ..opencv.feature2d import SuperPoint

DONE, SOME_BROKEN = 0, 3
"""Exit statuses."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the command, but for those of the detector."""
    add = parser.add_argument
    add(
        "sources",
        nargs="+",
        metavar="SOURCE",
        help="folder (of any depth), pattern in quotes, tar archive, video, or image",
    )
    add(
        "-o",
        "--output",
        type=Path,
        required=True,
        help="FILE.h5 (hloc's layout), FILE.db (COLMAP's database), or a folder of .npz",
    )
    add(
        "--nlevels",
        type=_count,
        default=DetectionSettings.nlevels,
        help="levels of the image pyramid; default: 5",
    )
    add("--binary", action="store_true", help="descriptors of 256 bits")
    add("--every", type=_count, default=1, metavar="K", help="of a video, only every Kth frame")
    add("--match", choices=("exhaustive", "sequential"), help="with a .db, also match images")
    add(
        "--single-camera",
        action="store_true",
        help="with a .db, images of one size share a camera; default: each has its own",
    )
    add("--batch", type=_count, default=16, help="images of one size at a time; default: 16")
    add("--engine", choices=("local", "ray"), default="local", help="ray: on a cluster, by Ray")
    add(
        "--workers",
        type=_count,
        default=2,
        help="threads that decode, or with ray processes that extract; default: 2",
    )


def _count(text: str) -> int:
    if not re.fullmatch(r"[1-9]\d{0,5}", text):
        raise argparse.ArgumentTypeError(f"a whole number from 1, not {text!r}")
    return int(text)


def extract(options: argparse.Namespace, feature: SuperPoint) -> tuple[list[str], int]:
    """Extract as the options say.

    Returns
    -------
    lines : list of str
        What was done.
    status : int
        `DONE` or `SOME_BROKEN`.

    Raises
    ------
    BulkError, OSError
        If a source cannot be found or listed, or the output cannot be written.
    ImportError
        If a package of the extra ``bulk`` is missing.
    """
    from ..bulk.colmap import ColmapDatabase
    from ..bulk.errors import BulkError
    from ..bulk.output import open_output
    from ..bulk.pipeline import match_images, run
    from ..bulk.sources import count_items, find_roots, list_items

    if options.output.suffix != ".db" and (options.match or options.single_camera):
        raise BulkError("--match and --single-camera are for an output that ends in .db")
    model = options.model or weights.DEFAULT_MODEL
    file = options.weights or weights.FOLDER / f"{model}.safetensors"
    settings = {
        "nfeatures": options.nfeatures,
        "nlevels": options.nlevels,
        "binary": options.binary,
        "model": model,
        # Their content: another version of this package may ship others.
        "weights": hashlib.sha256(file.read_bytes()).hexdigest()[:16],
        "precision": options.precision,
        "single_camera": options.single_camera,
    }
    roots = find_roots(options.sources)
    with open_output(options.output, settings) as output:
        total = count_items(roots, options.every)
        items = list_items(roots, options.every)
        done = run(items, total, _engine(options, feature), output)
        rate = done.written / max(done.seconds, 1e-9)
        lines = [
            f"{done.written} images extracted, {rate:.1f} images/s",
            f"{done.present} already there, {done.broken} broken",
        ]
        if options.match:
            assert isinstance(output, ColmapDatabase)
            matched, verified = match_images(output, options.match, feature.defaultNorm())
            lines.append(f"{matched} pairs matched, {verified} of them verified")
    return [*lines, f"wrote {options.output}"], SOME_BROKEN if done.broken else DONE


def _engine(options: argparse.Namespace, feature: SuperPoint) -> Engine:
    if options.engine == "ray":
        from ..bulk.ray_engine import ray_engine

        return ray_engine(feature, options.batch, options.workers)
    from ..bulk.pipeline import local_engine

    return local_engine(feature, options.batch, options.workers)

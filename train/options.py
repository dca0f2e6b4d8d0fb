"""The command line: what the user asks for, as one value."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jsonargparse import ArgumentParser

from .files import UserError
from .settings import FOLDER, Settings

STAGES = ("magicpoint", "adapt", "retrain", "joint", "export")
"""What ``all`` runs, in this order (adapt and retrain once per round)."""

APART = ("widen", "binary", "shapes", "evaluate")
"""What runs only when asked for."""


@dataclass(frozen=True)
class Options:
    """What the user asks for.

    Attributes
    ----------
    stage
        One of `STAGES` and `APART`, or ``"all"``.
    out
        Folder of checkpoints and results.
    images, large
        Folders and tars of photographs to pack first, the large ones at a larger size; none: those
        packed before.
    round
        Of adapt or retrain, from 1.
    init
        What to fine-tune: ``"shipped"``, a file of weights, or a checkpoint.
    teacher
        File of weights of a better network that joint training learns from too; None: none.
    average
        Whether to export the mean of the weights trained and those of `init`.
    descriptor_size
        How many numbers of descriptors to export; None: all.
    minutes
        When to stop, after the start.
    sequences
        Folder in HPatches' format to measure on, for the model card.
    manifest
        CSV with the licence of each photograph, for the model card.
    settings
        Of the stages.
    """

    stage: str
    out: Path
    images: list[Path]
    large: list[Path]
    round: int
    init: str | None
    teacher: str | None
    average: bool
    descriptor_size: int | None
    minutes: float
    sequences: Path | None
    manifest: Path | None
    settings: Settings


def parse(arguments: Sequence[str] | None = None) -> Options:
    """Return the options of a command line; by default that of this process.

    Raises
    ------
    UserError
        If options contradict each other.
    SystemExit
        If an option does not exist or has no such value, after saying so.
    """
    # The values of the preset are defaults of the parser, so its name must be known before.
    first = argparse.ArgumentParser(add_help=False)
    first.add_argument("--preset", default="cpu-1h")
    parser = _parser(first.parse_known_args(arguments)[0].preset)
    chosen: dict[str, Any] = vars(parser.instantiate(parser.parse_args(arguments)))
    settings = Settings(**{name: chosen[name] for name in Settings.__dataclass_fields__})
    names = set(Options.__dataclass_fields__) - {"settings"}
    options = Options(**{name: chosen[name] for name in names}, settings=settings)
    if options.average and not options.init:
        raise UserError("--average is for fine-tuning: it needs --init")
    if options.stage == "widen" and not options.init:
        raise UserError("widen needs --init: the narrower network")
    if options.stage == "binary" and not (options.init and Path(options.init).is_file()):
        raise UserError("binary needs --init: a file of weights")
    return options


def _parser(preset: str) -> ArgumentParser:
    parser = ArgumentParser(
        prog="python -m train", default_config_files=[FOLDER / f"{preset}.yaml"]
    )
    parser.add_argument(
        "stage",
        choices=(*STAGES, "all", *APART),
        help="what to run. all: every stage listed before it, in order; widen: copy --init into "
        "the wider --model; binary: write the weights --init again, with a code of binary "
        "descriptors learned anew; shapes: draw a sheet of Synthetic Shapes; "
        "evaluate: compare the detectors of --init and of the checkpoints on Synthetic Shapes",
    )
    parser.add_argument("--out", type=Path, required=True, help="folder of checkpoints and results")
    parser.add_argument(
        "--images", type=Path, nargs="+", default=[], help="folders and tars of photographs"
    )
    parser.add_argument(
        "--large",
        type=Path,
        nargs="+",
        default=[],
        help="folders and tars of large photographs, for --joint.large_share",
    )
    parser.add_argument(
        "--round",
        type=int,
        default=1,
        help="round of adapt or retrain, from 1; all runs every round",
    )
    parser.add_argument(
        "--init", help="what to fine-tune: shipped, a file of weights, or a checkpoint (.ckpt)"
    )
    parser.add_argument(
        "--teacher",
        metavar="FILE",
        help="weights of a better network, from whose outputs joint training learns as well",
    )
    parser.add_argument(
        "--average",
        action="store_true",
        help="when fine-tuning, export the mean of the trained weights and those of --init",
    )
    parser.add_argument(
        "--minutes",
        type=float,
        default=float("inf"),
        help="stop after this many, with status 75 if work is left; the same command resumes",
    )
    parser.add_argument(
        "--descriptor_size",
        type=int,
        help="shorten exported descriptors to this many values: their first principal components",
    )
    parser.add_argument(
        "--sequences",
        type=Path,
        help="folder in HPatches' format, on which export measures accuracy for the model card",
    )
    parser.add_argument(
        "--manifest",
        type=Path,
        help="CSV for the model card, with a file below --images and its licence_note per row",
    )
    names = sorted(path.stem for path in FOLDER.glob("*.yaml"))
    parser.add_argument(
        "--preset", choices=names, default=preset, help="which settings to start from"
    )
    parser.add_class_arguments(Settings)
    return parser

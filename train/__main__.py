"""``python -m train STAGE --out DIR --images DIR|TAR...``: see ``train/README.md``."""

from __future__ import annotations

import argparse
import logging
from dataclasses import replace
from pathlib import Path

import torch
from jsonargparse import ArgumentParser
from lightning.fabric import Fabric

from cv2_superpoint.network import SuperPointNet

from . import checkpoints
from .adaptation import label_images
from .export import export
from .images import ImageStore, pack
from .presets import ARCHITECTURES, FOLDER, Settings
from .stages import retrain, train_joint, train_magicpoint

STAGES = ("magicpoint", "adapt", "retrain", "joint", "export")


def _parser(preset: str) -> ArgumentParser:
    parser = ArgumentParser(
        prog="python -m train", default_config_files=[FOLDER / f"{preset}.yaml"]
    )
    parser.add_argument(
        "stage", choices=(*STAGES, "all"), help="what to do; all: one after the other"
    )
    parser.add_argument("--out", type=Path, required=True, help="folder of checkpoints and results")
    parser.add_argument("--images", type=Path, nargs="+", default=[], help="folders and tars")
    parser.add_argument(
        "--round", type=int, default=1, help="of adapt or retrain, from 1; all: every round"
    )
    parser.add_argument(
        "--init", help="fine-tune: shipped, a file of weights, or a checkpoint (.ckpt)"
    )
    names = sorted(path.stem for path in FOLDER.glob("*.yaml"))
    parser.add_argument("--preset", choices=names, default=preset, help="a file of values")
    parser.add_class_arguments(Settings)
    return parser


def main() -> None:
    """Run one stage, or all of them."""
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    first = argparse.ArgumentParser(add_help=False)
    first.add_argument("--preset", default="cpu-1h")
    parser = _parser(first.parse_known_args()[0].preset)
    arguments = parser.parse_args()
    chosen = parser.instantiate(arguments)
    fields = Settings.__dataclass_fields__
    settings = Settings(**{name: chosen[name] for name in fields})

    on_gpu = torch.cuda.is_available()
    if not on_gpu:
        torch.set_num_threads(1)
    fabric = Fabric(
        accelerator="cuda" if on_gpu else "cpu",
        devices=settings.devices,
        strategy="auto" if settings.devices == 1 else "ddp",
        precision=settings.precision,  # type: ignore[arg-type]
    )
    fabric.launch()
    fabric.seed_everything(settings.seed)
    out: Path = chosen.out
    try:
        out.mkdir(parents=True, exist_ok=True)
        if chosen.images and fabric.is_global_zero:
            pack(chosen.images, out / "images")
        fabric.barrier()
        for stage, number in _plan(chosen.stage, chosen.round, settings.rounds, chosen.init):
            _run(fabric, stage, number, settings, chosen.init, out)
    except (OSError, ValueError, FloatingPointError) as error:
        raise SystemExit(f"{parser.prog}: {error}") from error
    except KeyboardInterrupt:
        raise SystemExit(
            f"{parser.prog}: interrupted; the same command goes on from here"
        ) from None


def _plan(stage: str, number: int, rounds: int, init: str | None) -> list[tuple[str, int]]:
    """Return the stages to run, each with the round it belongs to."""
    if stage != "all":
        return [(stage, rounds if stage == "joint" else number)]
    plan = [] if init else [("magicpoint", 0)]
    for i in range(1, rounds + 1):
        plan += [("retrain", i - 1)] * (i > 1) + [("adapt", i)]
    return [*plan, ("joint", rounds), ("export", rounds)]


def _run(
    fabric: Fabric, stage: str, number: int, settings: Settings, init: str | None, out: Path
) -> None:
    """Run one stage with the results of those before it."""
    if init:
        network = checkpoints.initial_network(init, settings.model)
    else:
        network = SuperPointNet(replace(ARCHITECTURES[settings.model], norm="before"))
    if stage == "magicpoint":
        train_magicpoint(fabric, network, settings, out)
        return
    if stage == "export":
        if fabric.is_global_zero:
            export(out / "joint.ckpt", out, settings)
        return
    if number > 1:
        checkpoints.restore(network, out / f"retrain{number - 1}.ckpt")
    elif not init:
        checkpoints.restore(network, out / "magicpoint.ckpt")
    store, labels = ImageStore(out / "images"), out / f"labels{number}.npz"
    if stage == "adapt":
        label_images(fabric, network, store, settings.adaptation, labels)
    elif stage == "retrain":
        retrain(fabric, network, store, labels, settings, out / f"retrain{number}.ckpt")
    else:
        train_joint(fabric, network, store, labels, settings, out / "joint.ckpt")


if __name__ == "__main__":
    main()

"""``python -m train STAGE --out DIR --images DIR|TAR...``: see ``train/README.md``."""

from __future__ import annotations

import argparse
import logging
from dataclasses import replace
from pathlib import Path

import torch
from jsonargparse import ArgumentParser
from lightning.fabric import Fabric

from cv2_superpoint.network import ARCHITECTURES, SuperPointNet

from .export import export
from .images import ImageStore, pack
from .presets import FOLDER, Settings
from .stages import export_labels, train_joint, train_magicpoint

STAGES = ("magicpoint", "adapt", "joint", "export")


def _parser(preset: str) -> ArgumentParser:
    parser = ArgumentParser(
        prog="python -m train", default_config_files=[FOLDER / f"{preset}.yaml"]
    )
    parser.add_argument(
        "stage", choices=(*STAGES, "all"), help="what to do; all: one after the other"
    )
    parser.add_argument("--out", type=Path, required=True, help="folder of checkpoints and results")
    parser.add_argument("--images", type=Path, nargs="+", default=[], help="folders and tars")
    parser.add_argument("--metrics", type=Path, help="JSON that export keeps in the file")
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
    out.mkdir(parents=True, exist_ok=True)
    network = SuperPointNet(replace(ARCHITECTURES[settings.model], norm="before"))
    stages = STAGES if chosen.stage == "all" else (chosen.stage,)
    if {"adapt", "joint"} & set(stages):
        if fabric.is_global_zero:
            pack(chosen.images, out / "images")
        fabric.barrier()
        store = ImageStore(out / "images")
    labels = out / "labels.npz"
    if "magicpoint" in stages:
        train_magicpoint(fabric, network, settings, out)
    if "adapt" in stages:
        _load(network, out / "magicpoint.ckpt")
        export_labels(fabric, network, store, settings, labels)
    if "joint" in stages:
        _load(network, out / "magicpoint.ckpt")
        train_joint(fabric, network, store, labels, settings, out)
    if "export" in stages and fabric.is_global_zero:
        export(out / "joint.ckpt", out, settings, chosen.metrics)


def _load(network: SuperPointNet, checkpoint: Path) -> None:
    if not checkpoint.exists():
        raise SystemExit(f"{checkpoint} is missing: run the stage before this one first")
    network.load_state_dict(
        torch.load(checkpoint, map_location="cpu", weights_only=True)["network"]
    )


if __name__ == "__main__":
    main()

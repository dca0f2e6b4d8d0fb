"""``python -m train STAGE --out DIR --images DIR|TAR...``: see ``train/README.md``."""

from __future__ import annotations

import argparse
import logging
import os
import signal
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import torch
from jsonargparse import ArgumentParser
from lightning.fabric import Fabric
from lightning.fabric.utilities import rank_zero_only
from torch import Tensor

from cv2_superpoint.model.network import ARCHITECTURES, SuperPointNet

from .data.images import ImageStore, pack
from .files import UserError
from .labels.adaptation import label_images
from .learn import checkpoints
from .learn.loop import hardware
from .learn.stages import retrain, sample_views, train_joint, train_magicpoint
from .learn.widen import insert_batch_norm, widen
from .report import evaluation
from .report.export import export
from .report.previews import adaptation_preview, labels_preview, matches_preview
from .report.sheets import shapes_preview
from .settings import FOLDER, Settings

STAGES = ("magicpoint", "adapt", "retrain", "joint", "export")
APART = ("widen", "shapes", "evaluate")  # no part of "all"


def _parser(preset: str) -> ArgumentParser:
    parser = ArgumentParser(
        prog="python -m train", default_config_files=[FOLDER / f"{preset}.yaml"]
    )
    parser.add_argument(
        "stage",
        choices=(*STAGES, "all", *APART),
        help="what to do; all: those before it, one after the other; widen: --init into the wider "
        "--model; shapes: a sheet of Synthetic Shapes; "
        "evaluate: the detectors of the checkpoints on them",
    )
    parser.add_argument("--out", type=Path, required=True, help="folder of checkpoints and results")
    parser.add_argument("--images", type=Path, nargs="+", default=[], help="folders and tars")
    parser.add_argument(
        "--round", type=int, default=1, help="of adapt or retrain, from 1; all: every round"
    )
    parser.add_argument(
        "--init", help="fine-tune: shipped, a file of weights, or a checkpoint (.ckpt)"
    )
    parser.add_argument(
        "--average",
        action="store_true",
        help="fine-tuning: export the mean of the weights trained and those of --init",
    )
    parser.add_argument(
        "--sequences",
        type=Path,
        help="folder in HPatches' format, on which export measures, for the model card",
    )
    parser.add_argument(
        "--manifest", type=Path, help="CSV with the licence_note of each image, for the model card"
    )
    names = sorted(path.stem for path in FOLDER.glob("*.yaml"))
    parser.add_argument("--preset", choices=names, default=preset, help="a file of values")
    parser.add_class_arguments(Settings)
    return parser


def main() -> None:
    """Run one stage, or all of them; what the user can mend is said in one line."""
    # Also in the background, where shells have Ctrl-C ignored, and for those who say it by SIGTERM.
    for name in (signal.SIGINT, signal.SIGTERM):
        signal.signal(name, signal.default_int_handler)
    try:
        _main()
    except KeyboardInterrupt:
        raise SystemExit(130) from None  # the shells' status of an interrupted command
    except (OSError, FloatingPointError, UserError) as error:
        raise SystemExit(f"python -m train: {error}") from error


def _main() -> None:
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    first = argparse.ArgumentParser(add_help=False)
    first.add_argument("--preset", default="cpu-1h")
    parser = _parser(first.parse_known_args()[0].preset)
    arguments = parser.parse_args()
    chosen = parser.instantiate(arguments)
    fields = Settings.__dataclass_fields__
    settings = Settings(**{name: chosen[name] for name in fields})
    if chosen.average and not chosen.init:
        raise UserError("--average is for fine-tuning: it needs --init")
    out: Path = chosen.out
    out.mkdir(parents=True, exist_ok=True)
    if chosen.stage == "shapes":
        size = (settings.magicpoint.height, settings.magicpoint.width)
        shapes_preview(out / "shapes.png", settings.seed, size)
        return
    if chosen.stage == "widen" and not chosen.init:
        raise UserError("widen needs --init: the narrower network")
    plan = _plan(chosen.stage, chosen.round, settings.rounds, chosen.init)
    if rank_zero_only.rank == 0:  # before the others wait for it
        if chosen.images:
            pack(chosen.images, out / "images")
        if {"adapt", "retrain", "joint", "widen"} & {stage for stage, _ in plan}:
            ImageStore(out / "images")  # says what is missing before anything is trained

    on_gpu = torch.cuda.is_available()
    torch.backends.cudnn.benchmark = True  # sizes do not change within a stage
    if not on_gpu:
        torch.set_num_threads(1)
    devices = int(os.environ.get("LOCAL_WORLD_SIZE", settings.devices))  # of torchrun, as below
    processes = int(os.environ.get("WORLD_SIZE", devices))
    fabric = Fabric(
        accelerator="cuda" if on_gpu else "cpu",
        devices=devices,
        num_nodes=processes // devices,
        strategy="auto" if processes == 1 else "ddp",
        precision=settings.precision,
    )
    fabric.launch()
    fabric.seed_everything(settings.seed)
    for stage, number in plan:
        if stage == "export":
            if fabric.is_global_zero:
                export(
                    out,
                    settings,
                    chosen.init,
                    chosen.sequences,
                    chosen.manifest,
                    chosen.average,
                )
        else:
            _run(fabric, stage, number, settings, chosen.init, out)


def _plan(stage: str, number: int, rounds: int, init: str | None) -> list[tuple[str, int]]:
    """Return the stages to run, each with the round of labels it belongs to."""
    if stage != "all":
        return [(stage, rounds if stage == "joint" else number)]
    plan = [] if init else [("magicpoint", 1)]
    for i in range(1, rounds + 1):
        plan += [("retrain", i - 1)] * (i > 1) + [("adapt", i)]
    return [*plan, ("joint", rounds), ("export", rounds)]


def _run(
    fabric: Fabric, stage: str, number: int, settings: Settings, init: str | None, out: Path
) -> None:
    """Run one stage, with the results of those before it unless its own goes on."""
    if init:
        network = checkpoints.initial_network(init, settings.model)
    else:
        network = SuperPointNet(replace(ARCHITECTURES[settings.model], norm="before"))
    if stage == "magicpoint":
        train_magicpoint(fabric, network, settings, out)
    elif stage == "evaluate":
        if fabric.is_global_zero:
            _evaluate(fabric, network, out)
    elif stage == "widen":
        if fabric.is_global_zero:
            widened = widen(network, ARCHITECTURES[settings.model])
            views = sample_views(ImageStore(out / "images"), settings)
            ready = insert_batch_norm(widened, views)
            history = {"hardware": hardware(fabric.device), "seconds": 0.0, "losses": {}}
            checkpoints.write(out / "widened.ckpt", ready, 0, optimizer={}, history=history)
    else:
        own = {"retrain": out / f"retrain{number}.ckpt", "joint": out / "joint.ckpt"}.get(stage)
        if own and own.exists():
            pass  # what is in it replaces the weights
        elif number > 1:
            checkpoints.restore(network, out / f"retrain{number - 1}.ckpt")
        elif not init:
            checkpoints.restore(network, out / "magicpoint.ckpt")
        _learn(fabric, network, stage, number, settings, out)


def _learn(
    fabric: Fabric, network: SuperPointNet, stage: str, number: int, settings: Settings, out: Path
) -> None:
    """Run a stage on photographs, with the network that labels this round."""
    store, labels = ImageStore(out / "images"), out / f"labels{number}.npz"
    if stage == "adapt":
        label_images(fabric, network, store, settings.adaptation, labels)
        if fabric.is_global_zero:
            labels_preview(out / f"labels{number}.png", store, labels)
            picture = out / f"adaptation{number}.png"
            adaptation_preview(picture, fabric, network, store, settings)
    elif stage == "retrain":
        retrain(fabric, network, store, labels, settings, out / f"retrain{number}.ckpt")
    else:
        train_joint(fabric, network, store, labels, settings, out / "joint.ckpt")
        if fabric.is_global_zero:
            matches_preview(out / "matches.png", fabric, network, store, settings)
    fabric.barrier()


def _evaluate(fabric: Fabric, network: SuperPointNet, out: Path) -> None:
    """Compare the detectors of all checkpoints there are, at least MagicPoint's, on shapes."""
    networks: dict[str, Callable[[Tensor], Tensor]] = {}
    files = {"MagicPoint": out / "magicpoint.ckpt", "SuperPoint": out / "joint.ckpt"}
    for name, file in files.items():
        if name == "MagicPoint" or file.exists():
            trained = SuperPointNet(network.architecture)
            checkpoints.restore(trained, file)
            trained.eval().to(fabric.device)
            networks[name] = lambda images, trained=trained: trained(images)[0]  # type: ignore[misc]
    evaluation.run(networks, fabric.device, out / "evaluation.json")


if __name__ == "__main__":
    main()

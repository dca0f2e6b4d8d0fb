"""The stages as a list of steps: each reads what those before it left in the folder of the run."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any

import torch
from lightning_fabric import Fabric
from lightning_fabric.strategies import DDPStrategy
from lightning_fabric.utilities import rank_zero_only
from torch import Tensor

from cv2_superpoint.model.network import ARCHITECTURES, SuperPointNet

from .data.images import ImageStore, pack
from .deadline import deadline
from .files import UserError
from .labels.adaptation import detector_logits, label_images
from .learn import checkpoints, stages
from .learn.alignment import align_descriptors
from .learn.loop import Forward, fit, hardware
from .learn.widen import insert_batch_norm, widen
from .options import Options
from .output import locked
from .report import evaluation, previews
from .report.export import add_code, export
from .settings import Settings


@dataclass(frozen=True)
class Run:
    """What every step needs: what was asked for, and the devices it runs on."""

    options: Options
    fabric: Fabric
    until: float

    @property
    def settings(self) -> Settings:
        """Settings of the stages."""
        return self.options.settings

    @property
    def out(self) -> Path:
        """Folder of checkpoints and results."""
        return self.options.out

    @property
    def store(self) -> ImageStore:
        """The packed photographs."""
        return ImageStore(self.out / "images")

    @property
    def large(self) -> ImageStore | None:
        """The packed large photographs, if there are some."""
        folder = self.out / "large"
        return ImageStore(folder) if folder.exists() else None

    def labels(self, number: int, kind: str = "") -> Path:
        """Return the file of a round's labels."""
        return self.out / f"labels{number}{kind}.npz"


_PATIENCE = timedelta(days=1)  # of processes that wait for one that labels, exports, or is stopped
_LARGE = (840, 1155)  # largest short and long side of large photographs, pixels

Step = Callable[[Run], None]


def run(options: Options) -> None:
    """Run one stage, or all of them.

    Raises
    ------
    UserError
        If something is missing or does not fit.
    TimeUp
        If ``options.minutes`` are over; what is done is saved.
    """
    until = deadline(options.minutes)
    options.out.mkdir(parents=True, exist_ok=True)
    if options.stage == "shapes":
        return _shapes(options)
    if options.stage == "binary":
        return _binary(options)
    if options.stage in ("evaluate", "export") or rank_zero_only.rank:  # the first locks for all
        return _run(options, until)
    with locked(options.out):
        _run(options, until)


def plan(options: Options) -> list[Step]:
    """Return the steps of a stage, or of all of them."""
    number, rounds = options.round, options.settings.rounds
    single: dict[str, Step] = {
        "magicpoint": magicpoint,
        "adapt": partial(adapt, number=number),
        "retrain": partial(retrain, number=number),
        "joint": joint,
        "export": export_weights,
        "widen": widen_network,
        "evaluate": evaluate,
    }
    if options.stage != "all":
        return [single[options.stage]]
    steps: list[Step] = [] if options.init else [magicpoint]
    for i in range(1, rounds + 1):
        steps += [partial(retrain, number=i - 1)] * (i > 1) + [partial(adapt, number=i)]
    return [*steps, joint, export_weights]


def _run(options: Options, until: float) -> None:
    if rank_zero_only.rank == 0:  # before the others wait for it
        _prepare(options)
    run = Run(options, _launch(options.settings), until)
    for step in plan(options):
        step(run)
        run.fabric.barrier()


def _prepare(options: Options) -> None:
    """Pack the photographs, and say what is missing before anything is trained."""
    if options.images:
        pack(options.images, options.out / "images")
    if options.large:
        pack(options.large, options.out / "large", *_LARGE)
    if options.stage in ("all", "adapt", "retrain", "joint", "widen"):
        ImageStore(options.out / "images")
    if options.stage in ("all", "joint") and options.settings.joint.large_share:
        ImageStore(options.out / "large")


def _launch(settings: Settings) -> Fabric:
    """Start the other processes, if any."""
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
        strategy="auto" if processes == 1 else DDPStrategy(timeout=_PATIENCE),
        precision=settings.precision,
    )
    fabric.launch()
    fabric.seed_everything(settings.seed)
    return fabric


def magicpoint(run: Run) -> None:
    """Learn the corners of Synthetic Shapes, leaving ``magicpoint.ckpt``."""
    network, init = _first_network(run)
    stage = stages.magicpoint(run.settings, run.out / "magicpoint.ckpt")
    fit(run.fabric, network, stage, run.settings.seed, run.until, _about(run, init))


def adapt(run: Run, number: int) -> None:
    """Label the photographs, leaving ``labels{number}.npz``."""
    network, _ = _labelling_network(run, number)
    store, settings, labels = run.store, run.settings, run.labels(number)
    label_images(run.fabric, network, store, settings.adaptation, labels, run.until)
    if run.fabric.is_global_zero:
        previews.labels_preview(labels.with_suffix(".png"), store, labels)
        picture = run.out / f"adaptation{number}.png"
        previews.adaptation_preview(picture, run.fabric, network, store, settings)
    share = settings.joint.large_share
    if run.large and share and number == settings.rounds:  # others than joint do without
        large = run.labels(number, "-large")
        label_images(run.fabric, network, run.large, settings.adaptation, large, run.until)


def retrain(run: Run, number: int) -> None:
    """Learn the labels of a round, leaving ``retrain{number}.ckpt``."""
    checkpoint = run.out / f"retrain{number}.ckpt"
    network, init = _network_of(run, number, checkpoint)
    stage = stages.retrain(run.store, run.labels(number), run.settings, checkpoint)
    fit(run.fabric, network, stage, run.settings.seed, run.until, _about(run, init))


def joint(run: Run) -> None:
    """Learn detector and descriptor from the last round's labels, leaving ``joint.ckpt``."""
    checkpoint, number = run.out / "joint.ckpt", run.settings.rounds
    network, init = _network_of(run, number, checkpoint)
    large = (run.large, run.labels(number, "-large")) if run.large else None
    share = run.settings.joint.large_share
    teacher = _teacher(run, network.architecture.descriptor_dim)
    if teacher and not checkpoint.exists():
        views = stages.sample_views(run.store, run.settings).to(run.fabric.device)
        align_descriptors(network.to(run.fabric.device), teacher(views)[1], views)
    stage = stages.joint(
        run.store, run.labels(number), run.settings, checkpoint, large if share else None, teacher
    )
    about = _about(run, init) | {"teacher": run.options.teacher}
    fit(run.fabric, network, stage, run.settings.seed, run.until, about)
    if run.fabric.is_global_zero:
        trained = checkpoints.trained_network(checkpoints.read(checkpoint))
        picture = run.out / "matches.png"
        previews.matches_preview(picture, run.fabric, trained, run.store, run.settings)


def export_weights(run: Run) -> None:
    """Write the file of weights and its model card."""
    options = run.options
    if run.fabric.is_global_zero:
        export(
            run.out,
            run.settings,
            options.init,
            options.sequences,
            options.manifest,
            options.average,
            options.descriptor_size,
        )


def widen_network(run: Run) -> None:
    """Put ``--init`` into the wider ``--model``, leaving ``widened.ckpt``."""
    if not run.fabric.is_global_zero:
        return
    init = run.options.init
    assert init is not None
    narrow = checkpoints.load_network(init, run.settings.model)
    widened = widen(narrow, ARCHITECTURES[run.settings.model])
    ready = insert_batch_norm(widened, stages.sample_views(run.store, run.settings))
    history = {"hardware": hardware(run.fabric.device), "seconds": 0.0, "losses": {}}
    checkpoints.write(
        run.out / "widened.ckpt", ready, 0, optimizer={}, history=history | _about(run, init)
    )


def evaluate(run: Run) -> None:
    """Compare the detectors of ``--init`` and of the checkpoints there are on shapes."""
    if not run.fabric.is_global_zero:
        return
    out, init, model = run.out, run.options.init, run.settings.model
    device = run.fabric.device
    networks = {Path(init).name: checkpoints.load_network(init, model)} if init else {}
    for name, file in (("MagicPoint", "magicpoint.ckpt"), ("SuperPoint", "joint.ckpt")):
        if (out / file).exists():
            networks[name] = checkpoints.load_network(str(out / file), model)
    if not networks:
        raise UserError(f"nothing to evaluate in {out}: train something first, or give --init")
    logits = {n: partial(detector_logits, net.eval().to(device)) for n, net in networks.items()}
    evaluation.run(logits, device, out / "evaluation.json")


def _shapes(options: Options) -> None:
    settings = options.settings.magicpoint
    size = (settings.height, settings.width)
    previews.shapes_preview(options.out / "shapes.png", options.settings.seed, size)


def _binary(options: Options) -> None:
    """Write the file ``--init`` again, with a code of binary descriptors learned here."""
    if options.images:
        pack(options.images, options.out / "images")
    assert options.init is not None
    add_code(Path(options.init), options.out)


def _first_network(run: Run) -> tuple[SuperPointNet, str | None]:
    """Return the network to begin with, and what it was fine-tuned from; None: nothing."""
    init, model = run.options.init, run.settings.model
    if not init:
        return SuperPointNet(replace(ARCHITECTURES[model], norm="before")), None
    network = checkpoints.load_network(init, model)
    found = checkpoints.model_name(network.architecture)
    if found != model:
        raise UserError(
            f"--init {init} is a network of another architecture ({found}) than --model {model}: "
            "give its --model, or widen it first"
        )
    return network, init


def _labelling_network(run: Run, number: int) -> tuple[SuperPointNet, str | None]:
    """Return the network that labels a round, and what it was fine-tuned from."""
    network, init = _first_network(run)
    if number > 1 or not init:
        before = f"retrain{number - 1}.ckpt" if number > 1 else "magicpoint.ckpt"
        state = checkpoints.restore(network, run.out / before)
        network = checkpoints.trained_network(state)
        init = init or state["history"].get("init")
    return network, init


def _network_of(run: Run, number: int, checkpoint: Path) -> tuple[SuperPointNet, str | None]:
    """Return the network to train further: the labelling one, unless the stage has begun."""
    if checkpoint.exists():  # whose weights will replace these
        return _first_network(run)
    return _labelling_network(run, number)


def _teacher(run: Run, descriptor_size: int) -> Forward | None:
    """Return the better network to learn from, if there is one."""
    if not run.options.teacher:
        return None
    network = checkpoints.load_network(run.options.teacher, run.settings.model)
    size = network.architecture.descriptor_dim
    if size < descriptor_size:
        raise UserError(
            f"--teacher has descriptors of {size} numbers: too few for {descriptor_size}"
        )
    network = network.eval().requires_grad_(False).to(run.fabric.device)

    def teach(images: Tensor) -> tuple[Tensor, Tensor]:
        with torch.no_grad(), run.fabric.autocast():
            logits, descriptors = network(images)
        return logits, descriptors

    return teach


def _about(run: Run, init: str | None) -> dict[str, Any]:
    """Return what a checkpoint tells of its run."""
    return {"init": init, "settings": asdict(run.settings)}

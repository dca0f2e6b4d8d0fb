"""MODEL_CARD.md of exported weights: everything in it is read from the run or measured."""

from __future__ import annotations

import csv
import json
import subprocess
import sys
import tempfile
from collections import Counter
from pathlib import Path
from typing import Any

from cv2_superpoint.model.network import Architecture, SuperPointNet

from ..files import UserError
from ..labels.adaptation import read_file
from ..learn import checkpoints
from .tables import markdown_table

COLUMNS = ("H@1", "H@3", "H@5", "AUC@3", "MMA@1", "MMA@3", "MMA@5", "repeatability", "loc. error")

METHODS = (
    *("SuperPoint", "SuperPoint[nlevels=1]", "SuperPoint[precision=float32]"),
    *("SuperPoint[nlevels=1,precision=float32]", "SuperPoint-binary"),
)
"""Ways to use the weights that the card compares: the default, one level, exact, binary."""

_TERMS = """\
Not all of these photographs are free: some were published for research use, or under a
non-commercial licence, as the notes say; of others, such as images collected from the web, we know
of no licence. No photograph is part of the package."""

_LIMITS = """\
- Small objects of low contrast, and matches across more than the trained zoom and rotation, are
  found less reliably; an image pyramid (`nlevels`) helps with zoom.
- Trained on photographs; not on medical, thermal or radar images.
- The figures are of development sequences, which guided the choices made in training."""


def measure(weights: Path, sequences: Path) -> dict[str, Any]:
    """Run ``python -m benchmarks hpatches`` on weights, beside ORB and SIFT.

    Parameters
    ----------
    weights
        The exported file.
    sequences
        Folder in HPatches' format.

    Returns
    -------
    dict
        ``data`` (what was measured on), and ``methods``: by name, the values of `COLUMNS`.

    Raises
    ------
    UserError
        If the benchmark fails.
    """
    ours = {f"{name}={weights}": name for name in METHODS}
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "benchmarks", "hpatches", "--out", folder]
        command += ["--data", str(sequences), "--repeats", "10"]
        command += ["--methods", "ORB", "SIFT", *ours]
        if subprocess.run(command, stdout=subprocess.DEVNULL, check=False).returncode:
            raise UserError(f"the weights are in {weights}, but measuring them failed")
        report = json.loads((Path(folder) / "report.json").read_text())
    rows = {ours.get(name, name): row for name, row in report["summary"]["all"].items()}
    methods = {name: {c: round(row[c], 6) for c in COLUMNS} for name, row in rows.items()}
    data = {key: report["data"][key] for key in ("sequences", "pairs")}
    return {"data": data, "methods": methods}


def text(
    architecture: Architecture,
    settings: dict[str, Any],
    init: str | None,
    teacher: str | None,
    out: Path,
    metrics: dict[str, Any] | None,
    manifest: Path | None,
    average: bool,
) -> str:
    """Return the card, in Markdown.

    Parameters
    ----------
    architecture
        Of the exported network.
    settings
        Of the run, by name.
    init
        What was fine-tuned; None: nothing.
    teacher
        File of the network it was taught by; None: by none.
    out
        Folder of the run's checkpoints and labels.
    metrics
        From :func:`measure`, or None.
    manifest
        CSV with the columns ``file``, an image's path below ``--images``, and ``licence_note``; or
        None.
    average
        Whether these weights are the mean of those trained and those of `init`.
    """
    parameters = sum(p.numel() for p in SuperPointNet(architecture).parameters())
    origin, licence = "Trained from nothing", "Apache-2.0, as the code"
    if init:
        origin = f"Fine-tuned from `{Path(init).name}`{', and averaged with it' * average}"
        licence = licence if init == "shipped" else "that of the weights it was fine-tuned from"
    if teacher:
        origin += f", taught by `{Path(teacher).name}`"
    sections = [
        f"# Model card: {settings['model']}",
        f"{origin}, without human labels, by `train/`. This card was written by "
        "`python -m train export`.",
        markdown_table(
            ("", ""),
            [
                ("architecture", f"`{architecture}`"),
                ("parameters", f"{parameters / 1e6:.2f} M"),
                ("licence", licence),
                ("input", "grey, [0, 1], any size"),
            ],
        ),
        "## Training",
        markdown_table(
            ("stage", "iterations or images", "minutes", "hardware", "result"), _stages(out)
        ),
        "Settings:\n\n```json\n" + json.dumps(settings, indent=1) + "\n```",
        "## Data",
        _data(out, manifest),
        "## Figures",
        _figures(metrics),
        "## Limits",
        _LIMITS,
    ]
    return "\n\n".join(sections) + "\n"


def _stages(out: Path) -> list[tuple[str, ...]]:
    """Return a row per stage, in the order they were finished."""
    files = [*out.glob("*.ckpt"), *out.glob("labels?.npz"), *out.glob("labels?-large.npz")]
    rows: list[tuple[str, ...]] = []
    for file in sorted(files, key=lambda f: f.stat().st_mtime):
        if file.suffix == ".ckpt":
            state = checkpoints.read(file)
            history = state["history"]
            result = ", ".join(
                f"{key} {value:.3f}"
                for key, value in history["losses"].items()
                if key not in ("gradient_norm", "images_per_second", "waiting")
            )
            minutes = f"{history['seconds'] / 60:.0f}"
            rows.append((file.stem, str(state["step"]), minutes, history["hardware"], result))
        else:
            labels = read_file(file)
            counts = labels["counts"]
            minutes = f"{float(labels['seconds']) / 60:.0f}"
            result = f"{counts.mean():.0f} points per image"
            rows.append((file.stem, str(len(counts)), minutes, "", result))
    return rows


def _data(out: Path, manifest: Path | None) -> str:
    names = json.loads((out / "images" / "index.json").read_text())["names"]
    text = f"{len(names)} grey photographs, reduced to a short side of 256 pixels"
    large = out / "large" / "index.json"
    if large.exists():
        of_large = json.loads(large.read_text())["names"]
        text += f", and {len(of_large)} of up to 840 pixels"
        names += of_large
    text += "."
    if manifest is None:
        return text
    with open(manifest, newline="") as stream:
        note_of = {row["file"]: row["licence_note"] for row in csv.DictReader(stream)}
    notes = Counter(note_of.get(name, "not in the manifest") for name in names)
    rows = [(note, str(count)) for note, count in notes.most_common()]
    return (
        f"{text}\n\n"
        + markdown_table(("source and licence note", "images"), rows)
        + f"\n\n{_TERMS}"
    )


def _figures(metrics: dict[str, Any] | None) -> str:
    if metrics is None:
        return "Not measured: no `--sequences` were given to the export."
    data = metrics["data"]
    rows = [(name, *(f"{row[c]:.3f}" for c in COLUMNS)) for name, row in metrics["methods"].items()]
    command = "python -m benchmarks hpatches --repeats 10"
    text = f"`{command}` on {data['sequences']} sequences in HPatches' format"
    return f"{text}, {data['pairs']} pairs:\n\n" + markdown_table(("method", *COLUMNS), rows)

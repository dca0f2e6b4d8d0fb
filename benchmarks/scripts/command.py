"""The command ``scripts``: other people's scripts with OpenCV's features, and with ours."""

import argparse
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
from tqdm import tqdm

from ..common import outputs
from ..common.options import positive
from .catalogue import Case, find_cases, make_data

RULES = """\
Run scripts with OpenCV's own feature, through `python -m cv2_superpoint.replace`, and with the
lines changed that name the feature; show what each printed last, and what it matched and drew.
There are no windows, and whoever would press a key or draw a rectangle is simulated."""

_FEATURES_OF_IMAGES = re.compile(r"\bcv2?\.detail\.computeImageFeatures2?\b")
_IMPORT = re.compile(r"^([ \t]*)(import [^\n]*\bcv2\b)", re.MULTILINE)
_IDLE = re.compile(r"WARN|ERROR:|DEBUG|repo path|unable to open|https?:|\d ?(ms|s|seconds)\b")
"""Lines that tell nothing, or differ from run to run."""


def add_command(commands: Any) -> None:
    """Add the command to the subparsers of ``python -m benchmarks``."""
    parser = commands.add_parser(
        "scripts", help="OpenCV's samples and popular packages, unedited", description=RULES
    )
    parser.add_argument(
        "--opencv", type=Path, required=True, metavar="DIR", help="OpenCV's source, unpacked"
    )
    parser.add_argument("--only", default="", metavar="REGEX", help="scripts to run; default: all")
    parser.add_argument(
        "--timeout", type=positive, default=300, metavar="SECONDS", help="for each (default: 300)"
    )
    parser.add_argument("--out", type=Path, metavar="DIR", help="write scripts.md and all output")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> None:
    """Run every script in three ways, and print a table in Markdown."""
    source = options.opencv.resolve()
    if not (source / "samples" / "python").is_dir():
        sys.exit(f"benchmarks: {options.opencv} is not OpenCV's source: it has no samples/python")
    with tempfile.TemporaryDirectory() as name:
        data = Path(name) / "data"
        data.mkdir()
        if options.out:
            options.out.mkdir(parents=True, exist_ok=True)
        make_data(source, data)
        cases = [case for case in find_cases(source, data) if re.search(options.only, case.name)]
        lines = [
            f"OpenCV {cv2.__version__}",
            "",
            "| script | OpenCV's feature | replaced | edited (lines) |",
            "|---|---|---|---|",
        ]
        for case in tqdm(cases, disable=None):
            edited, changed = _edited(case, Path(name) / "edited")
            cells = [
                _run(case, "-", data, options, "opencv"),
                _run(case, case.features, data, options, "replaced"),
            ]
            if changed:
                said = _run(edited, "-", data, options, "edited")
                cells.append(f"{'the same' if said == cells[-1] else said} ({changed})")
            else:
                cells.append("")
            lines.append(f"| `{case.name}` | {' | '.join(cells)} |")
            tqdm.write(lines[-1])
    if options.out:
        outputs.write(options.out / "scripts.md", ("\n".join(lines) + "\n").encode())


def _edited(case: Case, folder: Path) -> tuple[Case, int]:
    """Copy a script's folder with other lines where a feature is made.

    Returns
    -------
    edited : Case
        The copy.
    changed : int
        Lines that differ in the script and what it imports from beside it, but for ``import``.
    """
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    kinds = case.features.replace(",", "|")
    names = rf"\bcv2?\.(?:xfeatures2d[._])?((?:{kinds})(?:_create|\.create)\b)"
    imported = {case.script, *_imported(case.script)}
    changed = 0
    for path in case.script.parent.glob("*.py"):
        text = path.read_text(encoding="utf-8")
        if path in imported:
            new = re.sub(names, r"cv2_superpoint.\1", text)
            if path == case.script:
                new = _FEATURES_OF_IMAGES.sub("cv2_superpoint.compute_image_features", new)
            pairs = zip(text.splitlines(), new.splitlines(), strict=True)
            changed += sum(line != other for line, other in pairs)
            text = (
                text if new == text else _IMPORT.sub(r"\1import cv2_superpoint\n\1\2", new, count=1)
            )
        (folder / path.name).write_text(text, encoding="utf-8")
    return replace(case, script=folder / case.script.name), changed


def _imported(script: Path) -> list[Path]:
    text = script.read_text(encoding="utf-8")
    names = re.findall(r"^\s*(?:from|import) (\w+)", text, re.MULTILINE)
    return [path for name in names if (path := script.with_name(f"{name}.py")).exists()]


def _run(case: Case, features: str, data: Path, options: argparse.Namespace, way: str) -> str:
    """Return what a table says of a run; writes all its output if asked to."""
    notes = data.parent / "notes.json"
    notes.unlink(missing_ok=True)
    command = [sys.executable, "-m", "benchmarks.scripts.probe", str(notes), features]
    root = str(Path(__file__).parents[2])
    search = [root, *map(str, case.search), os.environ.get("PYTHONPATH", "")]
    environment = {
        "PYTHONPATH": os.pathsep.join(filter(None, search)), "QT_QPA_PLATFORM": "offscreen",
        "MPLBACKEND": "Agg", "OPENCV_SAMPLES_DATA_PATH": str(data), "OPENCV_LOG_LEVEL": "ERROR",
        "OPENCV_TEST_DATA_PATH": str(data),
    }  # fmt: skip
    try:
        done = subprocess.run(
            [*command, str(case.script), *case.arguments],
            cwd=data, env=os.environ | environment, stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace",
            timeout=options.timeout,
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        return f"**did not end in {options.timeout} s**"
    lines = [line.strip() for line in re.split(r"[\r\n]+", done.stdout) if line.strip()]
    if options.out:
        name = re.sub(r"\W+", "-", f"{case.name} {way}")
        outputs.write(options.out / f"{name}.txt", done.stdout.encode())
    noted = json.loads(notes.read_text(encoding="utf-8")) if notes.exists() else []
    if done.returncode:
        return f"**failed**: {lines[-1] if lines else 'without a word'}"
    if lines[-1:] == ["OK"]:  # of unittest
        return "<br>".join(["passes", *noted])
    telling = [line for line in lines if re.search(r"\d", line) and not _IDLE.search(line)]
    return "<br>".join([*telling[-2:], *noted]) or "ran"

"""The README's drawing and its two walks are how the code is built."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import grimp
import pytest
from importlinter.api import read_configuration

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
SECTION = README.split("## How it works\n")[1].split("\n## ")[0]
CONTRACTS = {
    contract["id"]: contract
    for contract in read_configuration(str(ROOT / "pyproject.toml"))["contracts_options"]
}


def drawn_layers() -> list[set[str]]:
    """Rooms and modules of each line of the drawing, from top to bottom."""
    drawing = SECTION.split("```")[1]
    lines = [re.findall(r"^ (\w+)/  ", line) or re.findall(r"(\w+)\.py\b", line)
             for line in drawing.splitlines()]  # fmt: skip
    return [set(line) for line in lines if line]


def walk(place: str) -> list[str]:
    """Modules that the numbered steps below "in `place/`:" name, in their order."""
    steps = re.search(rf"in `{place}/`:\n\n(1\. .*?)(\n\n|\Z)", SECTION, re.DOTALL)
    assert steps
    files = re.findall(r"^\d\. `([\w/]+)\.py`", steps[1], re.M)
    assert len(files) == len(re.findall(r"^\d\. ", steps[1], re.M))
    return [f"{place}/{file}".replace("/", ".") for file in files]


def test_the_drawing_is_what_is_checked():
    wanted = [set(re.findall(r"\w+", layer)) for layer in CONTRACTS["layers"]["layers"]]
    assert drawn_layers() == wanted


def test_imports_are_as_drawn():
    lint = "from importlinter.cli import lint_imports_command; lint_imports_command()"
    command = [sys.executable, "-X", "utf8", "-c", lint, "--no-cache", "--no-logo"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, encoding="utf-8")
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"{len(CONTRACTS)} kept, 0 broken" in done.stdout


@pytest.mark.parametrize(("place", "through"), [("cv2_superpoint", 0), ("train", -2)])
def test_walks_open_files_that_work_together(place, through):
    graph = grimp.build_graph(place, cache_dir=None)
    modules = walk(place)
    assert len(modules) >= 5
    assert set(modules) <= graph.modules
    # One of them calls all the others.
    caller = modules[through]
    for module in modules:
        assert module == caller or graph.chain_exists(importer=caller, imported=module), module

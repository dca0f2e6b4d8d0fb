"""The commands that the documents show are ones that the command line takes."""

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

import benchmarks
from benchmarks.__main__ import make_parser

ROOT = Path(__file__).parent.parent.parent
PAGES = (
    "README.md",
    "benchmarks/README.md",
    "docs/compatibility.md",
    "docs/parameters.md",
    "docs/questions.md",
    "docs/training.md",
)


def commands(page: str) -> list[str]:
    text = (ROOT / page).read_text(encoding="utf-8")
    return re.findall(
        r"^python -m benchmarks [^`\n]+|(?<=`)python -m benchmarks [^`\n]+", text, re.M
    )


@pytest.mark.parametrize("page", PAGES)
def test_commands_parse(page: str) -> None:
    found = commands(page)
    assert found
    for command in found:
        options = make_parser().parse_args(shlex.split(command)[3:])
        assert options.run, command


def test_every_command_is_shown() -> None:
    shown = {shlex.split(command)[3] for command in commands("benchmarks/README.md")}
    assert shown == {
        *("hpatches", "rotation", "tilt", "scale", "zoom-rotation"),
        *("speed", "memory", "compare-speed", "accuracy-over-time", "scripts"),
    }


def test_every_room_is_named() -> None:
    root = Path(benchmarks.__path__[0])
    modules = {str(path.relative_to(root).with_suffix("")) for path in root.glob("*/[!_]*.py")}
    assert benchmarks.__doc__ is not None
    named, room = set(), ""
    for line in benchmarks.__doc__.splitlines():
        if folder := re.match(r"    (\w+/)  ", line):
            room = folder[1]
        elif names := re.match(r"      (\w+(?:, \w+)*)  ", line):
            named |= {room + name for name in names[1].split(", ")}
    assert named == modules


def test_help_waits_for_no_large_library() -> None:
    code = "import sys; from benchmarks.__main__ import make_parser; make_parser().format_help(); "
    code += "print(*sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        capture_output=True,
        text=True,
        check=True,
    )
    loaded = set(done.stdout.split())
    assert "numpy" in loaded
    assert not loaded & {"torch", "matplotlib", "jinja2", "cv2_superpoint"}

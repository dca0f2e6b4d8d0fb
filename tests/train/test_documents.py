"""The commands that the tutorial shows are ones that the command line takes."""

import re
import shlex
from pathlib import Path

from train.options import parse

PAGE = Path(__file__).parents[2] / "docs" / "training.md"


def test_commands_parse() -> None:
    text = PAGE.read_text(encoding="utf-8").replace("\\\n", "")
    commands = re.findall(r"^python -m (train .+)", text, re.M)
    assert len(commands) > 1
    for command in commands:
        assert parse(shlex.split(command)[1:]).stage == "all"

"""Measure local features: how accurate and how fast they are, and what rotation does to them."""

import argparse
import shlex
import sys

from .accuracy import command as hpatches
from .invariance import command as invariance
from .invariance import zoom_command
from .scripts import command as scripts
from .speed import command as speed
from .speed import memory_command, regression, tradeoff


def main(arguments: list[str] | None = None) -> None:
    """Parse the command line and run the benchmark it names."""
    options = parse(sys.argv[1:] if arguments is None else arguments)
    options.run(options)


def parse(arguments: list[str]) -> argparse.Namespace:
    """Parse the command line, which stays in `command_line` for the reports."""
    line = f"python -m benchmarks {shlex.join(arguments)}"
    return make_parser().parse_args(arguments, argparse.Namespace(command_line=line))


def make_parser() -> argparse.ArgumentParser:
    """Make the parser; PyTorch and matplotlib are imported by the commands once they run."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    measuring = [hpatches, invariance, zoom_command, speed, memory_command]
    for module in (*measuring, regression, tradeoff, scripts):
        module.add_command(commands)
    return parser


if __name__ == "__main__":
    main()

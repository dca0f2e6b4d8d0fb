"""Measure local features: how accurate and how fast they are, and what rotation does to them."""

import argparse

from .accuracy import command as hpatches
from .invariance import command as invariance
from .invariance import zoom_command
from .scripts import command as scripts
from .speed import command as speed
from .speed import memory_command, tradeoff


def main(arguments: list[str] | None = None) -> None:
    """Parse the command line and run the benchmark it names."""
    options = make_parser().parse_args(arguments)
    options.run(options)


def make_parser() -> argparse.ArgumentParser:
    """Make the parser; PyTorch and matplotlib are imported by the commands once they run."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    for module in (hpatches, invariance, zoom_command, speed, memory_command, tradeoff, scripts):
        module.add_command(commands)
    return parser


if __name__ == "__main__":
    main()

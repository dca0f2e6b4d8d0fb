"""The command line: ``python -m benchmarks COMMAND``."""

import argparse
from importlib import import_module
from importlib.util import find_spec

MODULES = ("hpatches", "speed", "turning")
"""Modules with an ``add_command(commands)``."""


def main(arguments: list[str] | None = None) -> None:
    """Parse the command line and run the benchmark it names."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    for name in MODULES:
        if find_spec(f"{__package__}.{name}"):
            import_module(f"{__package__}.{name}").add_command(commands)
    options = parser.parse_args(arguments)
    options.run(options)


if __name__ == "__main__":
    main()

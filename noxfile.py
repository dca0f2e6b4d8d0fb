"""What a developer runs; ``nox -l`` lists it."""

from pathlib import Path

import nox

nox.needs_version = ">=2024.4.15"
nox.options.sessions = ["lint", "types", "tests"]

PACKAGE = ["tests/apps", "tests/bulk", "tests/extract", "tests/model", "tests/opencv"]
"""Tests that need neither train/ nor benchmarks/, and so none of their dependencies."""


@nox.session
def lint(session: nox.Session) -> None:
    """Format, lint, and check the contracts on imports."""
    session.install("ruff>=0.6", "import-linter>=2.1")
    session.run("ruff", "format", "--check", ".")
    session.run("ruff", "check", ".")
    session.run("lint-imports")


@nox.session
def types(session: nox.Session) -> None:
    """Check the types."""
    session.install("-e", ".[dev]")
    session.run("mypy")


@nox.session(python=["3.10", "3.11", "3.12", "3.13"])
def tests(session: nox.Session) -> None:
    """Run the tests with the newest versions of everything; arguments go to pytest."""
    session.install("-e", ".[dev]")
    session.run("pytest", *session.posargs)


@nox.session
def opencv4(session: nox.Session) -> None:
    """Run the tests of the package on OpenCV 4."""
    session.install("-e", ".[dev]", "opencv-contrib-python<5")
    session.run("pytest", *(session.posargs or PACKAGE))


@nox.session(python="3.10")
def oldest(session: nox.Session) -> None:
    """Run the tests of the package with the oldest versions that it supports."""
    session.install(".[demo]", "pytest", "pytest-benchmark", "hypothesis", "-c", ".ci/oldest.txt")
    session.run("pytest", *(session.posargs or PACKAGE))


@nox.session
def benchmarks(session: nox.Session) -> None:
    """Time the package against ORB and SIFT; arguments go to ``benchmarks speed``."""
    session.install("-e", ".[benchmarks]")
    session.run("python", "-m", "benchmarks", "speed", *session.posargs)


@nox.session
def docs(session: nox.Session) -> None:
    """Build the documentation site in site/; ``nox -s docs -- serve`` shows it while you write."""
    # Of the package only the source is read, so neither it nor PyTorch is installed.
    project = nox.project.load_toml("pyproject.toml")["project"]
    session.install(*project["optional-dependencies"]["docs"])
    session.run("mkdocs", *(session.posargs or ["build", "--strict"]))


@nox.session
def wheel(session: nox.Session) -> None:
    """Build sdist and wheel, check them, and match two pictures with the wheel alone."""
    session.install("build", "twine>=6")
    folder = Path(session.create_tmp())
    for old in folder.glob("cv2_superpoint-*"):
        old.unlink()
    session.run("python", "-m", "build", "--outdir", str(folder))
    (built,) = folder.glob("*.whl")
    session.run("twine", "check", "--strict", str(built), *map(str, folder.glob("*.tar.gz")))
    session.install(f"{built}[demo]")
    with session.chdir(folder):  # where no checkout is in the way
        session.run("cv2-superpoint", "match", "-o", "matches.png")

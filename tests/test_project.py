"""What is said in more than one file about the project is said alike."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from hatchling.metadata.core import ProjectMetadata
from hatchling.plugin.manager import PluginManager
from packaging.requirements import Requirement

import cv2_superpoint

ROOT = Path(__file__).parent.parent


def read(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def project():
    return ProjectMetadata(str(ROOT), PluginManager()).core


def test_oldest_versions_are_the_lower_bounds(project):
    pinned = {
        requirement.name: {specifier.version for specifier in requirement.specifier}
        for line in read(".ci/oldest.txt").splitlines()
        if not line.startswith("#")
        for requirement in [Requirement(line)]
    }
    extras = project.optional_dependencies
    listed = [*project.dependencies, *extras["opencv"], *extras["demo"]]
    wanted = [Requirement(dependency) for dependency in listed if "[" not in dependency]
    assert {requirement.name for requirement in wanted} == set(pinned)
    for requirement in wanted:
        (bound,) = (s.version for s in requirement.specifier if s.operator == ">=")
        (version,) = pinned[requirement.name]
        assert f"{version}.".startswith(f"{bound}."), requirement


def test_every_python_that_is_claimed_is_tested(project):
    name = "Programming Language :: Python :: "
    claimed = {c.removeprefix(name) for c in project.classifiers if re.match(name + r"3\.\d", c)}
    assert claimed == set(re.findall(r"session: tests-(3\.\d+)", read(".github/workflows/ci.yml")))
    assert min(claimed, key=lambda v: int(v[2:])) == project.requires_python.removeprefix(">=")


def test_sessions_that_are_named_exist():
    defined = set(re.findall(r"^def (\w+)\(session", read("noxfile.py"), re.M))
    in_ci = set(re.findall(r"session: (\w+)", read(".github/workflows/ci.yml")))
    shown = re.findall(r"nox -s ([\w. -]+)`", read("CONTRIBUTING.md"))
    assert in_ci <= defined
    assert {session.split("-")[0] for line in shown for session in line.split()} == defined


def test_the_version_is_in_every_file():
    assert f"\nversion: {cv2_superpoint.__version__}\n" in read("CITATION.cff")
    assert f"\n## [{cv2_superpoint.__version__}]" in read("CHANGELOG.md")


def test_links_between_documents_lead_somewhere():
    for page in ("CONTRIBUTING.md", "CHANGELOG.md", "SECURITY.md", "CODE_OF_CONDUCT.md"):
        for target in re.findall(r"\]\(([^)#]+)", read(page)):
            assert target.startswith("https://") or (ROOT / target).exists(), (page, target)

"""The wheel holds the package and its weights and nothing else; the sdist, what tests need too."""

from __future__ import annotations

import email
import re
import tarfile
import zipfile
from pathlib import Path

import hatchling.build
import pytest

ROOT = Path(__file__).parent.parent


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    folder = tmp_path_factory.mktemp("wheel")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(ROOT)
        return folder / hatchling.build.build_wheel(str(folder))


@pytest.fixture(scope="module")
def names(wheel):
    with zipfile.ZipFile(wheel) as archive:
        return archive.namelist()


def test_the_wheel_is_small(wheel):
    assert wheel.stat().st_size < 6_000_000


@pytest.fixture(scope="module")
def required(wheel, names):
    """Names of what is installed along, by extra; "" for the package alone."""
    (metadata,) = (name for name in names if name.endswith("/METADATA"))
    with zipfile.ZipFile(wheel) as archive:
        lines = email.message_from_bytes(archive.read(metadata)).get_all("Requires-Dist")
    found: dict[str, set[str]] = {}
    for line in lines:
        name, extra = re.fullmatch(r"([\w-]+).*?(?:; .*?extra == '(\w+)')?", line).groups()
        found.setdefault(extra or "", set()).add(name)
    return found


def test_top_level_is_the_package(names):
    tops = {name.split("/")[0] for name in names}
    assert {top for top in tops if not top.endswith(".dist-info")} == {"cv2_superpoint"}


def test_weights_travel_with_their_card(names):
    weights = {name for name in names if name.startswith("cv2_superpoint/weights/")}
    assert "cv2_superpoint/weights/MODEL_CARD.md" in weights
    assert "cv2_superpoint/weights/superpoint-lite.safetensors" in weights


def test_licence_and_notice_travel_too(names):
    assert {"LICENSE", "NOTICE"} <= {Path(name).name for name in names}
    assert "cv2_superpoint/py.typed" in names


def test_the_sdist_builds_the_same_wheel(names, tmp_path, monkeypatch):
    monkeypatch.chdir(ROOT)
    sdist = tmp_path / hatchling.build.build_sdist(str(tmp_path))
    assert sdist.stat().st_size < 6_000_000
    with tarfile.open(sdist) as archive:
        archive.extraction_filter = getattr(tarfile, "data_filter", None)  # from 3.10.12 on
        archive.extractall(tmp_path)
    unpacked = tmp_path / sdist.name.removesuffix(".tar.gz")
    needed = ("tests/conftest.py", "train/__main__.py", "benchmarks/__main__.py", "noxfile.py")
    for file in (*needed, "mkdocs.yml"):
        assert (unpacked / file).is_file()
    monkeypatch.chdir(unpacked)
    with zipfile.ZipFile(tmp_path / hatchling.build.build_wheel(str(tmp_path))) as archive:
        assert sorted(archive.namelist()) == sorted(names)


def test_the_package_alone_touches_no_opencv(required):
    assert required[""] == {"torch", "numpy", "safetensors"}


def test_extras_bring_opencv(required):
    assert required["opencv"] == {"opencv-contrib-python"}
    assert required["headless"] == {"opencv-contrib-python-headless"}
    assert required["demo"] == {"opencv-contrib-python", "scikit-image"}
    assert required["demo"] <= required["dev"]
    assert required["demo"] <= required["benchmarks"]


def test_no_gaps_are_left_in_what_people_read():
    for path in (ROOT / "README.md", ROOT / "cv2_superpoint" / "weights" / "MODEL_CARD.md"):
        text = path.read_text(encoding="utf-8")
        assert len(text) > 1000
        assert "@@" not in text
        assert "TODO" not in text

"""The documentation site builds without a warning, and fetches nothing from elsewhere."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from html.parser import HTMLParser
from importlib.util import find_spec
from pathlib import Path

import pytest

import cv2_superpoint

ROOT = Path(__file__).parent.parent
NEEDED = ("mkdocs", "material", "mkdocstrings", "mkdocstrings_handlers")

pytestmark = pytest.mark.skipif(not all(map(find_spec, NEEDED)), reason="needs the extra docs")


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("site")
    done = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(folder)],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    return folder


class Fetched(HTMLParser):
    """Addresses of what a browser fetches by itself to show a page."""

    def __init__(self, page: Path) -> None:
        super().__init__()
        self.addresses: list[str] = []
        self.feed(page.read_text(encoding="utf-8"))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        if tag != "a" and given.get("rel") not in ("canonical", "prev", "next"):
            self.addresses += [given[name] or "" for name in ("src", "href") if name in given]


def test_nothing_is_fetched_from_elsewhere(site: Path) -> None:
    pages = list(site.rglob("*.html"))
    assert len(pages) > 15
    assert len(Fetched(site / "index.html").addresses) > 5
    for page in pages:
        for address in Fetched(page).addresses:
            assert not re.match(r"(\w+:)?//", address), (page, address)
    for style in site.rglob("*.css"):
        assert not re.search(r"url\([\"']?(https?:)?//", style.read_text(encoding="utf-8")), style


def test_links_between_documents_lead_to_pages(site: Path) -> None:
    migrating = (site / "migrating" / "index.html").read_text(encoding="utf-8")
    assert 'href="../figures/#accuracy"' in migrating  # ../README.md#accuracy
    assert "/blob/main/tests/opencv/test_contract_differences.py" in migrating  # not on the site


@pytest.mark.parametrize("name", cv2_superpoint.__all__)
def test_every_public_name_is_in_the_reference(site: Path, name: str) -> None:
    reference = (site / "reference" / "index.html").read_text(encoding="utf-8")
    assert f'id="cv2_superpoint.{name}"' in reference
    assert ":class:`" not in reference

"""A hook of MkDocs: pages of the site that are documents elsewhere in the repository.

So everything is written once. Links between documents are those that work on GitHub; they are made
to lead to the page that shows the document, or to the repository if none does.
"""

from __future__ import annotations

import json
import os
import posixpath
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from mkdocs.structure.files import File
from pymdownx.slugs import slugify

ROOT = Path(__file__).resolve().parent.parent
WEIGHTS = "cv2_superpoint/weights"


class Source(NamedTuple):
    """What a page is made of.

    Attributes
    ----------
    document
        Its path in the repository.
    sections
        Headings of those to take, "" for what comes before the first; None: all of it.
    title
        Of the page, if it takes more than one section and not the document's title.
    """

    document: str
    sections: tuple[str, ...] | None = None
    title: str | None = None


PAGES = {
    "index.md": Source("README.md", ("", "Install", "Quick start", "Licence")),
    "switching.md": Source("README.md", ("Switching",)),
    "figures.md": Source("README.md", ("Accuracy", "Speed"), "Accuracy and speed"),
    "code.md": Source("README.md", ("How it works",)),
    "superpoint-lite.md": Source(f"{WEIGHTS}/MODEL_CARD.md"),
    "superpoint.md": Source(f"{WEIGHTS}/MODEL_CARD-superpoint.md"),
    "benchmarks.md": Source("benchmarks/README.md"),
    "train.md": Source("train/README.md"),
    "examples.md": Source("examples/README.md"),
    "tour.md": Source("examples/tour.ipynb"),
    "contributing.md": Source("CONTRIBUTING.md"),
    "changes.md": Source("CHANGELOG.md"),
}


def on_files(files: Any, config: Any) -> Any:
    """Add the pages."""
    for uri, source in PAGES.items():
        files.append(File.generated(config, uri, content=page(source)))
    return files


def on_page_markdown(markdown: str, page: Any, config: Any, files: Any) -> str:
    """Turn the links of a document into those of its page."""
    uri = page.file.src_uri
    document = PAGES[uri].document if uri in PAGES else f"docs/{uri}"

    def replace(match: re.Match[str]) -> str:
        target = link(match[2], document, uri, config.repo_url)
        return f"{match[1]}{target})"

    return re.sub(r"(\]\()([^)\s]+)\)", replace, markdown)


def on_post_page(output: str, page: Any, config: Any) -> str:
    """Take from the link to the repository what makes the theme ask GitHub for its stars."""
    return output.replace(' data-md-component="source"', "")


def page(source: Source) -> str:
    """Return the Markdown of a page."""
    text = (ROOT / source.document).read_text(encoding="utf-8")
    if source.document.endswith(".ipynb"):
        text = "\n\n".join(map(cell, json.loads(text)["cells"]))
    if source.sections is None:
        return text
    found = dict(split(text))
    chosen = "".join(found[heading] for heading in source.sections)
    if source.title:
        return f"# {source.title}\n\n{chosen}"
    return chosen if "" in source.sections else chosen.removeprefix("#")


def cell(content: dict[str, Any]) -> str:
    """Return a cell of a notebook."""
    text = "".join(content["source"])
    return f"```python\n{text}\n```" if content["cell_type"] == "code" else text


def split(text: str) -> Iterator[tuple[str, str]]:
    """Yield the sections of a document: heading, and text with the heading."""
    for part in re.split(r"^(?=## )", text, flags=re.M):
        heading = re.match(r"## (.+)", part)
        yield (heading[1] if heading else ""), part


def link(target: str, document: str, uri: str, repository: str) -> str:
    """Return where a document's link leads when a page of the site shows the document."""
    name, _, anchor = target.partition("#")
    path = document
    if name:
        path = posixpath.normpath(posixpath.join(posixpath.dirname(document), name))
    if re.match(r"\w+:", name) or not (ROOT / path).exists():
        return target
    shown = where(path, anchor)
    if shown is None or (shown == uri and not anchor):  # a page's link to its own document
        kind = "tree" if (ROOT / path).is_dir() else "blob"
        address = f"{repository}/{kind}/main/{path}"
    elif shown == uri:
        address = ""
    else:
        address = os.path.relpath(shown, posixpath.dirname(uri) or ".").replace(os.sep, "/")
    return address + (f"#{anchor}" if anchor else "")


def where(path: str, anchor: str) -> str | None:
    """Return the page, or file, of the site that shows a file of the repository, if any does."""
    if path.startswith("docs/") and not path.endswith(".py"):
        return path.removeprefix("docs/")
    slug = slugify(case="lower")
    for uri, source in PAGES.items():
        shown = None if source.sections is None else {slug(name, "-") for name in source.sections}
        if source.document == path and (shown is None or anchor in shown):
            return uri
    return None

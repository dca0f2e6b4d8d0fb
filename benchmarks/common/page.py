"""The report of a command: tables, plots and pictures as one HTML page, or as Markdown."""

import base64
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import jinja2
import markupsafe

from . import outputs
from .figures import Plot
from .gallery import Exhibit
from .machine import describe_machine, library_versions
from .tables import Table, number


@dataclass(frozen=True)
class Section:
    """A part of a report: text, then tables, plots, pairs of pictures, and what is preformatted."""

    title: str
    text: str = ""
    tables: Sequence[Table] = ()
    plots: Sequence[Plot] = ()
    exhibits: Sequence[Exhibit] = ()
    preformatted: str = ""


@dataclass(frozen=True)
class Page:
    """A report.

    Attributes
    ----------
    title : str
    lead : str
        What was measured.
    command : str
        The command line that made it.
    sections : sequence of Section
    warning : str
    machine : mapping of str to str
        Described now, if it is missing.
    """

    title: str
    lead: str
    command: str
    sections: Sequence[Section]
    warning: str = ""
    machine: Mapping[str, str] | None = None


def settings(values: Iterable[tuple[str, Any]]) -> Section:
    """Return the section that lists constants and conditions."""
    rows = [{"setting": name, "value": str(value)} for name, value in values]
    return Section("Settings", tables=[Table("", rows, left=2)])


def write_html(path: Path, page: Page) -> None:
    """Write a page that needs no other file and asks nothing of the network."""
    outputs.write(path, _render("page.html", page).encode())


def write_markdown(path: Path, page: Page) -> None:
    """Write Markdown, with its plots as PNG and its pictures in the folder beside it."""
    for section in page.sections:
        for plot in section.plots:
            outputs.write(path.with_name(f"{plot.name}.png"), plot.png())
        for exhibit in section.exhibits:
            for picture in exhibit.pictures:
                file = path.parent / picture.file
                file.parent.mkdir(exist_ok=True)
                outputs.write(file, picture.content)
    outputs.write(path, _render("page.md", page).encode())


def _render(name: str, page: Page) -> str:
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader(__package__),
        autoescape=jinja2.select_autoescape(["html.jinja"]),
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
    )
    machine = {**describe_machine(), **library_versions()} if page.machine is None else page.machine
    return environment.get_template(f"{name}.jinja").render(
        page=page,
        machine=machine,
        made=f"{datetime.now(timezone.utc):%Y-%m-%d %H:%M} UTC",
        max=max,
        number=number,
        breakable=_breakable,
        data_uri=_data_uri,
    )


def _breakable(text: str) -> markupsafe.Markup:
    """Let long names of methods and settings break where they have parts."""
    parts = re.split(r"(?<=[,_/])|(?=\[)", text)
    return markupsafe.Markup("<wbr>").join(parts)


def _data_uri(jpeg: bytes) -> str:
    return f"data:image/jpeg;base64,{base64.b64encode(jpeg).decode()}"

"""Rows of values as text for a terminal and as CSV."""

import csv
import io
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from . import outputs


@dataclass(frozen=True)
class Table:
    """Rows of text under a title: for a terminal, for a page.

    Attributes
    ----------
    title : str
        Perhaps empty.
    rows : sequence of mapping
        At least one; the keys are the columns, and all have those of the first.
    left : int
        So many first columns name the row and are aligned to the left, the others to the right.
    best : mapping of str to callable
        `max` or `min`, of the columns where more or less is better.
    quoted : int
        So many last rows are from elsewhere and not compared with the others.
    shaded : bool
        The values are shares, from 0 to 1, to be shown as shades.
    """

    title: str
    rows: Sequence[Mapping[str, str]]
    left: int = 1
    best: Mapping[str, Callable[..., str]] = field(default_factory=dict)
    quoted: int = 0
    shaded: bool = False

    @property
    def columns(self) -> list[str]:
        """The keys of the rows."""
        return list(self.rows[0])

    @cached_property
    def best_cells(self) -> dict[str, str]:
        """The best value by column, as it is written, so that equal ones are all marked.

        Columns in which nothing is better, or with fewer than two numbers, are missing.
        """
        own = self.rows[: len(self.rows) - self.quoted]
        found = {}
        for column, best in self.best.items():
            numbers = [row[column] for row in own if number(row[column]) is not None]
            if len(numbers) > 1:
                found[column] = best(numbers, key=float)
        return found


def number(text: str) -> float | None:
    """Return the number that a cell shows; None if it shows none."""
    try:
        return float(text)
    except ValueError:
        return None


def format_table(table: Table) -> str:
    """Lay out a table for a terminal."""
    lines = [table.columns, *(list(row.values()) for row in table.rows)]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    laid_out = [
        "  ".join(
            cell.ljust(width) if i < table.left else cell.rjust(width)
            for i, (cell, width) in enumerate(zip(line, widths, strict=True))
        ).rstrip()
        for line in lines
    ]
    return "\n".join([table.title, *laid_out] if table.title else laid_out)


def format_tables(tables: Sequence[Table]) -> str:
    """Lay out tables one below the other."""
    return "\n\n".join(map(format_table, tables))


def write_csv(path: Path, rows: Sequence[Mapping[str, Any]]) -> None:
    """Write rows under the keys of the longest; what is None or missing becomes an empty field."""
    content = io.StringIO(newline="")
    writer = csv.DictWriter(content, max((list(row) for row in rows), key=len))
    writer.writeheader()
    writer.writerows(rows)
    outputs.write(path, content.getvalue().encode())

"""Rows of values as text for a terminal and as CSV."""

import csv
import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from . import outputs


def format_table(rows: Sequence[Mapping[str, str]], left: int = 1) -> str:
    """Lay out rows under their keys.

    Parameters
    ----------
    rows : sequence of mapping
        At least one; all have the keys of the first.
    left : int
        So many first columns are aligned to the left, the others to the right.
    """
    lines = [list(rows[0]), *(list(row.values()) for row in rows)]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return "\n".join(
        "  ".join(
            cell.ljust(width) if i < left else cell.rjust(width)
            for i, (cell, width) in enumerate(zip(line, widths, strict=True))
        ).rstrip()
        for line in lines
    )


def write_csv(path: Path, rows: Sequence[Mapping[str, Any]]) -> None:
    """Write rows under the keys of the longest; what is None or missing becomes an empty field."""
    content = io.StringIO(newline="")
    writer = csv.DictWriter(content, max((list(row) for row in rows), key=len))
    writer.writeheader()
    writer.writerows(rows)
    outputs.write(path, content.getvalue().encode())

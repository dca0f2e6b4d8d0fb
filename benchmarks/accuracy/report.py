"""The report of a run: markdown and a self-contained page with pictures, CSV and JSON."""

import base64
import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import jinja2

from ..common import outputs
from ..common.tables import write_csv
from . import gallery, plots
from .protocol import RULES, Protocol
from .results import Results, describe_settings, tabulate_pairs, to_json
from .run import Job
from .summary import Row, format_value


@dataclass(frozen=True)
class Picture:
    """An image file, by its path in the report's folder, with the words under it."""

    file: str
    caption: str
    content: bytes

    @property
    def uri(self) -> str:
        """The picture itself as the address of an image in a page."""
        kind = "jpeg" if self.file.endswith(".jpg") else "png"
        return f"data:image/{kind};base64,{base64.b64encode(self.content).decode()}"


@dataclass(frozen=True)
class Table:
    """Rows of (text, is it the best of its column) under a title."""

    title: str
    columns: list[str]
    rows: list[tuple[str, list[tuple[str, bool]]]]


def write(folder: Path, results: Results, jobs: Sequence[Job], comparison: str = "") -> None:
    """Write report.md, report.html, report.json, pairs.csv and the pictures to a folder.

    Parameters
    ----------
    folder : Path
        Made if it is missing.
    results : Results
    jobs : sequence of Job
        What was run, to draw pairs from.
    comparison : str
        With an earlier run, if there is one.
    """
    folder.mkdir(parents=True, exist_ok=True)
    splits = results.splits
    plotted = [
        Picture("mma.png", "Mean matching accuracy over threshold. Ours are the solid lines.",
                plots.mma_curves(splits, results.protocol)),
        Picture("homography.png", "Share of pairs whose homography is correct, over threshold.",
                plots.homography_curves(results.pairs, splits)),
        Picture("repeatability.png", "Repeatability by split.", plots.repeatability_bars(splits)),
        Picture("time.png", "Time per image against homography accuracy.",
                plots.time_against_accuracy(splits)),
    ]  # fmt: skip
    drawn = _draw_gallery(results, jobs)
    for picture in [*plotted, *drawn]:
        path = folder / picture.file
        path.parent.mkdir(exist_ok=True)
        outputs.write(path, picture.content)

    environment = jinja2.Environment(
        loader=jinja2.PackageLoader(__package__),
        autoescape=jinja2.select_autoescape(["html.jinja"]),
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
    )
    for name in ("report.md", "report.html"):
        text = environment.get_template(f"{name}.jinja").render(
            results=results,
            tables=tables(results),
            settings=describe_settings(results),
            rules=RULES,
            plots=plotted,
            gallery=drawn,
            comparison=comparison,
        )
        outputs.write(folder / name, text.encode())
    report = json.dumps(to_json(results), indent=1, allow_nan=False)
    outputs.write(folder / "report.json", report.encode())
    write_csv(folder / "pairs.csv", tabulate_pairs(results.pairs))


def tables(results: Results) -> list[tuple[str, list[Table]]]:
    """Lay out the tables of each split, published rows last."""
    return [
        (
            split,
            [
                _table(title, columns, rows, results.published.get(split, {}))
                for title, columns in _column_groups(results.protocol).items()
            ],
        )
        for split, rows in results.splits.items()
    ]


def _table(
    title: str, columns: list[str], ours: dict[str, Row], published: dict[str, dict[str, float]]
) -> Table:
    best = {column: _best(column, [row[column] for row in ours.values()]) for column in columns}
    lines = [
        (name, [(format_value(c, row[c]), format_value(c, row[c]) == best[c]) for c in columns])
        for name, row in ours.items()
    ]
    lines += [
        (name, [(format_value(c, row.get(c)), False) for c in columns])
        for name, row in published.items()
        if not row.keys().isdisjoint(columns)
    ]
    return Table(title, columns, lines)


def _best(column: str, values: list[float]) -> str | None:
    """Return the best value as it is written, so that equal ones are all marked."""
    finite = [value for value in values if not math.isnan(value)]
    if column in ("keypoints", "matches", "pairs") or len(finite) < 2:
        return None  # neither more nor less is better, or there is nothing to compare
    smaller_is_better = column in ("loc. error", "ms/image")
    return format_value(column, min(finite) if smaller_is_better else max(finite))


def _column_groups(protocol: Protocol) -> dict[str, list[str]]:
    return {
        "Homographies and descriptors": [
            *(f"H@{t}" for t in protocol.homography_thresholds),
            *(f"AUC@{t}" for t in protocol.auc_thresholds),
            *("NN mAP", "M. score"),
        ],
        "Matching": [f"MMA@{t}" for t in protocol.mma_thresholds],
        "Detection, counts and time": [
            *("repeatability", "loc. error", "keypoints", "matches", "ms/image", "pairs")
        ],
    }


def _draw_gallery(results: Results, jobs: Sequence[Job]) -> list[Picture]:
    methods = gallery.choose_methods(list(results.splits["all"]), results.pairs)
    if not methods:
        return []
    job_of = {(job.method, job.sequence.name): job for job in jobs}
    record_of = {(p.method, p.sequence, p.image): p for p in results.pairs}
    pictures = []
    for split in ("illumination", "viewpoint"):
        for choice in gallery.choose_pairs(methods[0], results.pairs, split):
            content = gallery.draw(
                [job_of[method, choice.sequence] for method in methods],
                [record_of[method, choice.sequence, choice.image] for method in methods],
            )
            pictures.append(
                Picture(
                    f"gallery/{split}_{choice.rank}.jpg",
                    f"{split}, {choice.rank} pair of {methods[0]} by corner error: "
                    f"{choice.sequence}, image 1 and {choice.image}",
                    content,
                )
            )
    return pictures

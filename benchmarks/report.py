"""The report of a run: markdown and a self-contained page with pictures, CSV and JSON."""

import base64
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import jinja2

from . import gallery, plots
from .accuracy import Job
from .protocol import RULES, Protocol
from .results import Results, describe_settings, to_json, write_csv
from .summary import format_value


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
        path.write_bytes(picture.content)

    environment = jinja2.Environment(
        loader=jinja2.PackageLoader(__package__),
        autoescape=jinja2.select_autoescape(["html.jinja"]),
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
    )
    environment.filters["value"] = lambda row, column: format_value(column, row.get(column))
    for name in ("report.md", "report.html"):
        text = environment.get_template(f"{name}.jinja").render(
            results=results,
            tables=[
                (split, {**rows, **results.published.get(split, {})})
                for split, rows in splits.items()
            ],
            groups=_column_groups(results.protocol),
            settings=describe_settings(results),
            rules=RULES,
            plots=plotted,
            gallery=drawn,
            comparison=comparison,
        )
        (folder / name).write_text(text, encoding="utf-8")
    (folder / "report.json").write_text(
        json.dumps(to_json(results), indent=1, allow_nan=False), encoding="utf-8"
    )
    write_csv(folder / "pairs.csv", results.pairs, results.protocol)


def _column_groups(protocol: Protocol) -> dict[str, list[str]]:
    return {
        "Homographies": [
            *(f"H@{t}" for t in protocol.homography_thresholds),
            *(f"AUC@{t}" for t in protocol.auc_thresholds),
        ],
        "Matching": [*(f"MMA@{t}" for t in protocol.mma_thresholds), "NN mAP", "M. score"],
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

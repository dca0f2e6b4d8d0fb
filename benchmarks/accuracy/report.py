"""The report of a run: Markdown, a self-contained page, CSV and JSON."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

from ..common import gallery, outputs, page
from ..common.datasets import in_split
from ..common.gallery import Exhibit, MatchedPair
from ..common.page import Page, Section
from ..common.tables import Table, write_csv
from . import plots
from .protocol import RULES, Protocol
from .results import Results, describe_settings, tabulate_pairs, to_json
from .run import Job, PairRecord, find_view
from .summary import Row, format_value

TERMS = """\
H@k: share of pairs whose estimated homography moves the corners of the image by at most k pixels
on average from where the true one does. AUC@k: area under that curve up to k. MMA@k: mean share
of matches within k pixels of the truth. NN mAP, M. score: descriptor metrics of the SuperPoint
paper. A dash: the method has no such thing. Bold: the best of a column."""

PUBLISHED = (
    'Rows marked "published" are from the SuperPoint paper (arXiv 1712.07629, tables 3 and 4).'
)

SIMULATED = """\
This is not HPatches. The changes are simulated, so these numbers are not to be quoted beside
HPatches' numbers."""


def write(
    folder: Path, results: Results, jobs: Sequence[Job], command: str, comparison: str = ""
) -> None:
    """Write report.md, report.html, report.json, pairs.csv and the pictures to a folder.

    Parameters
    ----------
    folder : Path
        Made if it is missing.
    results : Results
    jobs : sequence of Job
        What was run, to draw pairs from.
    command : str
        The command line that did it.
    comparison : str
        With an earlier run, if there is one.
    """
    folder.mkdir(parents=True, exist_ok=True)
    made = compose(results, jobs, command, comparison)
    page.write_html(folder / "report.html", made)
    page.write_markdown(folder / "report.md", made)
    report = json.dumps(to_json(results), indent=1, allow_nan=False)
    outputs.write(folder / "report.json", report.encode())
    write_csv(folder / "pairs.csv", tabulate_pairs(results.pairs))


def compose(results: Results, jobs: Sequence[Job], command: str, comparison: str) -> Page:
    """Make the page of a run."""
    data, splits = results.data, results.splits
    first, *others = tables(results)
    curves = [
        plots.mma_curves(splits, results.protocol),
        plots.homography_curves(results.pairs, splits),
        plots.repeatability_bars(splits),
        plots.time_against_accuracy(splits),
    ]
    terms = f"{TERMS} {PUBLISHED}" if results.published else TERMS
    threshold = f"{results.protocol.descriptor_threshold:g}"
    judged = f"{gallery.RULES} A match is correct within {threshold} pixels of the truth."
    drawn = draw_exhibits(results, jobs)
    sections = [
        Section(first[0].capitalize(), terms, first[1]),
        Section("Curves", plots=curves),
        *(Section(split.capitalize(), tables=laid_out) for split, laid_out in others),
        *([Section("Pairs", judged, exhibits=drawn)] if drawn else []),
        *([Section("Compared with an earlier run", preformatted=comparison)] if comparison else []),
        Section("How it was measured", f'Protocol "{results.protocol.name}": {RULES}.'),
        page.settings(describe_settings(results)),
    ]
    return Page(
        "Accuracy of local features",
        f"{data['name']}: {data['sequences']} sequences, {data['pairs']} pairs.",
        command,
        sections,
        warning=SIMULATED if data["built-in"] else "",
        machine={**results.machine, **results.versions},
    )


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
    title: str,
    columns: list[str],
    ours: Mapping[str, Row],
    published: Mapping[str, Mapping[str, float]],
) -> Table:
    quoted = {name: row for name, row in published.items() if not row.keys().isdisjoint(columns)}
    rows = [
        {"method": name} | {column: format_value(column, row.get(column)) for column in columns}
        for name, row in [*ours.items(), *quoted.items()]
    ]
    better = {
        column: min if column in ("loc. error", "ms/image") else max
        for column in columns
        if column not in ("keypoints", "matches", "pairs")  # neither more nor less is better
    }
    return Table(title, rows, best=better, quoted=len(quoted))


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


def draw_exhibits(results: Results, jobs: Sequence[Job]) -> list[Exhibit]:
    """Draw the best, the median and the worst pair of each split, by every chosen method.

    Where errors are equal, as those of failures are, the matching score decides.
    """
    methods = gallery.choose_methods([p.method for p in results.pairs if p.matches is not None])
    if not methods:
        return []
    exhibits = []
    for split in ("illumination", "viewpoint"):
        pairs = [
            pair
            for pair in results.pairs
            if pair.method == methods[0] and in_split(pair.sequence, split)
        ]
        chosen = gallery.choose_pairs(
            pairs, lambda pair: (pair.corner_errors[0], -(pair.matching_score or 0))
        )
        exhibits += [
            _draw(split, rank, pair, methods, results, jobs) for rank, pair in chosen.items()
        ]
    return exhibits


def _draw(
    split: str,
    rank: str,
    pair: PairRecord,
    methods: Sequence[str],
    results: Results,
    jobs: Sequence[Job],
) -> Exhibit:
    job_of = {job.method: job for job in jobs if job.sequence.name == pair.sequence}
    error_of = {
        p.method: p.corner_errors[0]
        for p in results.pairs
        if (p.sequence, p.image) == (pair.sequence, pair.image) and p.corner_errors
    }

    def match(method: str) -> MatchedPair:
        job = job_of[method]
        view = find_view(job, job.protocol.size, job.protocol.points)
        k = [path.name for path in job.sequence.images].index(pair.image)
        first, second = ((view.images[i], view.features[i]) for i in (0, k))
        return MatchedPair(first, second, view.homographies[k], error_of[method])

    title = f"{split}, {rank}: {pair.sequence}, image 1 and {pair.image}"
    threshold = results.protocol.descriptor_threshold
    return gallery.draw_exhibit(title, f"{split}_{rank}", methods, match, threshold)

"""How well corners are found in Synthetic Shapes: mean average precision, localisation error.

The evaluation of arXiv 1712.07629, section 4.2, and appendices A and B. The protocol here:

- The test set is drawn by :mod:`train.data.shapes` from fixed seeds: equally many pictures of each
  figure, once as they are drawn and once with :func:`train.data.noise.add_noise`. All detectors see
  the same ones.
- Every detector gives all its points with their scores, after non-maximum suppression of 4 pixels.
- A point is correct within 4 pixels of a corner (appendix A, equation 11; the 4 is from the
  authors' earlier arXiv 1707.07410). Each corner is found once, by the strongest point: it takes
  the nearest corner that is left, and what is over is a false positive.
- Average precision (AP): the area under the curve of precision over recall that all points of a
  figure's pictures give, sorted by score. mAP: its mean over the figures that have corners.
- An operating point is needed for the rest: the score at which F1 over all those figures is best.
- Localisation error: the mean distance, in pixels, of the correct points with at least this score
  (equation 12).
- False alarms: points with at least this score per picture of the figures without corners.

Equation 11 alone would call a second point at the same corner correct as well. The paper does not
say how its noise was made, and its figures are other drawings: compare the rows of one table, not
with the paper's (table 5).
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from tqdm import tqdm

from ..data.noise import add_noise
from ..data.shapes import SHAPES, Points, draw
from ..files import write_whole
from .corner_detectors import CLASSICAL, NMS_RADIUS, Detector, Scores, network_detector
from .tables import markdown_table

EPSILON = 4.0  # pixels
_SEED = 1712_07629


@dataclass(frozen=True)
class Outcome:
    """What became of a detector's points, in any number of pictures.

    Attributes
    ----------
    score
        ``(N,)`` of each point.
    correct
        ``(N,)`` bool.
    distance
        ``(N,)`` pixels to its corner; only of meaning where correct.
    corners
        How many there were to find.
    pictures
        How many were searched.
    """

    score: Scores
    correct: npt.NDArray[np.bool_]
    distance: npt.NDArray[np.float64]
    corners: int
    pictures: int = 1


@dataclass(frozen=True)
class Row:
    """One detector on the test set, with or without noise.

    Attributes
    ----------
    detector
        Its name.
    noise
        Whether the pictures were noisy.
    mean_average_precision
        0..1.
    localisation_error
        Pixels; nan without any correct point.
    recall, precision
        At the operating point, over all figures with corners.
    false_alarms
        Points per picture without corners, at the operating point.
    average_precision
        By figure.
    """

    detector: str
    noise: bool
    mean_average_precision: float
    localisation_error: float
    recall: float
    precision: float
    false_alarms: float
    average_precision: dict[str, float]


def judge(points: Points, scores: Scores, corners: Points, epsilon: float = EPSILON) -> Outcome:
    """Tell which points are correct: strongest first, each takes the nearest corner left.

    Parameters
    ----------
    points, scores
        ``(N, 2)`` pixels and ``(N,)``.
    corners
        ``(K, 2)``, the truth.
    epsilon
        Largest distance of a correct point, in pixels, itself included.

    Returns
    -------
    Outcome
        Of this picture, strongest first.
    """
    order = np.argsort(-scores, kind="stable")
    distance = np.linalg.norm(points[order, None].astype(np.float64) - corners[None], axis=2)
    correct, nearest = np.zeros(len(points), bool), np.full(len(points), np.inf)
    # Only points near some corner need to be looked at one by one.
    for i in np.flatnonzero((distance <= epsilon).any(1)):
        j = distance[i].argmin()
        if distance[i, j] <= epsilon:
            correct[i], nearest[i] = True, distance[i, j]
            distance[:, j] = np.inf
    return Outcome(scores[order], correct, nearest, len(corners))


def pool(outcomes: Sequence[Outcome]) -> Outcome:
    """Return the outcomes of several pictures as one."""
    score, correct, distance = (
        np.concatenate([getattr(outcome, name) for outcome in outcomes])
        for name in ("score", "correct", "distance")
    )
    corners, pictures = (sum(getattr(o, n) for o in outcomes) for n in ("corners", "pictures"))
    return Outcome(score, correct, distance, corners, pictures)


def precision_recall(
    outcome: Outcome,
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64], Scores]:
    """Return precision and recall at every distinct score, from the highest on.

    Parameters
    ----------
    outcome
        With at least one corner.

    Returns
    -------
    precision, recall, score : ndarray
        ``(M,)`` each: what all points with at least this score give.
    """
    order = np.argsort(-outcome.score, kind="stable")
    score, found = outcome.score[order], np.cumsum(outcome.correct[order])
    last = np.flatnonzero(np.append(score[1:] != score[:-1], len(score) > 0))
    return found[last] / (last + 1), found[last] / outcome.corners, score[last]


def average_precision(outcome: Outcome) -> float:
    """Return the area under precision over recall, 0..1, without interpolation.

    Each step of recall counts with the precision where it ends; equal scores are one step, so
    that the order in which they come does not matter.
    """
    precision, recall, _ = precision_recall(outcome)
    return float(np.sum(np.diff(recall, prepend=0.0) * precision))


def _operating_point(outcome: Outcome) -> tuple[float, float, float]:
    """Return precision, recall and score where F1 is best."""
    precision, recall, score = precision_recall(outcome)
    if not len(score):
        return 0.0, 0.0, np.inf
    best = (precision * recall / np.maximum(precision + recall, 1e-12)).argmax()
    return float(precision[best]), float(recall[best]), float(score[best])


def summarise(detector: str, noise: bool, outcomes: Mapping[str, Outcome]) -> Row:
    """Return the figures of one detector from the outcome of each figure of the test set."""
    with_corners = {name: o for name, o in outcomes.items() if o.corners}
    without = [o for o in outcomes.values() if not o.corners]
    everything = pool(list(with_corners.values()))
    precision, recall, score = _operating_point(everything)
    counted = everything.correct & (everything.score >= score)
    errors, alarms = everything.distance[counted], sum((o.score >= score).sum() for o in without)
    by_figure = {name: average_precision(o) for name, o in with_corners.items()}
    return Row(
        detector,
        noise,
        float(np.mean(list(by_figure.values()))),
        float(errors.mean()) if len(errors) else float("nan"),
        recall,
        precision,
        float(alarms / max(1, sum(o.pictures for o in without))),
        by_figure,
    )


def evaluate(
    detectors: Mapping[str, Detector],
    pictures: int = 100,
    size: tuple[int, int] = (120, 160),
    figures: Sequence[str] = tuple(SHAPES),
) -> list[Row]:
    """Compare detectors on the test set, without and with noise.

    Parameters
    ----------
    detectors
        By name.
    pictures
        How many of each figure (the paper has 1000).
    size
        ``(height, width)`` of the pictures.
    figures
        Names of :data:`train.data.shapes.SHAPES`; at least one of them with corners.

    Returns
    -------
    list of Row
        For each detector one without noise and one with.
    """
    rows: dict[str, list[Row]] = {name: [] for name in detectors}
    for noise in (False, True):
        found: dict[str, dict[str, Outcome]] = {name: {} for name in detectors}
        for figure in tqdm(figures, desc="noisy shapes" if noise else "shapes", mininterval=5):
            outcomes: dict[str, list[Outcome]] = {name: [] for name in detectors}
            for i in range(pictures):
                rng = np.random.default_rng([_SEED, *figure.encode(), i])
                image, corners = draw(rng, size, figure)
                if noise:
                    image = add_noise(rng, image)
                for name, find_corners in detectors.items():
                    outcomes[name].append(judge(*find_corners(image), corners))
            for name in detectors:
                found[name][figure] = pool(outcomes[name])
        for name in detectors:
            rows[name].append(summarise(name, noise, found[name]))
    return [row for of_one in rows.values() for row in of_one]


def format_table(rows: Sequence[Row]) -> str:
    """Return the rows as a Markdown table, the average precision of each figure included."""
    figures = list(rows[0].average_precision)
    head = ["detector", "noise", "mAP", "loc. error", "recall", "precision", "false alarms"]
    lines = []
    for row in rows:
        values = (
            row.mean_average_precision,
            row.localisation_error,
            row.recall,
            row.precision,
            row.false_alarms,
            *row.average_precision.values(),
        )
        noise = "yes" if row.noise else "no"
        lines.append([row.detector, noise, *(f"{value:.3f}" for value in values)])
    return markdown_table([*head, *figures], lines)


def run(
    networks: Mapping[str, Callable[[Tensor], Tensor]],
    device: torch.device,
    out: Path,
    pictures: int = 100,
    size: tuple[int, int] = (120, 160),
) -> list[Row]:
    """Evaluate networks beside FAST, Harris and Shi-Tomasi; print the table, write it as JSON.

    Parameters
    ----------
    networks
        By name, from ``(1, 1, H, W)`` grey in [0, 1] to ``(1, 65, H/8, W/8)`` logits, in
        evaluation mode.
    device
        Of the networks.
    out
        The ``.json`` to write.
    pictures, size
        As for :func:`evaluate`; sides multiples of 8.
    """
    ours = {name: network_detector(to_logits, device) for name, to_logits in networks.items()}
    rows = evaluate({**ours, **CLASSICAL}, pictures, size)
    protocol: dict[str, float] = {
        "pictures_per_figure": pictures,
        "height": size[0],
        "width": size[1],
    }
    protocol |= {"epsilon": EPSILON, "nms_radius": NMS_RADIUS}
    results = json.dumps({**protocol, "rows": [asdict(row) for row in rows]}, indent=1)
    write_whole(out, lambda stream: stream.write(results.encode()))
    print(
        f"Synthetic Shapes, {pictures} pictures of {size[1]}x{size[0]} per figure; correct within "
        f"{EPSILON:g} px, one point per corner; the rest at the score of best F1; false alarms "
        f"per picture without corners\n\n{format_table(rows)}"
    )
    return rows

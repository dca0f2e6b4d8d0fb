"""Records to tables, by hand; and what two runs differ in."""

import copy
import math
from pathlib import Path

import pytest

from benchmarks.accuracy import comparison, summary
from benchmarks.accuracy.protocol import Protocol
from benchmarks.accuracy.run import ImageRecord, PairRecord

PROTOCOL = Protocol(auc_thresholds=(3,), mma_thresholds=(1, 3))
IMAGES = [ImageRecord("m", "i_a", f"{n}.png", n, ms) for n, ms in ((1, 100.0), (3, 2.0), (8, 4.0))]
PAIRS = [
    PairRecord("m", "i_a", "2.png", 0.75, 1.5, 9, [0.5], {1: 0.5, 3: 0.75}, 0.25, 0.5),
    PairRecord("m", "i_a", "3.png", 0.0, math.nan, 0, [math.inf], {1: 0, 3: 0}, 0.0, 0.0),
]
ROW = {
    "H@1": 0.5,
    "H@3": 0.5,
    "H@5": 0.5,
    # (0, 0) to (.5, .5), then level to 3: (.125 + 1.25) / 3.
    "AUC@3": pytest.approx(1.375 / 3),
    "MMA@1": 0.25,
    "MMA@3": 0.375,
    "NN mAP": 0.25,
    "M. score": 0.125,
    "repeatability": 0.375,
    "loc. error": 1.5,
    "keypoints": 4,
    "matches": 4.5,
    "ms/image": 4.0,
    "pairs": 2,
}


def test_summary_by_hand() -> None:
    assert summary.summarise(IMAGES, PAIRS, PROTOCOL) == ROW


def test_splits_are_always_there() -> None:
    splits = summary.summarise_splits(IMAGES, PAIRS, PROTOCOL)
    assert list(splits) == ["all", "illumination", "viewpoint"]
    assert splits["all"]["m"] == splits["illumination"]["m"] == ROW
    nothing = splits["viewpoint"]["m"]
    assert nothing.pop("pairs") == 0
    assert all(math.isnan(value) for value in nothing.values())


def test_rows_per_sequence() -> None:
    assert summary.summarise_sequences(IMAGES, PAIRS, PROTOCOL) == {"i_a m": ROW}


def test_table() -> None:
    rows = {"m": summary.summarise(IMAGES, PAIRS, PROTOCOL), "published": {"H@1": 0.31}}
    columns = ("H@1", "AUC@3", "loc. error", "matches", "ms/image", "pairs")
    lines = summary.format_rows(rows, columns).splitlines()
    assert [line.split() for line in lines] == [
        ["method", "H@1", "AUC@3", "loc.", "error", "matches", "ms/image", "pairs"],
        ["m", "0.500", "0.458", "1.500", "4", "4.0", "2"],
        ["published", "0.310", "-", "-", "-", "-", "-"],
    ]
    assert len({len(line) for line in lines}) == 1


def test_terminal_columns_exist() -> None:
    assert set(summary.TERMINAL_COLUMNS) <= set(summary.summarise(IMAGES, [], Protocol()))


@pytest.fixture
def run() -> dict:
    return {
        "protocol": {"points": 1000},
        "data": {"name": "here"},
        "versions": {"OpenCV": "5.0.0"},
        "summary": {"all": {"ORB": {"H@3": 0.5, "MMA@3": None, "pairs": 9}}},
    }


def test_compare_equal_runs(run: dict) -> None:
    text = comparison.compare(run, copy.deepcopy(run))
    assert "more than the methods" not in text
    header, row = (line.split() for line in text.splitlines()[1:])
    values = dict(zip(["method", *summary.TERMINAL_COLUMNS], row, strict=True))
    assert header[:2] == ["method", "H@1"]
    assert (values["H@3"], values["MMA@3"], values["pairs"]) == ("+0.000", "-", "+0")


def test_compare_tells_what_changed(run: dict) -> None:
    new = copy.deepcopy(run)
    new["summary"]["all"]["ORB"]["H@3"] = 0.25
    new["summary"]["all"]["SIFT"] = {"H@3": 1.0}
    new["protocol"]["points"] = 500
    new["versions"]["OpenCV"] = "4.8.0"
    text = comparison.compare(run, new)
    assert "protocol: points was 1000, is 500" in text
    assert "versions: OpenCV was 5.0.0, is 4.8.0" in text
    assert "-0.250" in text
    assert "SIFT: only in the new run" in text
    assert "SIFT: only in the old run" in comparison.compare(new, run)


@pytest.mark.parametrize("content", [None, "not json", "[]", "{}", '{"summary": 3}'])
def test_compare_refuses_other_files(tmp_path: Path, content: str | None) -> None:
    path = tmp_path / "old.json"
    if content is not None:
        path.write_text(content)
    with pytest.raises(comparison.ComparisonError, match=r"not a report\.json"):
        comparison.read(path)

"""Two files of pytest-benchmark compared by ratios to ORB and SIFT."""

import json
from pathlib import Path

import pytest

from benchmarks.__main__ import main


def write(path: Path, times: dict[str, tuple[float, float, float]]) -> str:
    """Write a file with the medians of ours, ORB and SIFT, by case."""
    benchmarks = [
        {
            "param": case,
            "stats": {"median": ours},
            "extra_info": {"references": {"ORB": [orb, orb, 9 * orb], "SIFT": [0, sift, sift]}},
        }
        for case, (ours, orb, sift) in times.items()
    ]
    classical = {"param": "ORB", "stats": {"median": 1.0}, "extra_info": {}}
    commit = {"id": "0123456789abcdef", "dirty": True}
    contents = {"commit_info": commit, "machine_info": {}, "benchmarks": [classical, *benchmarks]}
    path.write_text(json.dumps(contents))
    return str(path)


@pytest.mark.parametrize(
    ("new", "code"),
    [
        ((20.0, 2.0, 20.0), 0),  # another machine, half as fast
        ((10.9, 1.0, 10.0), 0),
        ((11.1, 1.0, 10.0), 1),
        ((12.0, 1.0, 11.0), 0),  # SIFT was slow too: who knows
        ((5.0, 1.0, 10.0), 0),
    ],
)
def test_slower_is_by_both_references(
    new: tuple[float, float, float], code: int, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    old = write(tmp_path / "old.json", {"a": (10.0, 1.0, 10.0), "gone": (1.0, 1.0, 1.0)})
    arguments = ["compare-speed", old, write(tmp_path / "new.json", {"a": new})]
    if code:
        with pytest.raises(SystemExit) as stopped:
            main(arguments)
        assert stopped.value.code == code
        main([*arguments, "--fail", "1.2"])
    else:
        main(arguments)
    text = capsys.readouterr().out
    assert "gone" not in text
    printed = text.splitlines()
    assert printed[0].startswith("old: 0123456789, with changes that are not committed")
    change = [f"{new[0] / new[i] / (10 / scale) - 1:+.1%}" for i, scale in ((1, 1), (2, 10))]
    cells = printed[5].split()
    assert (cells[0], [cells[3], cells[6]]) == ("a", change)
    assert cells[7] == ("SLOWER" if code else "ok")


def test_files_that_cannot_be_compared(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    good = write(tmp_path / "good.json", {"a": (10.0, 1.0, 10.0)})
    other = write(tmp_path / "other.json", {"b": (10.0, 1.0, 10.0)})
    empty = write(tmp_path / "empty.json", {})
    foreign = tmp_path / "foreign.json"
    foreign.write_text("[]")
    for path, message in (
        (other, "no case in common"),
        (empty, "no times of our methods"),
        (str(foreign), "as a file of pytest-benchmark"),
        (str(tmp_path / "none.json"), "cannot read"),
    ):
        with pytest.raises(SystemExit) as stopped:
            main(["compare-speed", good, path])
        assert stopped.value.code == 2
        assert message in capsys.readouterr().err

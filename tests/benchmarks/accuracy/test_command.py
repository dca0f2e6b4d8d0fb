"""The command: what it prints, the report it writes, how it goes on and how it refuses."""

import csv
import json
import re
from concurrent.futures.process import BrokenProcessPool
from html.parser import HTMLParser
from pathlib import Path

import cv2
import dots
import pytest

from benchmarks.__main__ import main
from benchmarks.accuracy import published, report, results
from benchmarks.accuracy import run as accuracy
from benchmarks.accuracy.protocol import PRESETS, Protocol
from benchmarks.common import photographs
from benchmarks.common.datasets import read_sequences
from benchmarks.common.machine import describe_machine

METHODS = ("ORB", "FAST", dots.BLIND)


def command(folder: Path, *more: str) -> None:
    main(["hpatches", "--data", str(folder), "--workers", "1", *more])


@pytest.fixture(scope="module")
def out(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a report on three methods and the sequences ``i_dots`` and ``v_dots``."""
    folder = tmp_path_factory.mktemp("data")
    dots.write_dots(folder)
    dots.write_photograph(folder / "i_light")
    out = tmp_path_factory.mktemp("report") / "new"
    command(folder, "--out", str(out), "--methods", *METHODS)
    return out


class Page(HTMLParser):
    """Collects the pictures and the rows of a page, and checks that tags are closed."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.pictures: list[str] = []
        self.cells: list[list[str]] = []
        self.feed(text.replace("<wbr>", ""))

    def handle_starttag(self, tag, attrs):
        if tag not in ("meta", "link", "img"):
            self.open.append(tag)
        if tag == "img":
            self.pictures.append(dict(attrs)["src"])
        if tag == "tr":
            self.cells.append([])

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if "table" in self.open and data.strip():
            self.cells[-1].append(data)


def test_page_is_whole_and_needs_no_other_file(out: Path) -> None:
    text = (out / "report.html").read_text(encoding="utf-8")
    page = Page(text)
    assert not page.open
    assert text.count("<svg") == 3 + 3 + 1 + 1  # curves of the splits; bars; times
    # Best, median and worst of both splits, by both methods with descriptors.
    assert len(page.pictures) == 3 * 2 * 2
    assert all(source.startswith("data:image/jpeg;base64,") for source in page.pictures)
    assert not re.findall(r'(?:src|href)="(?!data:|#)', text)


def test_page_and_markdown_hold_the_same_numbers(out: Path) -> None:
    rows = Page((out / "report.html").read_text(encoding="utf-8")).cells
    markdown = (out / "report.md").read_text(encoding="utf-8")
    lines = [
        [cell.strip(" *") for cell in line.strip("|").split("|")]
        for line in markdown.splitlines()
        if line.startswith("|") and not line.startswith("|---")
    ]
    assert lines == rows
    assert [row[0] for row in rows].count("ORB") == 3 * 3  # splits, groups of columns
    widths = {len(row) for row in rows}
    assert widths == {1 + 8, 1 + 10, 1 + 6, 2}


def test_pictures_of_the_markdown_exist(out: Path) -> None:
    links = re.findall(r"\]\(([^)]+)\)", (out / "report.md").read_text(encoding="utf-8"))
    assert len(links) == 4 + 3 * 2 * 2
    for link in links:
        picture = cv2.imread(str(out / link))
        assert picture is not None
        assert picture.std() > 5  # not blank


def test_every_constant_is_in_the_report(out: Path) -> None:
    markdown = (out / "report.md").read_text(encoding="utf-8")
    for name, value in vars(PRESETS["paper"]).items():
        assert f"| protocol: {name} | {value} |" in markdown
    assert f"| OpenCV | {cv2.__version__} |" in markdown
    assert f"| CPU | {describe_machine()['CPU']} |" in markdown
    assert "ratio kept" in markdown
    assert "1 process" in markdown


def test_csv_has_a_line_per_method_and_pair(out: Path) -> None:
    with (out / "pairs.csv").open(newline="", encoding="utf-8") as stream:
        lines = list(csv.DictReader(stream))
    assert [line["method"] for line in lines] == [*METHODS, *METHODS]
    orb, fast, blind = lines[:3]
    assert float(orb["MMA@3"]) > 0.5
    assert (fast["matches"], fast["corner error 1"], fast["MMA@3"]) == ("", "", "")
    assert float(fast["repeatability"]) > 0.3
    assert (blind["matches"], blind["corner error 1"], blind["loc. error"]) == ("0", "inf", "")


def test_json_is_strict_and_whole(out: Path) -> None:
    text = (out / "report.json").read_text(encoding="utf-8")
    contents = json.loads(text, parse_constant=pytest.fail)  # neither NaN nor Infinity
    assert len(contents["images"]) == 2 * 2 * len(METHODS)
    assert len(contents["pairs"]) == 2 * len(METHODS)
    blind = [pair for pair in contents["pairs"] if pair["method"] == dots.BLIND]
    assert [pair["corner_errors"] for pair in blind] == [[None]] * 2
    assert contents["summary"]["all"][dots.BLIND]["H@3"] == 0
    assert contents["summary"]["all"]["FAST"]["H@3"] is None


def test_printed(hpatches_folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    command(hpatches_folder, "--per-sequence", "--methods", "ORB", dots.BLIND, "ORB")
    printed = capsys.readouterr().out
    assert "size (480, 640); protocol: points 1000" in " ".join(printed.split())
    assert f"OpenCV {cv2.__version__}" in " ".join(printed.split())
    _, per_sequence, *splits = printed.split("\n\n")
    first_words = [row.split()[0] for row in per_sequence.splitlines()]
    assert first_words == ["method", "i_dim", "i_dim", "v_shift", "v_shift"]
    assert [[row.split()[0] for row in split.splitlines()] for split in splits] == [
        [split, "method", "ORB", dots.BLIND] for split in ("all", "illumination", "viewpoint")
    ]


def test_compare_with_an_earlier_report(
    out: Path, hpatches_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    earlier = ("--compare", str(out / "report.json"))
    command(hpatches_folder, "--methods", "ORB", "--out", str(tmp_path), *earlier)
    printed = capsys.readouterr().out
    assert "data: pairs was 2, is 3" in printed
    assert "FAST: only in the old run" in printed
    for name in ("report.md", "report.html"):
        assert "data: pairs was 2, is 3" in (tmp_path / name).read_text(encoding="utf-8")


def test_second_run_takes_features_from_the_folder(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    dots.write_dots(tmp_path / "data")
    arguments = ("--methods", dots.DOTS, "--out", str(tmp_path), "--points", "50")
    dots.DotDetector.calls = 0
    command(tmp_path / "data", *arguments)
    assert dots.DotDetector.calls == 2 * 2  # two sizes of two images
    command(tmp_path / "data", *arguments, "--repeats", "3", "--estimator", "USAC_MAGSAC")
    assert dots.DotDetector.calls == 2 * 2
    written = json.loads((tmp_path / "report.json").read_text(encoding="utf-8"))
    assert written["protocol"]["ransac_repeats"] == 3
    assert written["protocol"]["estimator"] == "USAC_MAGSAC"
    assert written["protocol"]["points"] == 50


@pytest.mark.parametrize(("trouble", "code"), [(KeyboardInterrupt, 130), (BrokenProcessPool, 1)])
def test_interruption_says_how_to_go_on(
    hpatches_folder: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    trouble: type[BaseException],
    code: int,
) -> None:
    def interrupt(jobs):
        raise trouble

    monkeypatch.setattr(accuracy, "run", interrupt)
    with pytest.raises(SystemExit) as stopped:
        command(hpatches_folder, "--methods", "ORB", "--out", str(tmp_path))
    assert stopped.value.code == code
    assert f"{tmp_path / 'features'}; the same command goes on" in capsys.readouterr().err


def test_without_data_the_built_in_set_is_used_and_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(photographs, "BUNDLED", ("coins",))
    main(["hpatches", "--methods", "ORB", "--workers", "1", "--out", str(tmp_path)])
    assert capsys.readouterr().out.startswith("built-in set (simulated")
    for name in ("report.md", "report.html"):
        assert "This is not HPatches." in (tmp_path / name).read_text(encoding="utf-8")
    written = json.loads((tmp_path / "report.json").read_text(encoding="utf-8"))
    assert written["data"]["pairs"] == 6


def test_large_sequences_can_be_left_out(
    hpatches_folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (hpatches_folder / "v_shift").rename(hpatches_folder / "v_talent")
    command(hpatches_folder, "--methods", "ORB", "--skip-large")
    assert "data: sequences 1; data: pairs 1;" in " ".join(capsys.readouterr().out.split())
    (hpatches_folder / "i_dim").rename(hpatches_folder / "i_dc")
    with pytest.raises(SystemExit) as stopped:
        command(hpatches_folder, "--methods", "ORB", "--preset", "mma")
    assert stopped.value.code == 2


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--data", "nowhere"], "hpatches-sequences-release"),
        (["--methods", "orbb"], "unknown method 'orbb'"),
        (["--methods", f"SuperPoint={__file__}"], "cannot make the method"),
        (["--repeats", "0"], "a positive whole number is wanted"),
        (["--compare", "nowhere.json"], "cannot compare with nowhere.json"),
    ],
)
def test_refusals_explain(
    hpatches_folder: Path,
    arguments: list[str],
    message: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    with pytest.raises(SystemExit) as stopped:
        command(hpatches_folder, *arguments)
    assert stopped.value.code == 2
    assert message in capsys.readouterr().err


@pytest.fixture
def orb_results(hpatches_folder: Path, tmp_path: Path) -> results.Results:
    jobs = accuracy.plan(["ORB"], read_sequences(hpatches_folder), Protocol(), tmp_path)
    data = {"name": "d", "sequences": 2, "pairs": 3, "full release": False, "built-in": False}
    return results.Results(Protocol(), data, {}, {}, *accuracy.run(jobs))


def test_json_comes_back_as_it_was(orb_results: results.Results) -> None:
    contents = results.to_json(orb_results)
    assert json.loads(json.dumps(contents)) == contents


def test_published_numbers_stand_beside_the_full_release_only(
    orb_results: results.Results,
) -> None:
    def names() -> dict[str, list[str]]:
        return {
            split: [row["method"] for row in tables[0].rows]
            for split, tables in report.tables(orb_results)
        }

    assert names()["all"] == ["ORB"]
    orb_results.data["full release"] = True
    assert names()["all"] == ["ORB", *(f"{n} (published)" for n in ("SuperPoint", "SIFT", "ORB"))]
    (_, illumination, _) = report.tables(orb_results)
    assert [row["method"] for row in illumination[1][2].rows] == ["ORB", "SuperPoint (published)"]
    assert illumination[1][2].quoted == 1


def test_published_numbers_need_their_protocol() -> None:
    assert published.comparable(Protocol(ransac_repeats=10), full_release=True)
    assert not published.comparable(Protocol(points=500), full_release=True)
    assert not published.comparable(PRESETS["mma"], full_release=True)
    assert not published.comparable(Protocol(), full_release=False)

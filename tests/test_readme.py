"""What the README and the pages in docs/ show is what happens."""

from __future__ import annotations

import inspect
import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from contract import IMAGE

import cv2_superpoint
from benchmarks.__main__ import main as benchmark
from cv2_superpoint.apps.cli import _parser, main
from cv2_superpoint.model.network import ARCHITECTURES
from cv2_superpoint.model.weights import shipped_models
from cv2_superpoint.runners.choose import PRECISIONS

ROOT = Path(__file__).parent.parent
DOCS = sorted((ROOT / "docs").glob("*.md"))
PAGES = [ROOT / "README.md", *DOCS]
CARD = ROOT / "cv2_superpoint" / "weights" / "MODEL_CARD.md"


def read(page: Path) -> str:
    return page.read_text(encoding="utf-8")


def blocks(page: Path, *languages: str) -> list[str]:
    return re.findall(rf"```(?:{'|'.join(languages)})\n(.*?)```", read(page), re.DOTALL)


@pytest.fixture(scope="module")
def namespace():
    """Names left by the README's Python, run from top to bottom."""
    names: dict = {}
    for block in blocks(ROOT / "README.md", "python"):
        exec(block, names)
    return names


def test_the_script_finds_the_homography(namespace):
    x, y = np.meshgrid(np.arange(0, 600, 40.0), np.arange(0, 400, 40.0))
    grid = np.stack([x, y], axis=-1).reshape(-1, 1, 2)
    found, true = (
        cv2.perspectiveTransform(grid, namespace[name])[:, 0] for name in ("homography", "true")
    )
    seen = ((true >= 0) & (true < (600, 400))).all(axis=1)  # elsewhere there is nothing to match
    assert seen.sum() > 100
    assert np.linalg.norm(found - true, axis=1)[seen].mean() < 2


def test_only_the_line_of_the_detector_changes_from_orb(namespace):
    readme = ROOT / "README.md"
    old, new = re.search(
        r"-(detector = .*)\n\+(detector = .*)\n", blocks(readme, "diff")[0]
    ).groups()
    (script,) = (block for block in blocks(readme, "python") if "findHomography" in block)
    assert new in script
    names: dict = {}
    exec(re.sub(re.escape(new) + ".*", old, script), names)
    assert isinstance(names["detector"], cv2.ORB)
    assert namespace["inliers"].sum() > 30
    assert names["inliers"].sum() > 30


def test_plain_arrays_are_as_described(namespace):
    features = namespace["features"]
    assert features.xy.shape == (len(features), 2)
    assert features.descriptors.shape == (len(features), 64)
    assert len(namespace["batch"]) == 2


WITH_CODE = [page for page in DOCS if blocks(page, "python")]


@pytest.mark.parametrize("page", WITH_CODE, ids=lambda page: page.name)
def test_pages_run_from_top_to_bottom(page, tmp_path, monkeypatch):
    if page.name == "bulk.md":
        pytest.importorskip("h5py")
    if page.name == "cpp.md":
        pytest.importorskip("onnxruntime")
        if not hasattr(cv2, "ALIKED_create"):
            pytest.skip("needs OpenCV 5")
    monkeypatch.chdir(tmp_path)
    cv2.imwrite("photo.jpg", IMAGE)
    weights = tmp_path / "runs" / "mine" / "superpoint-lite.safetensors"  # as training leaves them
    weights.parent.mkdir(parents=True)
    weights.write_bytes(CARD.with_name(weights.name).read_bytes())
    names: dict = {}
    for language, block in re.findall(r"```(python|sh)\n(.*?)```", read(page), re.DOTALL):
        if language == "python":
            exec(block, names)
        elif re.match("cv2-superpoint ((detect|extract) photo.jpg|export)", block):
            main(shlex.split(block)[1:])


# What your code says, and what to write ----------------------------------------------------------


def rows() -> Iterator[tuple[str, str, Any]]:
    """Yield the code in the two columns of the tables of replacements, and what ours is made by."""
    for page, create in (
        (ROOT / "README.md", cv2_superpoint.ORB_create),
        (ROOT / "docs" / "migrating.md", cv2_superpoint.SuperPoint_create),
    ):
        for table in read(page).split("| your code says | write |\n|---|---|\n")[1:]:
            for row in table.split("\n\n")[0].splitlines():
                old, new = row.strip("| ").split(" | ")
                code = re.match(r"`(.+?)`", old)[1]
                replacement = re.match(r"`(.+?)`", new)
                yield code, replacement[1] if replacement else code if "same" in new else "", create


ROWS = list(dict.fromkeys(rows()))


def run(code: str, created_by: Any) -> dict[str, Any]:
    """Run code with the names that the page lends it, and match by what comes of it."""
    if not hasattr(cv2, "AKAZE_create"):  # in OpenCV 5 it is in a module of its own
        code = code.replace("cv2.AKAZE_create", "cv2.xfeatures2d.AKAZE_create")
    detector = created_by(500)
    _, descriptors = detector.detectAndCompute(IMAGE, None)
    pairs = cv2.BFMatcher(detector.defaultNorm()).knnMatch(descriptors, descriptors, k=2)
    names = {
        "cv2": cv2, "cv2_superpoint": cv2_superpoint, "detector": detector, "pairs": pairs,
        "matches": [best for best, _ in pairs],
    }  # fmt: skip
    exec(code, names)
    return names


@pytest.mark.parametrize(("old", "new", "create"), ROWS)
def test_each_replacement_runs_and_does_the_same(old, new, create):
    before = run(old, cv2.ORB_create)
    after = run(new, create)
    for names in (before, after):
        detector = names["detector"]
        _, descriptors = detector.detectAndCompute(IMAGE, None)
        matcher = names.get("matcher") or cv2.BFMatcher(detector.defaultNorm())
        matches = matcher.match(descriptors, descriptors)
        assert sum(m.queryIdx == m.trainIdx for m in matches) > 0.9 * len(descriptors)
        assert "good" not in names or len(names["good"]) > 20
    if old.startswith("detector ="):
        assert isinstance(after["detector"], cv2_superpoint.SuperPoint)
    if new == old and (getter := re.match(r"detector\.set(\w+)\((.+)\)", new)):
        for names in (before, after):
            assert getattr(names["detector"], f"get{getter[1]}")() == float(getter[2])


def test_many_rows_were_found():
    assert len(ROWS) > 20


def test_ratio_of_old_loses_correct_matches(namespace):
    """As docs/migrating.md says of 0.75 and float descriptors."""
    ratios = [float(re.search(r"< ([\d.]+) \* n", code)[1])
              for *codes, create in ROWS if create is cv2_superpoint.SuperPoint_create
              for code in codes if "* n.distance" in code]  # fmt: skip
    correct = [correct_matches(namespace["superpoint"], namespace, ratio)[0] for ratio in ratios]
    assert correct[0] < 0.8 * correct[1]


@pytest.mark.parametrize("name", ["ORB", "SIFT"])
def test_ratio_of_old_leaves_more_correct_matches_than_opencvs(name, namespace):
    create = f"{name}_create"
    (theirs, _), (ours, share) = (
        correct_matches(getattr(module, create)(1000), namespace, 0.75)
        for module in (cv2, cv2_superpoint)
    )
    assert ours > theirs
    assert share > 0.9


def correct_matches(detector: Any, namespace: dict[str, Any], ratio: float) -> tuple[int, float]:
    """Return how many matches of the quick start's views a ratio test leaves that are correct."""
    (keypoints1, rows1), (keypoints2, rows2) = (
        detector.detectAndCompute(namespace[view], None) for view in ("first", "second")
    )
    pairs = cv2.BFMatcher(detector.defaultNorm()).knnMatch(rows1, rows2, k=2)
    good = [m for m, n in pairs if m.distance < ratio * n.distance]
    source = np.float32([keypoints1[m.queryIdx].pt for m in good])
    target = np.float32([keypoints2[m.trainIdx].pt for m in good])
    moved = cv2.perspectiveTransform(source[:, None], namespace["true"])[:, 0]
    right = np.linalg.norm(moved - target, axis=1) < 3
    return int(right.sum()), float(right.mean())


# Parameters --------------------------------------------------------------------------------------


def parameters() -> dict[str, str]:
    table = read(ROOT / "docs" / "parameters.md").split("\n## ")[0]
    return dict(re.findall(r"^\| `(\w+)` \| `(.+?)` \|", table, re.M))


def test_defaults_are_as_documented():
    signature = inspect.signature(cv2_superpoint.SuperPoint_create).parameters
    assert {k: eval(v) for k, v in parameters().items()} == {
        name: parameter.default for name, parameter in signature.items()
    }


def test_getters_are_as_documented(detector):
    text = read(ROOT / "docs" / "parameters.md")
    getters = re.findall(r"`(get\w+)`", text.split("```")[0])
    documented = [eval(default) for default in parameters().values()][: len(getters)]
    assert sorted(getattr(detector, getter)() for getter in getters) == sorted(documented)
    for getter in getters:
        assert hasattr(detector, getter.replace("get", "set", 1))


def test_precisions_are_as_documented():
    section = read(ROOT / "docs" / "parameters.md").split("## `precision`")[1]
    assert re.findall(r'^\| `"(\w+)"`', section, re.M) == list(PRECISIONS)


def test_models_are_as_documented():
    section = read(ROOT / "docs" / "parameters.md").split("## `model`")[1].split("\n## ")[0]
    lengths = dict(re.findall(r'^\| `"([\w-]+)"` \| (\d+) values', section, re.M))
    assert {k: int(v) for k, v in lengths.items()} == {
        name: architecture.descriptor_dim for name, architecture in ARCHITECTURES.items()
    }
    without = {name for name in lengths if re.search(rf'"{name}"` .*none ship', section)}
    assert set(shipped_models()) == set(lengths) - without


# Commands ----------------------------------------------------------------------------------------


def test_every_command_of_the_command_line_parses():
    lines = [
        line
        for page in PAGES
        for block in blocks(page, "sh")
        for line in block.splitlines()
        if line.startswith("cv2-superpoint")
    ]
    assert len(lines) > 3
    for line in lines:
        assert _parser().parse_args(shlex.split(line)[1:]).run


def test_the_benchmarks_command_runs(tmp_path, capsys):
    (command,) = (b for b in blocks(ROOT / "README.md", "sh") if "benchmarks hpatches" in b)
    arguments = [str(tmp_path) if word == "DIR" else word for word in shlex.split(command)[3:]]
    with pytest.raises(SystemExit):  # there are no sequences in an empty folder
        benchmark(arguments)
    assert str(tmp_path) in capsys.readouterr().err


@pytest.mark.parametrize("mark", ["main", "test"])
def test_ci_runs_the_readmes_commands(mark):
    readme = read(ROOT / "README.md")
    (command,) = re.findall(rf"<!-- {mark} command -->\n```sh\n(.*)\n```", readme)
    assert command.startswith("python3 -m venv .venv && ")
    assert f"run_from_readme {mark}\n" in read(ROOT / ".ci" / "run")


# Between documents -------------------------------------------------------------------------------


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_files_that_it_links_to_exist(page):
    for target in re.findall(r"\]\(([^)#]+)", read(page)):
        assert target.startswith("https://") or (page.parent / target).exists(), target


def test_photographs_under_restrictive_terms_are_named():
    """In the licence section, as in the model card's table and the sentence below it."""
    data = read(CARD).split("\n## Data\n")[1].split("\n## ")[0]
    restricted = re.findall(r"^\| (\w+).*\((?:research use|CC BY-NC).*\| \d+ \|$", data, re.M)
    assert restricted
    for text in (read(ROOT / "README.md").split("## Licence")[1], data.strip().split("\n\n")[-1]):
        for name in restricted:
            assert name in text

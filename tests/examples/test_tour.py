"""The notebook runs from top to bottom, and is kept without outputs."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

CELLS = json.loads(
    (Path(__file__).parents[2] / "examples" / "tour.ipynb").read_text(encoding="utf-8")
)["cells"]


def test_the_tour_runs_from_top_to_bottom(capsys: Any) -> None:
    names: dict[str, Any] = {}
    for cell in CELLS:
        if cell["cell_type"] == "code":
            exec("".join(cell["source"]), names)
    printed = capsys.readouterr().out
    assert "cv2_superpoint: " in printed
    assert names["correct"].sum() > 100
    assert names["error"] < 2


def test_there_are_no_outputs() -> None:
    assert not any(cell.get("outputs") or cell.get("execution_count") for cell in CELLS)

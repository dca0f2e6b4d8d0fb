"""What int8 costs in accuracy, as users would measure it."""

import json
from pathlib import Path

import pytest

from benchmarks.__main__ import main
from cv2_superpoint.runners.int8 import can_multiply_int8


@pytest.mark.skipif(not can_multiply_int8(), reason="this CPU has no fast int8")
def test_int8_is_as_accurate_as_float32(tmp_path: Path) -> None:
    methods = [f"SuperPoint[precision={precision}]" for precision in ("int8", "float32")]
    main(["hpatches", "--repeats", "10", "--out", str(tmp_path), "--methods", *methods])
    rows = json.loads((tmp_path / "report.json").read_text())["summary"]["all"]
    int8, float32 = (rows[method] for method in methods)
    assert int8["AUC@3"] == pytest.approx(float32["AUC@3"], abs=0.01)
    assert int8["MMA@3"] == pytest.approx(float32["MMA@3"], abs=0.003)
    assert float32["AUC@3"] > 0.8  # they do not agree on nonsense

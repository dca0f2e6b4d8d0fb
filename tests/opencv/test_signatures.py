"""What editors and type checkers see."""

from __future__ import annotations

import inspect
import re
import textwrap

import pytest

from cv2_superpoint import SuperPoint, SuperPoint_create


def test_all_ways_to_create_show_the_same_arguments():
    constructor = inspect.signature(SuperPoint).parameters
    for way in (SuperPoint.create, SuperPoint_create):
        shown = inspect.signature(way).parameters
        assert list(shown.values()) == list(constructor.values())
    assert "scoreThreshold" in constructor


def test_a_type_checker_knows_what_extract_returns(tmp_path):
    api = pytest.importorskip("mypy.api")
    script = tmp_path / "user.py"
    script.write_text(
        textwrap.dedent("""
        import numpy as np
        from cv2_superpoint import SuperPoint_create
        image = np.zeros((9, 9), np.uint8)
        feature = SuperPoint_create(500, nlevels=1)
        reveal_type(feature.extract(image))
        reveal_type(feature.extract([image, image]))
        SuperPoint_create(500, colour="red")
        """)
    )
    config = tmp_path / "mypy.ini"  # without PyTorch, which takes most of the time
    config.write_text("[mypy]\nfollow_imports=silent\n[mypy-torch.*]\nfollow_imports=skip\n")
    out, _, _ = api.run([str(script), f"--config-file={config}", f"--cache-dir={tmp_path}"])
    assert '"cv2_superpoint.features.Features"' in out
    assert re.search(r"list\[.*Features\]", out)
    assert 'Unexpected keyword argument "colour"' in out


def test_the_threshold_and_the_response_are_one_quantity(photographs):
    image = photographs["camera"]
    every = SuperPoint_create(0, scoreThreshold=0.05, device="cpu").extract(image)
    for threshold in (0.2, 0.6):
        some = SuperPoint_create(0, scoreThreshold=threshold, device="cpu").extract(image)
        assert len(some) == (every.score > threshold).sum() > 10
        assert some.score.min() > threshold


def test_few_responses_tie(photographs):
    for image in photographs.values():
        score = SuperPoint_create(1000, device="cpu").extract(image).score
        assert len(set(score.tolist())) > 0.99 * len(score)

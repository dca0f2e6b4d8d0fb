"""Joint training on small and large photographs: how a batch is made of both."""

from __future__ import annotations

from dataclasses import replace
from itertools import islice

import numpy as np
import pytest
from jsonargparse import ArgumentParser

from train.files import UserError
from train.learn import stages
from train.settings import FOLDER, Settings


class _Store:
    """Three photographs of one size and grey."""

    def __init__(self, size, grey):
        self.image = np.full(size, grey, np.uint8)

    def __getitem__(self, i):
        return self.image


@pytest.fixture
def batches(monkeypatch, tmp_path):
    """The first three batches of a process with this share of the batch."""
    points = [np.float32([[1, 2, 0]])] * 3
    monkeypatch.setattr(stages, "read_labels", lambda path, store: points)
    parser = ArgumentParser()
    parser.add_class_arguments(Settings)
    settings = Settings(**vars(parser.instantiate(parser.parse_path(FOLDER / "smoke.yaml"))))

    def make(large_share, share):
        chosen = replace(settings, joint=replace(settings.joint, large_share=large_share))
        large = (_Store((840, 1000), 9), tmp_path)
        stage = stages.joint(_Store((64, 96), 5), tmp_path, chosen, tmp_path, large)
        return list(islice(stage.batches([1, 2], share), 3))

    return make


@pytest.mark.parametrize(
    ("large_share", "share", "counts"),
    [(0.0, 4, (4,)), (0.25, 8, (6, 2)), (0.01, 4, (3, 1)), (0.99, 4, (1, 3))],
)
def test_large_photographs_are_their_share_of_each_batch(batches, large_share, share, counts):
    for parts in batches(large_share, share):
        assert tuple(len(part.images) for part in parts) == counts
        for part, grey in zip(parts, (5, 9), strict=False):
            assert (part.images == grey).all()


def test_a_batch_of_one_cannot_be_mixed(batches):
    with pytest.raises(UserError, match="at least two"):
        batches(0.5, 1)

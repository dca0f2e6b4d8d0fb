"""Pyramid levels and tiles."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from cv2_superpoint import SuperPoint_create
from cv2_superpoint.extract import regions
from cv2_superpoint.extract.regions import MARGIN, cut, levels, split
from cv2_superpoint.settings import DetectionSettings

SIZES = [(1, 1), (480, 640), (1024 + 2 * MARGIN, 300), (3000, 4001), (1500, 9000)]


@pytest.mark.parametrize("size", SIZES)
def test_every_position_lies_in_one_core(size):
    parts = list(split(0, size, size))
    xy = torch.rand(2000, 2) * torch.tensor([size[1] - 1, size[0] - 1])
    count = sum(part.in_core(part.from_image(xy)).long() for part in parts)
    assert (count == 1).all()


@pytest.mark.parametrize("size", SIZES)
def test_tiles_begin_at_cells_and_see_beyond_their_core(size):
    for part in split(0, size, size):
        for span, length in ((part.rows, size[0]), (part.columns, size[1])):
            assert span.start % 8 == 0
            assert span.start == 0 or span.first - span.start >= MARGIN - 0.5
            assert span.stop == length or span.stop - span.last >= MARGIN - 0.5
            assert span.stop - span.start <= 1024 + 2 * MARGIN


def test_a_position_survives_the_way_to_the_image_and_back():
    for part in split(2, (1500, 2100), (3000, 4200)):
        xy = torch.rand(50, 2) * 200
        torch.testing.assert_close(part.from_image(part.to_image(xy)), xy, atol=1e-3, rtol=0)
    half = next(iter(split(1, (10, 20), (20, 40))))
    # The middle of the first pixel of a level half as large is between the first two.
    assert half.to_image(torch.zeros(1, 2)).tolist() == [[0.5, 0.5]]


def test_the_first_level_may_be_enlarged():
    settings = DetectionSettings(scale_factor=2.0, nlevels=3, first_level=1)
    assert [size for _, size in levels(100, 60, settings)] == [(200, 120), (100, 60), (50, 30)]


@pytest.mark.parametrize("size", [(1, 1), (9, 16), (24, 31)])
def test_regions_are_padded_to_cells_by_their_last_pixels(size):
    image = torch.randint(0, 256, (2, 1, *size), dtype=torch.uint8)
    whole = cut(image, next(iter(split(0, size, size))))
    height, width = (-(-n // 8) * 8 for n in size)
    wanted = np.pad(image.numpy(), ((0, 0), (0, 0), (0, height - size[0]), (0, width - size[1])),
                    mode="edge")  # fmt: skip
    assert np.array_equal(whole.numpy(), wanted)


def distances(first, second):
    first, second = torch.from_numpy(first), torch.from_numpy(second)
    return torch.cdist(first, second, compute_mode="donot_use_mm_for_euclid_dist")


def cut_into_tiles(monkeypatch):
    monkeypatch.setattr(
        regions, "split", lambda level, size, full, core: split(level, size, full, core=256)
    )


@pytest.mark.parametrize("precision", ["float32", "auto"])
@pytest.mark.parametrize("nlevels", [1, 3])
def test_seams_do_not_show(photographs, monkeypatch, nlevels, precision):
    image = np.tile(photographs["coffee"], (2, 2))[:700, :1000]
    feature = SuperPoint_create(
        0, nlevels=nlevels, device="cpu", scoreThreshold=0.1, precision=precision
    )
    whole = feature.extract(image)
    cut_into_tiles(monkeypatch)
    tiled = feature.extract(image)
    assert len(tiled) == pytest.approx(len(whole), rel=0.01)
    distance = distances(tiled.xy, whole.xy)
    near = distance.min(1)
    assert (near.values < 0.1).float().mean() > 0.98
    same = (near.values < 0.1).numpy()
    likeness = (tiled.descriptors * whole.descriptors[near.indices.numpy()]).sum(1)
    assert np.median(likeness[same]) > 0.999
    # Close to the seams as well as elsewhere, and no point twice.
    again = distances(tiled.xy, tiled.xy)
    assert ((again < 0.05).sum(1) <= nlevels).all()


def test_points_are_described_alike_in_tiles(photographs, monkeypatch):
    image = np.tile(photographs["coffee"], (2, 2))[:700, :1000]
    feature = SuperPoint_create(200, nlevels=2, device="cpu", precision="float32")
    keypoints, wanted = feature.detectAndCompute(image, None)
    cut_into_tiles(monkeypatch)
    kept, got = feature.compute(image, keypoints)
    assert len(kept) == len(keypoints)
    assert ((got * wanted).sum(1) > 0.999).mean() > 0.98

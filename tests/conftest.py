"""Fixtures: photographs that come with scikit-image, and a detector to share."""

import os
from collections.abc import Iterator
from typing import Any

import cv2
import hypothesis
import numpy as np
import pytest
import skimage.data
import torch
from contract import CREATE

from cv2_superpoint import SuperPoint, SuperPoint_create
from cv2_superpoint.opencv import source

# Examples take as long as the machine is busy; the time of one says nothing.
hypothesis.settings.register_profile("ci", deadline=None, max_examples=30)
hypothesis.settings.register_profile("nightly", deadline=None, max_examples=10_000)
hypothesis.settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "ci"))

PHOTOGRAPHS = ("astronaut", "brick", "camera", "chelsea", "coffee", "rocket")
"""Those of skimage.data that lie in its wheel."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    if not torch.cuda.is_available():
        skip = pytest.mark.skip(reason="no GPU here")
        for item in items:
            if item.get_closest_marker("gpu"):
                item.add_marker(skip)


@pytest.fixture(autouse=True)
def _make_detectors_anew(request: pytest.FixtureRequest) -> Iterator[None]:
    """Share none between a test that patches what they are made of, and others."""
    patches = "monkeypatch" in request.fixturenames
    if patches:
        source._shipped_on_cpu.cache_clear()
    yield
    if patches:
        source._shipped_on_cpu.cache_clear()


@pytest.fixture(scope="session")
def photographs() -> dict[str, np.ndarray]:
    """uint8 grey by name, the longer side 480 pixels."""
    images = {}
    for name in PHOTOGRAPHS:
        image = getattr(skimage.data, name)()
        if image.ndim == 3:
            image = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)
        scale = 480 / max(image.shape)
        image = cv2.resize(image, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
        image.flags.writeable = False  # shared by all tests
        images[name] = image
    return images


@pytest.fixture(scope="session")
def detector() -> SuperPoint:
    """On the CPU, with the shipped weights; not to be changed by a test."""
    return SuperPoint_create(500, device="cpu")


@pytest.fixture(scope="module", params=list(CREATE))
def name(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture(scope="module")
def feature(name: str) -> Any:
    """One of them; not to be changed by a test."""
    return CREATE[name](100)

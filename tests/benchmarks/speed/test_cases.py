"""The cases: detectors, matchers and images as they say, weights that are missing."""

import cv2
import numpy as np
import pytest
import torch

import cv2_superpoint
from benchmarks.common import detectors
from benchmarks.speed import cases
from benchmarks.speed.cases import Case
from cv2_superpoint.model.network import ARCHITECTURES
from cv2_superpoint.model.weights import deserialise
from cv2_superpoint.runners.choose import PRECISIONS

SMALL = (64, 96)


def test_names_of_precisions() -> None:
    assert set(cases.PRECISIONS) <= set(PRECISIONS)


@pytest.mark.parametrize("model", list(ARCHITECTURES))
def test_network_has_the_named_architecture(model: str) -> None:
    method = f"SuperPoint[model={model}]"
    detector = cases.make(Case(method, SMALL, 50, 1))
    assert detector.getMaxFeatures() == 50
    # Random weights are taken from a file; the model of a shipped one is in its name.
    assert ("from a file" in repr(detector)) == (cases.unshipped(method) == model)


def test_settings_of_a_case_reach_the_detector(monkeypatch: pytest.MonkeyPatch) -> None:
    made = []
    monkeypatch.setattr(detectors, "make", lambda *args, **settings: made.append((args, settings)))
    for case in (
        Case("SuperPoint[nlevels=2]", SMALL, 50, 1, "cpu", "bfloat16"),
        Case("SuperPoint", SMALL, 50, 1, "cuda"),
        Case("ORB", SMALL, 50, 1),
    ):
        cases.make(case)
    assert made == [
        (("SuperPoint[nlevels=2]", 50), {"device": "cpu", "precision": "bfloat16"}),
        (("SuperPoint", 50), {"device": "cuda"}),
        (("ORB", 50), {}),
    ]


@pytest.mark.parametrize(
    ("method", "model"), [("ORB", None), ("SuperPoint", None), ("SuperPoint-full=file", None)]
)
def test_methods_whose_weights_are_there(method: str, model: str | None) -> None:
    assert cases.unshipped(method) == model


def test_matcher_that_goes_with_a_method(monkeypatch: pytest.MonkeyPatch) -> None:
    own = lambda norm, crossCheck: ("own", norm, crossCheck)  # noqa: E731
    monkeypatch.setattr(cv2_superpoint, "BFMatcher", own, raising=False)
    assert cases.make_matcher("SuperPoint", cv2.NORM_L2) == ("own", cv2.NORM_L2, True)
    assert isinstance(cases.make_matcher("SIFT", cv2.NORM_L2), cv2.BFMatcher)


def test_random_weights_are_the_same_each_time_and_leave_the_generator_alone() -> None:
    before = torch.get_rng_state()
    first, second = (
        deserialise(cases.random_weights("superpoint-lite")).network.state_dict() for _ in range(2)
    )
    assert all(torch.equal(first[key], second[key]) for key in first)
    assert first["encoder.3.1.conv.weight"].std() > 0
    assert torch.equal(torch.get_rng_state(), before)


def test_rounds_go_on_through_the_images(images: list[np.ndarray]) -> None:
    first, second = cases.choose(images, 2, 0), cases.choose(images, 2, 1)
    assert [id(i) for i in first + second] == [id(images[i]) for i in (0, 1, 2, 0)]


def test_frames_follow_one_another(images: list[np.ndarray]) -> None:
    image = cv2.GaussianBlur(cv2.resize(images[0], (640, 480)), (0, 0), 3)
    shift, _ = cv2.phaseCorrelate(image.astype(float), cases.next_frame(image).astype(float))
    assert np.abs(shift).max() < 5
    assert 2 < np.abs(image.astype(float) - cases.next_frame(image)).mean() < 60

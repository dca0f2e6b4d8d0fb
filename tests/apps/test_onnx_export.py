"""Exported files give what the class gives, in OpenCV 5's own objects and in ONNX Runtime."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import cv2
import numpy as np
import pytest
import torch
from skimage import data

from cv2_superpoint import SuperPoint_create
from cv2_superpoint.apps import cli
from cv2_superpoint.apps.cli import main
from cv2_superpoint.apps.onnx_export import TARGETS
from cv2_superpoint.features import Features
from cv2_superpoint.model.decode import heat_map, refine_subpixel, sample_descriptors
from cv2_superpoint.model.weights import load_shipped

onnx = pytest.importorskip("onnx")

needs_opencv5 = pytest.mark.skipif(not hasattr(cv2, "ALIKED_create"), reason="needs OpenCV 5")

WIDTH, HEIGHT = 320, 240
BGR = cv2.cvtColor(
    cv2.resize(data.astronaut(), (WIDTH, HEIGHT), interpolation=cv2.INTER_AREA), cv2.COLOR_RGB2BGR
)
GREY = cv2.cvtColor(BGR, cv2.COLOR_BGR2GRAY)
BLANK = np.zeros((HEIGHT, WIDTH), np.uint8)


@pytest.fixture(scope="module")
def export(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., str]:
    """Write a file by the command line, once for each set of options."""
    folder, written = tmp_path_factory.mktemp("onnx"), {}

    def call(target: str, *options: str) -> str:
        key = (target, *options)
        if key not in written:
            written[key] = str(folder / f"{len(written)}.onnx")
            main(["export", "-o", written[key], "--for", target, "-n", "300", *options])
        return written[key]

    return call


def wanted(image: np.ndarray, **settings: Any) -> Features:
    create = {"nfeatures": 300, "precision": "float32", "device": "cpu", **settings}
    return SuperPoint_create(**create).extract(image)


def assert_same(
    xy: np.ndarray,
    score: np.ndarray,
    descriptors: np.ndarray,
    features: Features,
    pixels: float = 0.05,
) -> None:
    """98 % of the points are there, within so many pixels, and of these as many descriptors."""
    assert len(xy) == len(score) == len(descriptors) == len(features)
    assert (np.diff(score) <= 0).all()
    # Levels of the pyramid may find one place twice; the scores tell these apart.
    apart = features.xy[:, None] - xy
    unlike = np.abs(features.score[:, None] - score)
    far = np.abs(apart).max(2) + 100 * unlike
    nearest = far.argmin(1)
    at = np.arange(len(features))
    found = (np.abs(apart[at, nearest]) <= pixels).all(1) & (unlike[at, nearest] < 0.01)
    assert found.mean() >= 0.98
    difference = np.abs(features.descriptors[found] - descriptors[nearest[found]]).max(1)
    assert np.quantile(difference, 0.98) < 1e-3


def keypoints_of(found: Any) -> tuple[np.ndarray, np.ndarray]:
    return np.array([k.pt for k in found]), np.array([k.response for k in found])


def aliked(file: str) -> Any:
    params = cv2.ALIKED_Params()
    params.inputSize = (WIDTH, HEIGHT)
    return cv2.ALIKED_create(file, params)


@needs_opencv5
@pytest.mark.parametrize("nlevels", [1, 3])
@pytest.mark.parametrize("image", [BGR, GREY], ids=["colour", "grey"])
def test_aliked(export, image, nlevels):
    detector = aliked(export("aliked", "--size", f"{WIDTH}x{HEIGHT}", "--nlevels", str(nlevels)))
    keypoints, descriptors = detector.detectAndCompute(image, None)
    assert_same(*keypoints_of(keypoints), descriptors, wanted(image, nlevels=nlevels))
    norms = np.linalg.norm(descriptors, axis=1)
    np.testing.assert_allclose(norms, 1, atol=1e-5)


@needs_opencv5
def test_aliked_with_another_model_and_a_size_that_is_no_multiple_of_8(export):
    image = np.ascontiguousarray(BGR[:150, :203])
    options = ("--size", "203x150", "--nlevels", "2", "--model", "superpoint", "-n", "60")
    params = cv2.ALIKED_Params()
    params.inputSize = (203, 150)
    detector = cv2.ALIKED_create(export("aliked", *options), params)
    keypoints, descriptors = detector.detectAndCompute(image, None)
    features = wanted(image, nlevels=2, model="superpoint", nfeatures=60)
    assert_same(*keypoints_of(keypoints), descriptors, features)
    assert {(keypoint.angle, keypoint.octave) for keypoint in keypoints} == {(-1, 0)}


@needs_opencv5
def test_aliked_finds_no_more_points_than_there_are(export):
    detector = aliked(export("aliked", "--size", f"{WIDTH}x{HEIGHT}", "--nlevels", "3"))
    image = BLANK.copy()
    image[80:160, 100:220] = 255
    keypoints, descriptors = detector.detectAndCompute(image, None)
    assert 0 < len(keypoints) < 100
    assert_same(*keypoints_of(keypoints), descriptors, wanted(image, nlevels=3))
    assert len(detector.detect(BLANK)) == 0
    assert len(detector.detect(image)) == len(keypoints)


@needs_opencv5
def test_aliked_forgets_how_many_points_it_found_before(export):
    file = export("aliked", "--size", f"{WIDTH}x{HEIGHT}", "--nlevels", "1")
    few = BLANK.copy()
    few[80:160, 100:220] = 255
    afresh = [keypoints_of(aliked(file).detect(image))[0] for image in (few, GREY)]
    detector = aliked(file)
    for _ in range(10):
        for image, xy in zip((few, GREY), afresh, strict=True):
            np.testing.assert_allclose(keypoints_of(detector.detect(image))[0], xy, atol=1e-3)


@needs_opencv5
def test_aliked_resizes_images_to_640x640_by_default(export):
    image = cv2.resize(BGR, (640, 640))
    detector = cv2.ALIKED_create(export("aliked"))
    keypoints, descriptors = detector.detectAndCompute(image, None)
    assert_same(*keypoints_of(keypoints), descriptors, wanted(image))


@needs_opencv5
def test_aliked_serves_the_stitching_pipeline(export):
    detector = aliked(export("aliked", "--size", f"{WIDTH}x{HEIGHT}", "--nlevels", "3"))
    whole, part = cv2.detail.computeImageFeatures(detector, [BGR, BGR])
    found = cv2.detail.computeImageFeatures2(detector, BGR)
    assert found.img_size == (WIDTH, HEIGHT)
    assert len(found.getKeypoints()) == found.descriptors.get().shape[0] == 300
    matches = cv2.detail_BestOf2NearestMatcher(False, 0.3).apply(whole, part)
    assert matches.num_inliers > 200


@needs_opencv5
@pytest.mark.parametrize("nlevels", [1, 3])
@pytest.mark.parametrize("image", [BGR, GREY], ids=["colour", "grey"])
def test_disk(export, image, nlevels):
    file = export("disk", "--size", f"{WIDTH}x{HEIGHT}", "--nlevels", str(nlevels))
    detector = cv2.DISK_create(file, imageSize=(WIDTH, HEIGHT))
    keypoints, descriptors = detector.detectAndCompute(image, None)
    xy, score = keypoints_of(keypoints)
    assert (xy == xy.round()).all()
    assert_same(xy, score, descriptors, wanted(image, nlevels=nlevels), pixels=0.501)
    assert len(detector.detect(BLANK)) == 0


@needs_opencv5
def test_disk_with_another_model(export):
    image = np.ascontiguousarray(BGR[:144, :208])
    options = ("--size", "208x144", "--nlevels", "2", "--model", "superpoint", "-n", "60")
    detector = cv2.DISK_create(export("disk", *options), imageSize=(208, 144))
    keypoints, descriptors = detector.detectAndCompute(image, None)
    features = wanted(image, nlevels=2, model="superpoint", nfeatures=60)
    assert_same(*keypoints_of(keypoints), descriptors, features, pixels=0.501)
    assert {(keypoint.angle, keypoint.octave) for keypoint in keypoints} == {(-1, 0)}


@needs_opencv5
def test_disk_honours_masks_and_its_own_limits(export):
    file = export("disk", "--size", f"{WIDTH}x{HEIGHT}", "--nlevels", "3")
    mask = BLANK.copy()
    mask[:, :100] = 255
    detector = cv2.DISK_create(file, 40, 0.2, (WIDTH, HEIGHT))
    found = detector.detect(BGR, mask)
    assert len(found) == 40
    xy, score = keypoints_of(found)
    assert (xy[:, 0] < 100).all()
    assert (score > 0.2).all()


@needs_opencv5
def test_plain_file_of_one_size_runs_in_opencv(export):
    options = ("--size", f"{WIDTH}x{HEIGHT}", "--nlevels", "3")
    network = cv2.dnn.readNetFromONNX(export("onnx", *options))
    network.setInput(cv2.dnn.blobFromImage(GREY, 1 / 255), "image")
    xy, descriptors, score = network.forward(["keypoints", "descriptors", "scores"])
    assert_same(xy[0], score[0], descriptors[0], wanted(GREY, nlevels=3))


def test_maps_run_in_opencv_4_too(export):
    network = cv2.dnn.readNetFromONNX(export("maps", "--size", f"{WIDTH}x{HEIGHT}"))
    network.setInput(cv2.dnn.blobFromImage(GREY, 1 / 255), "image")
    heat, descriptors, score = (
        torch.from_numpy(output) for output in network.forward(["heat", "descriptors", "scores"])
    )
    xy = refine_subpixel(heat[:, 0], score[:, 0].nonzero())
    off_border = ((xy >= 4) & (xy <= torch.tensor([WIDTH - 5, HEIGHT - 5]))).all(1)
    score, order = score[score > 0].where(off_border, 0).topk(300)
    rows = sample_descriptors(descriptors, xy[None, order])[0]
    assert_same(xy[order].numpy(), score.numpy(), rows.numpy(), wanted(GREY, nlevels=1))


# ONNX Runtime ------------------------------------------------------------------------------------


@pytest.fixture
def run(export) -> Callable[..., list[np.ndarray]]:
    """Run a plain file on a batch of images."""
    runtime = pytest.importorskip("onnxruntime")
    options = runtime.SessionOptions()
    options.intra_op_num_threads = 1

    def call(batch: np.ndarray, *arguments: str) -> list[np.ndarray]:
        session = runtime.InferenceSession(export("onnx", *arguments), options)
        outputs = session.run(["keypoints", "scores", "descriptors"], {"image": batch})
        rows = np.uint8 if "--binary" in arguments else np.float32
        assert [output.dtype for output in outputs] == [np.float32, np.float32, rows]
        return outputs

    return call


@pytest.mark.parametrize("size", [(HEIGHT, WIDTH), (151, 213), (33, 121)])
def test_onnx_takes_any_size_and_batch(run, size):
    images = [GREY[: size[0], : size[1]], GREY[-size[0] :, -size[1] :]]
    batch = np.stack(images)[:, None].astype(np.float32) / 255
    for image, xy, score, descriptors in zip(images, *run(batch), strict=True):
        some = score > 0
        assert_same(xy[some], score[some], descriptors[some], wanted(np.ascontiguousarray(image)))


def test_onnx_takes_rgb(run):
    rgb = cv2.cvtColor(BGR, cv2.COLOR_BGR2RGB).transpose(2, 0, 1)[None].astype(np.float32) / 255
    xy, score, descriptors = (output[0] for output in run(rgb))
    assert_same(xy, score, descriptors, wanted(BGR))


@pytest.mark.parametrize("size", [(1, 1), (2, 300), (8, 8)])
def test_onnx_of_images_that_are_too_small_has_no_points(run, size):
    xy, score, descriptors = run(np.zeros((1, 1, *size), np.float32))
    assert xy.shape == (1, 300, 2)
    assert descriptors.shape == (1, 300, 64)
    assert not score.any()
    assert np.isfinite(xy).all()
    assert np.isfinite(descriptors).all()


def test_onnx_of_one_size(run):
    batch = GREY[None, None].astype(np.float32) / 255
    options = ("--size", f"{WIDTH}x{HEIGHT}", "--nlevels", "3")
    xy, score, descriptors = (output[0] for output in run(batch, *options))
    assert_same(xy, score, descriptors, wanted(GREY, nlevels=3))


@pytest.mark.parametrize("size", [(HEIGHT, WIDTH), (40, 104)])
def test_web_is_the_network_at_any_size(export, size):
    runtime = pytest.importorskip("onnxruntime")
    pixels = np.ascontiguousarray(GREY[: size[0], : size[1]])[None, None].astype(np.float32) / 255
    heat, descriptors = runtime.InferenceSession(export("web")).run(
        ["heat", "descriptors"], {"image": pixels}
    )
    with torch.inference_mode():
        logits, maps = load_shipped("superpoint-lite").network(torch.from_numpy(pixels))
    np.testing.assert_allclose(heat[0], heat_map(logits), atol=1e-4)
    np.testing.assert_allclose(descriptors, maps, atol=1e-3)


def test_onnx_with_binary_descriptors(run):
    batch, size = GREY[None, None].astype(np.float32) / 255, ("--size", f"{WIDTH}x{HEIGHT}")
    xy, score, rows = (output[0] for output in run(batch, "--binary", "--nlevels", "1", *size))
    features = wanted(GREY, nlevels=1, descriptorType=cv2.CV_8U)
    assert rows.shape == features.descriptors.shape == (300, 32)
    apart = np.abs(features.xy[:, None] - xy).max(2) + 100 * np.abs(features.score[:, None] - score)
    found, nearest = apart.min(1) < 1, apart.argmin(1)
    assert found.mean() >= 0.98
    other = np.unpackbits(features.descriptors[found] ^ rows[nearest[found]], axis=1)
    assert np.quantile(other.sum(1), 0.98) <= 2  # bits whose projection is at the threshold


def test_int8(run):
    batch = GREY[None, None].astype(np.float32) / 255
    xy, _, descriptors = (output[0] for output in run(batch, "--int8", "--nlevels", "1"))
    features = wanted(GREY, nlevels=1, precision="int8")
    apart = np.abs(features.xy[:, None] - xy).max(2)
    found, nearest = apart.min(1) < 0.5, apart.argmin(1)
    assert found.mean() > 0.95
    likeness = (features.descriptors * descriptors[nearest]).sum(1)[found]
    assert np.quantile(likeness, 0.02) > 0.999


def test_int8_is_kept_as_integers(export):
    model = onnx.load(export("onnx", "--int8", "--nlevels", "1"))
    kinds = {tensor.name: tensor.data_type for tensor in model.graph.initializer}
    dequantised = [n.input[0] for n in model.graph.node if n.op_type == "DequantizeLinear"]
    convolutions = sum(node.op_type == "Conv" for node in model.graph.node)
    assert sum(kinds.get(name) == onnx.TensorProto.INT8 for name in dequantised) == convolutions
    assert sum(name not in kinds for name in dequantised) >= 10


@pytest.mark.parametrize("target", TARGETS)
def test_files_are_valid(export, target):
    onnx.checker.check_model(export(target, "--nlevels", "1"), full_check=True)


# Command line ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["-n", "0"], "from 1"),
        (["--nlevels", "0"], "from 1"),
        (["--for", "disk", "--size", "100x160"], "multiples of 16"),
        (["--for", "maps", "--size", "100x160"], "multiples of 8"),
        (["--for", "maps", "--nlevels", "2"], "one level"),
        (["--for", "web", "--size", "100x160"], "multiples of 8"),
        (["--for", "aliked", "--int8"], "--int8 is for --for onnx"),
        (["--for", "disk", "--binary"], "--binary is for --for onnx"),
        (["--weights", "no_such_file"], "no such file"),
        (["--model", "superpoint-paper"], "no weights"),
    ],
)
def test_what_cannot_be_exported_writes_nothing(tmp_path, options, message):
    file = tmp_path / "a.onnx"
    with pytest.raises(SystemExit, match=message):
        main(["export", "-o", str(file), "--for", "onnx", *options])
    assert not file.exists()


@pytest.mark.parametrize("size", ["640", "0x480", "640x", "-1x5", "640x480x3"])
def test_size_that_is_none(capsys, size):
    with pytest.raises(SystemExit):
        main(["export", "-o", "a.onnx", "--for", "onnx", f"--size={size}"])
    assert "a size is like 640x480" in capsys.readouterr().err


def test_export_says_which_package_is_missing(monkeypatch):
    monkeypatch.setattr(cli, "find_spec", lambda name: None)
    with pytest.raises(SystemExit, match="extra `export`"):
        main(["export", "-o", "a.onnx", "--for", "onnx"])

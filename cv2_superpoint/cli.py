"""The command ``cv2-superpoint``: match, detect, track, info."""

from __future__ import annotations

import argparse
import platform
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
import torch

from . import __version__
from .checkpoint import FOLDER, load, shipped_models
from .drawing import draw_keypoints, draw_pair, draw_tracks, stack
from .extractor import PRECISIONS, pick_device
from .feature2d import SuperPoint
from .matching import match_pair
from .network import ARCHITECTURES
from .tracking import follow

Image = npt.NDArray[np.uint8]

_CLASSICAL: dict[str, Callable[[int], Any]] = {
    "orb": lambda count: cv2.ORB_create(count),
    "sift": lambda count: cv2.SIFT_create(count),
}


def _parser() -> argparse.ArgumentParser:
    feature = argparse.ArgumentParser(add_help=False)
    feature.add_argument("-n", "--nfeatures", type=int, default=1000, help="keypoints per image")
    feature.add_argument("--model", choices=ARCHITECTURES, help="which of the weights that ship")
    feature.add_argument("--weights", type=Path, help="a file of weights instead")
    feature.add_argument("--device", help="such as cpu or cuda:0; by default the fastest there is")
    feature.add_argument("--precision", choices=PRECISIONS, default="float32")

    parser = argparse.ArgumentParser(prog="cv2-superpoint", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)

    match = commands.add_parser("match", parents=[feature], help="match two images, draw inliers")
    match.add_argument("images", type=Path, nargs="*", metavar="A B", help="default: a stereo pair")
    match.add_argument("-o", "--output", type=Path, default=Path("matches.png"))
    match.add_argument("--against", choices=_CLASSICAL, help="draw this feature's matches as well")
    match.set_defaults(run=_match)

    detect = commands.add_parser("detect", parents=[feature], help="draw keypoints of an image")
    detect.add_argument("image", type=Path)
    detect.add_argument("-o", "--output", type=Path, default=Path("keypoints.png"))
    detect.add_argument("--save", type=Path, help="write the features to this .npz as well")
    detect.set_defaults(run=_detect)

    track = commands.add_parser("track", parents=[feature], help="draw tracks in a video")
    track.add_argument("--source", default="0", help="a camera's number, or a video file")
    track.add_argument("-o", "--output", type=Path, help="a video file; by default a window")
    track.set_defaults(run=_track)

    info = commands.add_parser("info", help="versions, device, weights and their metrics")
    info.set_defaults(run=_info)
    return parser


def _create(options: argparse.Namespace) -> SuperPoint:
    return SuperPoint(
        options.nfeatures,
        model=options.model,
        weights=options.weights,
        device=options.device,
        precision=options.precision,
    )


def _read(path: Path) -> Image:
    image = cv2.imread(str(path), cv2.IMREAD_COLOR) if path.is_file() else None
    if image is None:
        raise SystemExit(f"cv2-superpoint: cannot read an image from {path}")
    return np.asarray(image, np.uint8)


def _write(path: Path, image: Image) -> None:
    try:
        written = cv2.imwrite(str(path), image)
    except cv2.error:  # an extension that no encoder knows
        written = False
    if not written:
        raise SystemExit(f"cv2-superpoint: cannot write a picture to {path}")
    print(f"wrote {path}")


def example_pair() -> tuple[Image, Image]:
    """Return two photographs of one scene, BGR: the Middlebury motorcycle (CC0) of scikit-image."""
    from skimage import data

    left, right, _ = data.stereo_motorcycle()
    return cv2.cvtColor(left, cv2.COLOR_RGB2BGR), cv2.cvtColor(right, cv2.COLOR_RGB2BGR)


def _match(options: argparse.Namespace) -> None:
    if len(options.images) not in (0, 2):
        raise SystemExit("cv2-superpoint: match wants two images, or none for the example pair")
    pair = tuple(_read(path) for path in options.images) if options.images else example_pair()
    first, second = pair
    features: dict[str, Any] = {"SuperPoint": _create(options)}
    if options.against:
        features[options.against.upper()] = _CLASSICAL[options.against](options.nfeatures)
    pictures = []
    for name, feature in features.items():
        feature.detectAndCompute(first, None)  # the first call loads libraries; do not time it
        found = match_pair(feature, first, second)
        text = (
            f"{name}: {found.inliers.sum()} inliers of {len(found.matches)} matches, "
            f"{len(found.first)} and {len(found.second)} keypoints, {found.seconds * 1e3:.0f} ms"
        )
        print(text)
        pictures.append(draw_pair(first, second, found, text))
    _write(options.output, stack(pictures))


def _detect(options: argparse.Namespace) -> None:
    image = _read(options.image)
    detector = _create(options)
    keypoints = detector.detect(image)
    print(f"{len(keypoints)} keypoints")
    _write(options.output, draw_keypoints(image, keypoints))  # type: ignore[arg-type]
    if options.save:
        features = detector.extract(image)
        try:
            with open(options.save, "wb") as file:
                np.savez_compressed(file, **vars(features))
        except OSError as error:
            raise SystemExit(f"cv2-superpoint: cannot write {options.save}: {error}") from error
        print(f"wrote {options.save}")


def _frames(source: str) -> Iterator[Image]:
    capture = cv2.VideoCapture(int(source) if source.isdigit() else source)
    if not capture.isOpened():
        raise SystemExit(f"cv2-superpoint: cannot open camera or video {source}")
    try:
        while True:
            more, frame = capture.read()
            if not more:
                return
            yield np.asarray(frame, np.uint8)
    finally:
        capture.release()


def _track(options: argparse.Namespace) -> None:
    writer, frames, kept = None, 0, 0
    try:
        for frame, tracks in follow(_create(options), _frames(options.source)):
            picture = draw_tracks(frame, tracks)
            frames += 1
            kept += sum(len(track) > 1 for track in tracks)
            if options.output is None:
                cv2.imshow("cv2-superpoint (q quits)", picture)
                if cv2.waitKey(1) & 0xFF in (ord("q"), 27):
                    break
                continue
            if writer is None:
                code = cv2.VideoWriter.fourcc(*"mp4v")
                size = (picture.shape[1], picture.shape[0])
                writer = cv2.VideoWriter(str(options.output), code, 25.0, size)
                if not writer.isOpened():
                    raise SystemExit(f"cv2-superpoint: cannot write a video to {options.output}")
            writer.write(picture)
    finally:
        if writer is not None:
            writer.release()
    print(f"{frames} frames, {kept / max(1, frames):.0f} tracked keypoints per frame")
    if options.output is not None:
        print(f"wrote {options.output}")


def _info(_: argparse.Namespace) -> None:
    print(f"cv2-superpoint {__version__}, Python {platform.python_version()}")
    print(f"OpenCV {cv2.__version__}, PyTorch {torch.__version__}, numpy {np.__version__}")
    print(f"device {pick_device(None)}, {torch.get_num_threads()} CPU threads")
    for name in shipped_models():
        checkpoint = load(FOLDER / f"{name}.safetensors")
        count = sum(p.numel() for p in checkpoint.network.parameters())
        print(f"{name}: {count / 1e6:.2f} M parameters")
        for metric, value in checkpoint.metadata.get("metrics", {}).items():
            print(f"  {metric}: {value}")


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line.

    Parameters
    ----------
    arguments
        By default those of the process.
    """
    options = _parser().parse_args(arguments)
    try:
        options.run(options)
    except cv2.error as error:
        sys.exit(f"cv2-superpoint: {error}")

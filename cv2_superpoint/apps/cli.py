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

from .. import __version__
from ..features import Features
from ..model.network import ARCHITECTURES
from ..model.weights import load_shipped, shipped_models
from ..opencv.feature2d import SuperPoint
from ..runners.choose import PRECISIONS, pick_device
from .drawing import draw_keypoints, draw_pair, draw_tracks, stack
from .matching import match_pair
from .tracking import track_keypoints

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
    feature.add_argument("--precision", choices=PRECISIONS, default="auto")

    parser = argparse.ArgumentParser(prog="cv2-superpoint", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)

    match = commands.add_parser("match", parents=[feature], help="match two images, draw inliers")
    match.add_argument("images", type=Path, nargs="*", metavar="A B", help="default: an example")
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
    """Return a photograph, BGR, and a darker and noisier view of it from elsewhere.

    The photograph is scikit-image's cup of coffee (CC0, by Rachel Michetti).
    """
    from skimage import data

    first = cv2.cvtColor(data.coffee(), cv2.COLOR_RGB2BGR)
    height, width = first.shape[:2]
    corners = np.array([[0, 0], [width, 0], [width, height], [0, height]], np.float32)
    seen_at = np.array([[0.16, 0.04], [0.97, 0.2], [0.8, 0.96], [0.02, 0.76]], np.float32)
    homography = cv2.getPerspectiveTransform(corners, seen_at * corners[2])
    second = cv2.warpPerspective(first, homography, (width, height), flags=cv2.INTER_AREA)
    darker = 0.55 * (second / 255.0) ** 1.6 * 255
    noise = np.random.default_rng(0).normal(0, 3, darker.shape)
    return first, np.clip(darker + noise, 0, 255).astype(np.uint8)


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
    features = detector.extract(image)
    assert isinstance(features, Features)
    print(f"{len(features)} keypoints")
    _write(options.output, draw_keypoints(image, features.xy))
    if options.save:
        try:
            with open(options.save, "wb") as file:
                np.savez_compressed(file, **vars(features))
        except OSError as error:
            raise SystemExit(f"cv2-superpoint: cannot write {options.save}: {error}") from error
        print(f"wrote {options.save}")


def _frames(capture: cv2.VideoCapture) -> Iterator[Image]:
    while True:
        more, frame = capture.read()
        if not more:
            return
        yield np.asarray(frame, np.uint8)


def _open_writer(path: Path, frame: Image, rate: float) -> cv2.VideoWriter:
    code = cv2.VideoWriter.fourcc(*"mp4v")
    writer = cv2.VideoWriter(str(path), code, rate, (frame.shape[1], frame.shape[0]))
    if not writer.isOpened():
        raise SystemExit(f"cv2-superpoint: cannot write a video to {path}")
    return writer


def _track(options: argparse.Namespace) -> None:
    source = int(options.source) if options.source.isdigit() else options.source
    capture = cv2.VideoCapture(source)
    rate = capture.get(cv2.CAP_PROP_FPS) or 25.0
    writer, frames, kept = None, 0, 0
    try:
        for frame, tracks in track_keypoints(_create(options), _frames(capture)):
            picture = draw_tracks(frame, tracks)
            frames += 1
            kept += sum(len(track) > 1 for track in tracks)
            if options.output is None:
                cv2.imshow("cv2-superpoint (q quits)", picture)
                if cv2.waitKey(1) & 0xFF in (ord("q"), 27):
                    break
            else:
                writer = writer or _open_writer(options.output, picture, rate)
                writer.write(picture)
    except KeyboardInterrupt:  # how one stops a camera; what was written stays
        pass
    finally:
        capture.release()
        if writer is not None:
            writer.release()
        if options.output is None and frames:
            cv2.destroyAllWindows()
    if not frames:
        raise SystemExit(f"cv2-superpoint: no frames from camera or video {options.source}")
    print(f"{frames} frames, {kept / frames:.0f} tracked keypoints per frame")
    if options.output is not None:
        print(f"wrote {options.output}")


def _info(_: argparse.Namespace) -> None:
    print(f"cv2-superpoint {__version__}, Python {platform.python_version()}")
    print(f"OpenCV {cv2.__version__}, PyTorch {torch.__version__}, numpy {np.__version__}")
    print(f"device {pick_device(None)}, {torch.get_num_threads()} CPU threads")
    for name in shipped_models():
        checkpoint = load_shipped(name)
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

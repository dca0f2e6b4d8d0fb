"""The command ``cv2-superpoint``: match, detect, track, export, info."""

from __future__ import annotations

import argparse
import io
import os
import platform
import re
import sys
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NoReturn

import cv2
import numpy as np
import numpy.typing as npt
import torch

from .. import __version__
from ..files import write_atomically
from ..model.network import ARCHITECTURES
from ..model.weights import load_shipped, shipped_models
from ..opencv.feature2d import SuperPoint
from ..opencv.source import Source
from ..runners.choose import PRECISIONS, pick_device
from ..runners.simulated_int8 import simulate_int8
from ..settings import DetectionSettings
from .drawing import caption, draw_keypoints, draw_matches, draw_tracks, grid
from .example import disparity_inliers, stereo_pair
from .images import read_image, write_image
from .matching import homography_inliers, match_pair
from .onnx_export import TARGETS, onnx_bytes
from .tracking import track_keypoints

Image = npt.NDArray[np.uint8]

_CLASSICAL: dict[str, Callable[[int], Any]] = {
    "orb": lambda count: cv2.ORB_create(count),
    "sift": lambda count: cv2.SIFT_create(count),
}


def _parser() -> argparse.ArgumentParser:
    network = argparse.ArgumentParser(add_help=False)
    network.add_argument("-n", "--nfeatures", type=int, default=1000, help="keypoints per image")
    network.add_argument(
        "--model", choices=ARCHITECTURES, help="network whose shipped weights to use"
    )
    network.add_argument("--weights", type=Path, help="file of weights to use instead")

    feature = argparse.ArgumentParser(add_help=False, parents=[network])
    feature.add_argument("--device", help="such as cpu or cuda:0; default: CUDA, else the CPU")
    feature.add_argument("--precision", choices=PRECISIONS, default="auto", help="arithmetic")

    parser = argparse.ArgumentParser(prog="cv2-superpoint", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)

    match = commands.add_parser(
        "match", parents=[feature], help="match two images and draw the correct matches"
    )
    match.add_argument(
        "images", type=Path, nargs="*", metavar="A B", help="default: a bundled stereo pair"
    )
    match.add_argument(
        "-o",
        "--output",
        type=Path,
        default=Path("matches.png"),
        help="picture to write; default: matches.png",
    )
    match.add_argument(
        "--against", choices=_CLASSICAL, help="also draw the matches of this feature"
    )
    match.set_defaults(run=_match)

    detect = commands.add_parser("detect", parents=[feature], help="draw the keypoints of an image")
    detect.add_argument("image", type=Path)
    detect.add_argument(
        "-o",
        "--output",
        type=Path,
        default=Path("keypoints.png"),
        help="picture to write; default: keypoints.png",
    )
    detect.add_argument("--save", type=Path, help="also write the features to this .npz")
    detect.set_defaults(run=_detect)

    track = commands.add_parser(
        "track", parents=[feature], help="draw tracks of keypoints in a video"
    )
    track.add_argument("--source", default="0", help="camera number, or video file")
    track.add_argument(
        "-o", "--output", type=Path, help="video file to write; default: show a window"
    )
    track.set_defaults(run=_track)

    export = commands.add_parser(
        "export", parents=[network], help="write an ONNX file, for OpenCV 5 or another runtime"
    )
    export.add_argument("-o", "--output", type=Path, required=True, help="file to write")
    export.add_argument(
        "--for",
        dest="target",
        choices=TARGETS,
        required=True,
        help="cv2.ALIKED_create, cv2.DISK_create, any runtime, or maps for OpenCV 4",
    )
    export.add_argument(
        "--size",
        type=_size,
        metavar="WxH",
        help="of the network's input; by default OpenCV's, for onnx any, for maps 640x480",
    )
    export.add_argument(
        "--nlevels", type=int, help="levels of the image pyramid; default: 5, for maps 1"
    )
    export.add_argument(
        "--int8", action="store_true", help="round to 8-bit integers; with --for onnx"
    )
    export.set_defaults(run=_export)

    info = commands.add_parser("info", help="show versions, device, weights and their accuracy")
    info.set_defaults(run=_info)
    return parser


def _size(text: str) -> tuple[int, int]:
    """Read ``WxH`` as ``(height, width)``."""
    found = re.fullmatch(r"([1-9]\d{0,4})x([1-9]\d{0,4})", text)
    if not found:
        raise argparse.ArgumentTypeError(f"a size is like 640x480, not {text!r}")
    return int(found[2]), int(found[1])


def _create(options: argparse.Namespace) -> SuperPoint:
    return SuperPoint(
        options.nfeatures,
        model=options.model,
        weights=options.weights,
        device=options.device,
        precision=options.precision,
    )


def _fail(message: object) -> NoReturn:
    raise SystemExit(f"cv2-superpoint: {message}")


def _reason(error: OSError) -> str:
    return error.strerror or str(error)


def _read(path: Path) -> Image:
    try:
        image, whole = read_image(path)
    except OSError as error:
        _fail(f"cannot read an image from {path}: {_reason(error)}")
    if not whole:
        print(f"cv2-superpoint: warning: {path} is truncated", file=sys.stderr)
    return image


def _write(path: Path, write: Callable[[Path], object]) -> None:
    try:
        write(path)
    except OSError as error:
        _fail(f"cannot write {path}: {_reason(error)}")


def _match(options: argparse.Namespace) -> None:
    if len(options.images) not in (0, 2):
        _fail("match takes two images, or none for the example pair")
    find_inliers, truth = homography_inliers, "a homography"
    if options.images:
        first, second = (_read(path) for path in options.images)
    else:
        try:
            first, second, disparity = stereo_pair()
        except ImportError:
            _fail("the example pair comes with scikit-image: install it, or name two images")
        find_inliers = partial(disparity_inliers, disparity=disparity)
        truth = "the measured disparity"

    create: dict[str, Callable[[], Any]] = {"SuperPoint": lambda: _create(options)}
    if options.against:
        create[options.against.upper()] = lambda: _CLASSICAL[options.against](options.nfeatures)
    pictures, lines, failure = [], [], None
    for name, make in create.items():
        try:
            feature = make()
            feature.detectAndCompute(first, None)  # the first call loads libraries; untimed
            found = match_pair(feature, first, second)
        except cv2.error as error:
            failure = f"{name} failed: {error}"
            break  # what came before is still worth a picture
        right = find_inliers(found.first, found.second)
        lines.append(
            f"{name}: {right.sum()} of {len(right)} matches agree with {truth}, "
            f"{found.keypoints[0]} and {found.keypoints[1]} keypoints, "
            f"{found.seconds * 1e3:.0f} ms"
        )
        of_right = found.first[right], found.second[right], right[right]
        pictures.append(caption(draw_matches(first, second, *of_right), lines[-1]))
    if pictures:
        _write(options.output, lambda path: write_image(path, grid(pictures, 1)))
        print(*lines, f"wrote {options.output}", sep="\n")
    if failure:
        _fail(failure)


def _detect(options: argparse.Namespace) -> None:
    image = _read(options.image)
    features = _create(options).extract(image)
    _write(options.output, lambda path: write_image(path, draw_keypoints(image, features.xy)))
    written = [options.output]
    if options.save:
        content = io.BytesIO()
        np.savez_compressed(content, **vars(features))
        _write(options.save, lambda path: write_atomically(path, content.getvalue()))
        written.append(options.save)
    print(f"{len(features)} keypoints", *(f"wrote {path}" for path in written), sep="\n")


def _frames(capture: cv2.VideoCapture) -> Iterator[Image]:
    while True:
        more, frame = capture.read()
        if not more:
            return
        yield np.asarray(frame, np.uint8)


def _open_video(source: str) -> cv2.VideoCapture:
    _check_video_name(source)
    return cv2.VideoCapture(int(source) if re.fullmatch(r"\d{1,9}", source) else source)


def _open_writer(path: Path, frame: Image, rate: float) -> cv2.VideoWriter:
    code = cv2.VideoWriter.fourcc(*"mp4v")
    writer = cv2.VideoWriter(str(path), code, rate, (frame.shape[1], frame.shape[0]))
    if not writer.isOpened():
        _fail(f"cannot write a video to {path}")
    return writer


def _check_video_name(name: str) -> None:
    try:
        name.encode()
    except UnicodeEncodeError:  # OpenCV would crash
        _fail(f"OpenCV cannot open a video whose name is not UTF-8: {name}")


def _has_windows() -> bool:
    """Tell beforehand: without a display, OpenCV's Qt aborts the process."""
    if re.search(r"GUI:\s+NONE", cv2.getBuildInformation()):  # a headless OpenCV
        return False
    return sys.platform != "linux" or any(map(os.environ.get, ("DISPLAY", "WAYLAND_DISPLAY")))


def _track(options: argparse.Namespace) -> None:
    if options.output is not None:
        _check_video_name(str(options.output))
    elif not _has_windows():
        _fail("there is no display to open a window on; write a video with -o FILE.mp4")
    capture = _open_video(options.source)
    rate = capture.get(cv2.CAP_PROP_FPS) or 25.0
    writer, frames, kept = None, 0, 0
    try:
        for frame, tracks in track_keypoints(_create(options), _frames(capture)):
            picture = draw_tracks(frame, tracks)
            if options.output is None:
                cv2.imshow("cv2-superpoint (q quits)", picture)
                if cv2.waitKey(1) & 0xFF in (ord("q"), 27):
                    break
            else:
                writer = writer or _open_writer(options.output, picture, rate)
                writer.write(picture)
            frames += 1
            kept += sum(len(track) > 1 for track in tracks)
    except KeyboardInterrupt:  # how one stops a camera; what was written stays
        if not frames:
            raise
    finally:
        capture.release()
        if writer is not None:
            writer.release()
        if options.output is None and frames:
            cv2.destroyAllWindows()
    if not frames:
        _fail(f"no frames from camera or video {options.source}")
    lines = [f"{frames} frames, {kept / frames:.0f} tracked keypoints per frame"]
    if options.output is not None:
        whole = sum(1 for _ in _frames(cv2.VideoCapture(str(options.output))))
        if whole < frames:  # OpenCV's writer does not tell
            _fail(f"{options.output} is incomplete, {whole} of {frames} frames: is the disk full?")
        lines.append(f"wrote {options.output}")
    print(*lines, sep="\n")


def _export(options: argparse.Namespace) -> None:
    target, nlevels = options.target, options.nlevels
    if nlevels is None:
        nlevels = 1 if target == "maps" else DetectionSettings.nlevels
    if options.nfeatures < 1 or nlevels < 1:
        _fail("export needs a number of keypoints and of levels: --nfeatures and --nlevels from 1")
    if target == "maps" and nlevels > 1:
        _fail("maps are of one level")
    unit = {"disk": 16, "maps": 8}.get(target, 1)
    if options.size and any(side % unit for side in options.size):
        _fail(f"sizes for {target} are multiples of {unit}")
    if find_spec("onnx") is None:
        _fail("export needs the package onnx, which comes with the extra `export`")
    if options.int8 and target != "onnx":
        _fail("--int8 is for --for onnx")
    source = Source.of(
        "export",
        options.model,
        options.weights,
        device="cpu",
        precision="float32",
        descriptor_size=None,
        threads=None,
    )
    try:
        checkpoint = source.load()
    except ValueError as error:
        _fail(error)
    network, ranges = checkpoint.network, checkpoint.metadata.get("ranges")
    if options.int8:
        if ranges is None or network.architecture.norm != "none":
            _fail("these weights do not say what int8 needs: the ranges of activations")
        network = simulate_int8(network, ranges)
    settings = DetectionSettings(nfeatures=options.nfeatures, nlevels=nlevels)
    data = onnx_bytes(network, settings, target, options.size)
    _write(options.output, lambda path: write_atomically(path, data))
    print(f"wrote {options.output}")


def _info(_: argparse.Namespace) -> None:
    print(f"cv2-superpoint {__version__}, Python {platform.python_version()}")
    print(f"OpenCV {cv2.__version__}, PyTorch {torch.__version__}, numpy {np.__version__}")
    print(f"device {pick_device(None)}, {torch.get_num_threads()} CPU threads")
    for name in shipped_models():
        checkpoint = load_shipped(name)
        count = sum(p.numel() for p in checkpoint.network.parameters())
        print(f"{name}: {count / 1e6:.2f} M parameters")
        measured = checkpoint.metadata.get("metrics", {}).get("methods", {})
        for method, values in measured.items():
            figures = ", ".join(f"{metric} {value:.3f}" for metric, value in values.items())
            print(f"  {method}: {figures}")


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line.

    Parameters
    ----------
    arguments
        By default those of the process.

    Raises
    ------
    SystemExit
        With a message about what the user can fix.
    """
    options = _parser().parse_args(arguments)
    try:
        options.run(options)
    except cv2.error as error:
        _fail(error)

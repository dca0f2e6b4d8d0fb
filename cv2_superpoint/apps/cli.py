"""The command ``cv2-superpoint``: match, detect, track, extract, export, doctor."""

from __future__ import annotations

import argparse
import io
import re
import sys
import time
from collections.abc import Callable, Sequence
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NoReturn

import cv2
import numpy as np
import numpy.typing as npt

from .. import __version__
from ..bulk.errors import BulkError
from ..files import write_atomically
from ..model.binary import sign_code
from ..model.network import ARCHITECTURES
from ..opencv.feature2d import SuperPoint
from ..opencv.source import Source
from ..runners.choose import PRECISIONS
from ..runners.simulated_int8 import simulate_int8
from ..settings import DetectionSettings
from . import extraction
from .doctor import broken, examine, report
from .drawing import caption, draw_keypoints, draw_matches, draw_tracks, grid
from .example import disparity_inliers, stereo_pair
from .images import read_image, write_image
from .matching import homography_inliers, match_pair
from .onnx_export import DENSE, TARGETS, onnx_bytes
from .tracking import track_keypoints
from .video import Video, count_frames, encodable, has_windows, open_writer

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

    parser = argparse.ArgumentParser(
        prog="cv2-superpoint",
        description="SuperPoint features of images and videos: matched, drawn, written, exported.",
    )
    parser.add_argument("--version", action="version", version=__version__)
    commands = parser.add_subparsers(dest="command", required=True)

    match = commands.add_parser(
        "match", parents=[feature], help="match two images and draw the matches that agree"
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
    track.add_argument(
        "--source", default="0", help="camera number, video file, or rtsp:// address"
    )
    track.add_argument(
        "-o", "--output", type=Path, help="video file to write; default: show a window"
    )
    track.set_defaults(run=_track)

    extract = commands.add_parser(
        "extract", parents=[feature], help="extract the features of many images into one output"
    )
    extraction.add_arguments(extract)
    extract.set_defaults(run=_extract)

    export = commands.add_parser(
        "export", parents=[network], help="write an ONNX file, for OpenCV 5 or another runtime"
    )
    export.add_argument("-o", "--output", type=Path, required=True, help="file to write")
    export.add_argument(
        "--for",
        dest="target",
        choices=TARGETS,
        required=True,
        help="cv2.ALIKED_create, cv2.DISK_create, any runtime, OpenCV 4, or a web page",
    )
    export.add_argument(
        "--size",
        type=_size,
        metavar="WxH",
        help="of the network's input; by default OpenCV's, for onnx and web any, for maps 640x480",
    )
    export.add_argument(
        "--nlevels", type=int, help="levels of the image pyramid; default: 5, for maps and web 1"
    )
    export.add_argument(
        "--int8", action="store_true", help="round to 8-bit integers; with --for onnx"
    )
    export.add_argument(
        "--binary", action="store_true", help="descriptors of 32 bytes; with --for onnx"
    )
    export.set_defaults(run=_export)

    doctor = commands.add_parser(
        "doctor", help="show what is installed, what it takes for a frame, and what to change"
    )
    doctor.set_defaults(run=_doctor)
    return parser


def _size(text: str) -> tuple[int, int]:
    """Read ``WxH`` as ``(height, width)``."""
    found = re.fullmatch(r"([1-9]\d{0,4})x([1-9]\d{0,4})", text)
    if not found:
        raise argparse.ArgumentTypeError(f"a size is like 640x480, not {text!r}")
    return int(found[2]), int(found[1])


def _create(options: argparse.Namespace, **parameters: Any) -> SuperPoint:
    return SuperPoint(
        options.nfeatures,
        **parameters,
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


def _track(options: argparse.Namespace) -> None:
    if options.output is None and not has_windows():
        _fail("there is no display to open a window on; write a video with -o FILE.mp4")
    try:
        _track_video(options)
    except OSError as error:
        _fail(error)


def _track_video(options: argparse.Namespace) -> None:
    output = options.output and encodable(str(options.output))
    feature = _create(options)
    writer, frames, written, kept = None, 0, 0, 0
    with Video(options.source) as video:
        start = time.perf_counter()
        try:
            for frame, tracks in track_keypoints(feature, video):
                picture = draw_tracks(frame, tracks)
                frames += 1
                kept += sum(len(track) > 1 for track in tracks)
                if output is None:
                    cv2.imshow("cv2-superpoint (q quits)", picture)
                    if cv2.waitKey(1) & 0xFF in (ord("q"), 27):
                        break
                else:
                    writer = writer or open_writer(output, frame.shape[1::-1], video.rate)
                    while written < frames + video.dropped:  # time passes as it did
                        writer.write(picture)
                        written += 1
        except KeyboardInterrupt:  # how one stops a camera; what was written stays
            if not frames:
                raise
        finally:
            if writer is not None:
                writer.release()
            if output is None and frames:
                cv2.destroyAllWindows()
        seconds = time.perf_counter() - start
    if not frames:
        raise OSError(f"no frames from {options.source}")
    lines = [
        f"{frames} frames, {video.dropped} dropped, {frames / seconds:.1f} fps",
        f"{kept / frames:.0f} tracked keypoints per frame",
    ]
    if output is not None:
        whole = count_frames(output)
        if whole < written:  # OpenCV's writer does not tell
            raise OSError(f"{output} is incomplete, {whole} of {written} frames: is the disk full?")
        lines.append(f"wrote {output}")
    print(*lines, sep="\n")


def _extract(options: argparse.Namespace) -> None:
    kind = cv2.CV_8U if options.binary else cv2.CV_32F
    feature = _create(options, nlevels=options.nlevels, descriptorType=kind)
    try:
        lines, status = extraction.extract(options, feature)
    except ImportError as error:
        extra = "ray" if error.name in ("ray", "pyarrow") else "bulk"
        _fail(f"extract needs a package of the extra `{extra}`: {error}")
    except BulkError as error:
        _fail(error)
    except OSError as error:
        _fail(f"{error.filename or options.output}: {_reason(error)}")
    print(*lines, sep="\n")
    if status:
        sys.exit(status)


def _export(options: argparse.Namespace) -> None:
    target, nlevels = options.target, options.nlevels
    if nlevels is None:
        nlevels = 1 if target in DENSE else DetectionSettings.nlevels
    if options.nfeatures < 1 or nlevels < 1:
        _fail("export needs a number of keypoints and of levels: --nfeatures and --nlevels from 1")
    if target in DENSE and nlevels > 1:
        _fail("maps are of one level")
    unit = {"disk": 16, "maps": 8, "web": 8}.get(target, 1)
    if options.size and any(side % unit for side in options.size):
        _fail(f"sizes for {target} are multiples of {unit}")
    if find_spec("onnx") is None:
        _fail("export needs the package onnx, which comes with the extra `export`")
    for option in ("int8", "binary"):
        if vars(options)[option] and target != "onnx":
            _fail(f"--{option} is for --for onnx")
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
    code = checkpoint.code or sign_code(network.architecture.descriptor_dim)
    data = onnx_bytes(network, settings, target, options.size, code if options.binary else None)
    _write(options.output, lambda path: write_atomically(path, data))
    print(f"wrote {options.output}")


def _doctor(_: argparse.Namespace) -> None:
    facts = examine()
    print(report(facts))
    if broken(facts):
        raise SystemExit(1)


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

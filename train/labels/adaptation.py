"""Homographic Adaptation: what a detector finds in many warped copies of an image.

arXiv 1712.07629, section 5, equation 10. The result is written as pseudo-labels for training.
"""

from __future__ import annotations

import math
import time
import zipfile
import zlib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from lightning_fabric import Fabric
from torch import Tensor
from tqdm import tqdm

from cv2_superpoint.model.decode import heat_map
from cv2_superpoint.model.network import CELL, SuperPointNet
from cv2_superpoint.model.suppression import find_points, max_filter

from ..data.homography import HomographyRange, invert, on_device, sample_homographies, warp
from ..data.images import ImageStore
from ..data.scales import level_counts
from ..deadline import TimeUp, is_over
from ..files import UserError, write_whole
from ..interrupts import held_back
from ..learn import checkpoints
from ..settings import AdaptationSettings
from .edges import LEAST_ROUNDNESS, roundness

ToLogits = Callable[[Tensor], Tensor]
"""From ``(N, 1, H, W)`` grey images to a detector's ``(N, 65, H/8, W/8)`` logits."""

Points = npt.NDArray[np.float32]

USUAL_AREA = 256 * 352
"""Pixels of the photographs that ``AdaptationSettings.max_points`` is meant for."""

CHUNK = 10
"""Images labelled between two writes."""

RANGES = HomographyRange(
    rotation=60.0, scale_min=0.7, scale_max=1.5, stretch=0.3, perspective=0.25, translation=0.15
)


def detector_logits(network: SuperPointNet, images: Tensor) -> Tensor:
    """Return what the detector alone makes of images: `ToLogits` but for the network."""
    return network.detect(network.encode(images))


@torch.no_grad()
def adapted_heat_map(to_logits: ToLogits, image: Tensor, homographies: Tensor) -> Tensor:
    """Average the heat maps of warped copies of an image, each warped back.

    Parameters
    ----------
    to_logits
        Of the detector.
    image
        ``(1, 1, H, W)`` grey in [0, 1], H and W multiples of 8.
    homographies
        ``(N, 3, 3)`` from pixels of the copies to pixels of the image; should begin with the
        identity.

    Returns
    -------
    Tensor
        ``(H, W)``: the mean over the copies that show a pixel; 0 where fewer than a fifth do.
    """
    n, size = len(homographies), (image.shape[2], image.shape[3])
    sizes = on_device(size, image.device).expand(n, 2)
    copies, valid = warp(image.expand(n, -1, -1, -1), homographies, size, sizes)
    # Near the edge of what a copy shows, the repeated border makes corners that are not there.
    trusted = -max_filter(-valid[:, None].float(), 3)
    heat = torch.cat([heat_map(to_logits(copies))[:, None] * trusted, trusted], dim=1)
    to_copies = invert(homographies.double()).float()
    back, seen = warp(heat, to_copies, size, sizes, antialias=False)
    total, count = (back * seen[:, None]).sum(0)
    return (total / count.clamp_min(1e-6)) * (count >= max(1.0, n / 5))


@torch.no_grad()
def pseudo_labels(
    to_logits: ToLogits,
    image: npt.NDArray[np.uint8],
    settings: AdaptationSettings,
    device: torch.device,
) -> Points:
    """Return the interest points of one image by Homographic Adaptation.

    Points along straight edges are left out (:mod:`train.labels.edges`).

    Parameters
    ----------
    to_logits
        Of the detector, on `device`.
    image
        ``(H, W)`` uint8.
    settings
        Number of copies, threshold and so on.
    device
        Where to compute.

    Returns
    -------
    ndarray
        ``(N, 2)`` float32 ``(x, y)`` pixels, strongest first.
    """
    height, width = image.shape
    pixels = torch.from_numpy(image).to(device)[None, None].float() / 255
    padded = F.pad(pixels, (0, -width % CELL, 0, -height % CELL), mode="replicate")
    size = (padded.shape[2], padded.shape[3])
    sizes = on_device(size, device).expand(settings.copies - 1, 2)
    homographies = torch.cat(
        [torch.eye(3, device=device)[None], sample_homographies(RANGES, size, sizes)]
    )
    heat = adapted_heat_map(to_logits, padded, homographies)[:height, :width].cpu()
    is_round = torch.from_numpy(roundness(image) >= LEAST_ROUNDNESS)

    def off_edges(xy: Tensor) -> Tensor:
        x, y = xy.round().long().unbind(1)
        return is_round[y, x]

    xy, _ = find_points(
        heat, settings.threshold, settings.nms_radius, settings.max_points, off_edges
    )
    return xy.numpy()


def label_levels(
    to_logits: ToLogits,
    image: npt.NDArray[np.uint8],
    settings: AdaptationSettings,
    device: torch.device,
) -> Points:
    """Return the interest points of one image at each of its levels (:mod:`train.data.scales`).

    Parameters
    ----------
    to_logits, image, settings, device
        As for :func:`pseudo_labels`; of levels larger than `USUAL_AREA`, the most points grow with
        the area.

    Returns
    -------
    ndarray
        ``(N, 3)`` float32: ``(x, y)`` pixels of the image, and the level; strongest first in each.
    """
    height, width = image.shape
    found = []
    for level in range(int(level_counts(torch.tensor([image.shape]))[0])):
        scale = 2 ** (-level / 2)
        size = (round(width * scale), round(height * scale))
        smaller = cv2.resize(image, size, interpolation=cv2.INTER_AREA) if level else image
        most = round(settings.max_points * max(1.0, smaller.size / USUAL_AREA))
        xy = pseudo_labels(to_logits, smaller, replace(settings, max_points=most), device)
        xy = (
            (xy + 0.5) * np.array([width / size[0], height / size[1]], np.float32) - 0.5
            if level
            else xy
        )
        found.append(np.pad(xy, ((0, 0), (0, 1)), constant_values=level))
    return np.concatenate(found)


def label_images(
    fabric: Fabric,
    network: SuperPointNet,
    store: ImageStore,
    settings: AdaptationSettings,
    out: Path,
    until: float = math.inf,
) -> None:
    """Label the first ``settings.images`` images and write them to one compressed file.

    The file holds ``points`` and ``levels`` (all images one after the other), ``counts``,
    ``seconds``, and ``source``, which tells the weights, settings and images they came from. The
    processes share the work in chunks, each of which is kept in a file beside it until all are
    done; what exists is not done again.

    Parameters
    ----------
    fabric
        Gives device and processes.
    network
        Put into evaluation mode, on the device.
    store
        The photographs.
    settings
        Number of images, copies, threshold.
    out
        The ``.npz`` to write.
    until
        When to stop, as of ``time.time``; looked at before each image.

    Raises
    ------
    KeyboardInterrupt
        At Ctrl-C or SIGTERM, before the next image; the chunks that are done are kept.
    TimeUp
        In every process, at `until` in any; the chunks that are done are kept.
    UserError
        If the file exists, but its labels come from other weights, settings or images.
    """
    network.eval().to(fabric.device).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    source = f"{checkpoints.fingerprint(network)} {settings} {store.fingerprint}"
    if out.exists():
        _read(out, source)
        return

    def to_logits(images: Tensor) -> Tensor:
        with fabric.autocast():
            return detector_logits(network, images)

    count = min(settings.images or len(store), len(store))
    chunks = [range(i, min(i + CHUNK, count)) for i in range(0, count, CHUNK)]
    paths = [out.with_suffix(f".{chunk.start:06d}-{chunk.stop:06d}.npz") for chunk in chunks]
    mine = slice(fabric.global_rank, None, fabric.world_size)
    total = sum(map(len, chunks[mine]))
    bar = tqdm(
        total=total, desc=out.stem, unit="img", disable=fabric.global_rank > 0, mininterval=5
    )
    with bar, held_back() as request:
        for path, chunk in zip(paths[mine], chunks[mine], strict=True):
            if path.exists():
                _read(path, source)
                bar.update(len(chunk))
                continue
            labels, began = [], time.monotonic()
            for i in chunk:
                if request.made:
                    raise KeyboardInterrupt
                if is_over(until):
                    break
                labels.append(label_levels(to_logits, store[i], settings, fabric.device))
                bar.update()
            if len(labels) < len(chunk):
                break
            bar.set_postfix(points=sum(map(len, labels)) / len(labels))
            _write(path, labels, source, store, time.monotonic() - began)
    fabric.barrier()  # also where time is up: all processes end together
    if not all(path.exists() for path in paths):
        raise TimeUp
    fabric.barrier()
    if fabric.is_global_zero:
        parts = [_read(path, source) for path in paths]
        seconds = sum(part[1] for part in parts) / fabric.world_size
        _write(out, [points for part in parts for points in part[0]], source, store, seconds)
        for path in paths:
            path.unlink()
    fabric.barrier()


def _write(
    path: Path, labels: list[Points], source: str, store: ImageStore, seconds: float
) -> None:
    counts = np.array([len(points) for points in labels])
    points = np.concatenate([*labels, np.zeros((0, 3), np.float32)])
    tag, time_taken = np.array(source), np.array(seconds)
    write_whole(
        path,
        lambda stream: np.savez_compressed(
            stream,
            points=points[:, :2],
            levels=points[:, 2].astype(np.uint8),
            counts=counts,
            source=tag,
            images=np.array(store.fingerprint),
            seconds=time_taken,
        ),
    )


def _read(path: Path, source: str) -> tuple[list[Points], float]:
    content = read_file(path)
    if str(content["source"]) != source:
        raise UserError(f"{path} holds labels of other weights, settings or images")
    return _split(content), float(content["seconds"])


def _split(content: dict[str, npt.NDArray[Any]]) -> list[Points]:
    points = np.column_stack([content["points"], content["levels"]]).astype(np.float32)
    return np.split(points, np.cumsum(content["counts"])[:-1])


def read_file(path: Path) -> dict[str, npt.NDArray[Any]]:
    """Return what :func:`label_images` wrote, by name.

    Raises
    ------
    UserError
        If there is no such file, or it is damaged.
    """
    if not path.exists():
        raise UserError(f"{path} is missing: run adapt first")
    try:
        with np.load(path) as data:
            content = {key: data[key] for key in ("points", "counts", "source", "seconds")}
            # Files of earlier versions know one level only, and not of which images they are.
            none = np.zeros(len(content["points"]), np.uint8)
            levels, images = data.get("levels", none), data.get("images", np.array(""))
            return content | {"levels": levels, "images": images}
    except (ValueError, KeyError, EOFError, OSError, zipfile.BadZipFile, zlib.error) as error:
        raise UserError(
            f"{path} is no file of labels, or only a part of one: remove it and run adapt again"
        ) from error


def read_labels(path: Path, store: ImageStore) -> list[Points]:
    """Return one ``(N, 3)`` array per image from a file of labels: x, y in pixels, and the level.

    Raises
    ------
    UserError
        If there is no such file, it is damaged, or its labels are of other images than the store's.
    """
    content = read_file(path)
    if str(content["images"]) not in ("", store.fingerprint):
        raise UserError(f"{path} holds labels of other images than {store.folder}")
    return _split(content)

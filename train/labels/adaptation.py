"""Homographic Adaptation: what a detector finds in many warped copies of an image.

arXiv 1712.07629, section 5, equation 10. The result is written as pseudo-labels for training.
"""

from __future__ import annotations

import io
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from lightning.fabric import Fabric
from torch import Tensor
from tqdm import tqdm

from cv2_superpoint.files import write_atomically
from cv2_superpoint.model.decode import (
    heat_map,
    max_filter,
    non_maximum_suppression,
    refine_subpixel,
)
from cv2_superpoint.model.network import CELL, SuperPointNet

from ..data.homography import HomographyRange, invert, on_device, sample_homographies, warp
from ..data.images import ImageStore
from ..files import UserError
from ..learn import checkpoints
from ..settings import AdaptationSettings

Detect = Callable[[Tensor], Tensor]

CHUNK = 100
"""Images labelled between two writes."""

RANGES = HomographyRange(
    rotation=60.0, scale_min=0.7, scale_max=1.5, stretch=0.3, perspective=0.25, translation=0.15
)


@torch.no_grad()
def adapted_heat_map(detect: Detect, image: Tensor, homographies: Tensor) -> Tensor:
    """Average the heat maps of warped copies of an image, each warped back.

    Parameters
    ----------
    detect
        From ``(N, 1, H, W)`` images to ``(N, 65, H/8, W/8)`` logits.
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
    heat = torch.cat([heat_map(detect(copies))[:, None] * trusted, trusted], dim=1)
    to_copies = invert(homographies.double()).float()
    back, seen = warp(heat, to_copies, size, sizes, antialias=False)
    total, count = (back * seen[:, None]).sum(0)
    return (total / count.clamp_min(1e-6)) * (count >= max(1.0, n / 5))


@torch.no_grad()
def pseudo_labels(
    detect: Detect, image: npt.NDArray[np.uint8], settings: AdaptationSettings, device: torch.device
) -> npt.NDArray[np.float32]:
    """Return the interest points of one image by Homographic Adaptation.

    Parameters
    ----------
    detect
        From images to logits, on `device`.
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
    heat = adapted_heat_map(detect, padded, homographies)[None, :height, :width]
    index = non_maximum_suppression(heat, settings.threshold, settings.nms_radius).nonzero()
    order = heat[index.unbind(1)].argsort(descending=True, stable=True)[: settings.max_points]
    return refine_subpixel(heat, index[order])[0].cpu().numpy()


def label_images(
    fabric: Fabric,
    network: SuperPointNet,
    store: ImageStore,
    settings: AdaptationSettings,
    out: Path,
) -> None:
    """Label the first ``settings.images`` images and write them to one compressed file.

    The file holds ``points`` (all images one after the other), ``counts``, ``seconds``, and
    ``source``, which tells the weights, settings and images they came from. The processes share
    the work in chunks, each of which is kept in a file beside it until all are done; what exists
    is not done again.

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

    Raises
    ------
    UserError
        If the file exists, but its labels come from other weights, settings or images.
    """
    network.eval().to(fabric.device).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    source = f"{checkpoints.fingerprint(network)} {settings} {len(store)} {store.names[0]}"
    if out.exists():
        _read(out, source)
        return

    def detect(images: Tensor) -> Tensor:
        with fabric.autocast():
            return network.detect(network.encode(images))

    count = min(settings.images or len(store), len(store))
    chunks = {out.with_suffix(f".{i:06d}.npz"): i for i in range(0, count, CHUNK)}
    mine = list(chunks.items())[fabric.global_rank :: fabric.world_size]
    total = sum(min(CHUNK, count - i) for _, i in mine)
    with tqdm(
        total=total, desc=out.stem, unit="img", disable=fabric.global_rank > 0, mininterval=5
    ) as bar:
        for path, start in mine:
            wanted = range(start, min(start + CHUNK, count))
            if not path.exists():
                labels, began = [], time.monotonic()
                for i in wanted:
                    labels.append(pseudo_labels(detect, store[i], settings, fabric.device))
                    bar.update()
                bar.set_postfix(points=sum(map(len, labels)) / len(labels))
                _write(path, labels, source, time.monotonic() - began)
            else:
                _read(path, source)
                bar.update(len(wanted))
    fabric.barrier()
    if fabric.is_global_zero:
        parts = [_read(path, source) for path in chunks]
        seconds = sum(part[1] for part in parts) / fabric.world_size
        _write(out, [points for part in parts for points in part[0]], source, seconds)
        for path in chunks:
            path.unlink()
    fabric.barrier()


def _write(path: Path, labels: list[npt.NDArray[np.float32]], source: str, seconds: float) -> None:
    counts = np.array([len(points) for points in labels])
    points = np.concatenate([*labels, np.zeros((0, 2), np.float32)])
    tag, time_taken = np.array(source), np.array(seconds)
    content = io.BytesIO()
    np.savez_compressed(content, points=points, counts=counts, source=tag, seconds=time_taken)
    write_atomically(path, content.getbuffer())


def _read(path: Path, source: str) -> tuple[list[npt.NDArray[np.float32]], float]:
    with np.load(path) as data:
        if str(data["source"]) != source:
            raise UserError(f"{path} holds labels of other weights, settings or images")
        labels = np.split(data["points"], np.cumsum(data["counts"])[:-1])
        return labels, float(data["seconds"])


def read_labels(path: Path) -> list[npt.NDArray[np.float32]]:
    """Return one ``(N, 2)`` array of ``(x, y)`` pixels per image from a file of labels.

    Raises
    ------
    UserError
        If there is none.
    """
    if not path.exists():
        raise UserError(f"{path} is missing: run adapt first")
    with np.load(path) as data:
        return np.split(data["points"], np.cumsum(data["counts"])[:-1])

"""Images in, :class:`Features` out: device, precision, batches and the image pyramid."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from torch import Tensor

from ..features import Features
from ..model.decode import heat_map, non_maximum_suppression, refine_subpixel, sample_descriptors
from ..model.network import CELL, SuperPointNet
from ..settings import DetectionSettings

GreyImage = npt.NDArray[np.uint8]
Mask = npt.NDArray[np.bool_]

PRECISIONS: dict[str, torch.dtype] = {
    "float32": torch.float32,
    "float16": torch.float16,
    "bfloat16": torch.bfloat16,
}

# Bounds the memory of a batch on a GPU; on a CPU, where larger batches only leave its caches, the
# work that goes there at once. A larger single image goes alone.
_PIXELS_PER_BATCH = {"cpu": 1 << 18}
_PIXELS_PER_BATCH_ELSEWHERE = 1 << 22


@dataclass(frozen=True)
class _Level:
    """One level of the pyramids of a batch: what the network made of it."""

    heat: Tensor | None  # (B, h, w), cut to the image
    descriptors: Tensor | None  # (B, D, H/8, W/8)
    scale: Tensor  # (2,) pixels of this level per pixel of the image, (x, y)


def pick_device(name: str | torch.device | None) -> torch.device:
    """Return the named device; by default CUDA, else MPS, else the CPU.

    A CUDA device without an index is that of the calling thread, from now on.

    Raises
    ------
    ValueError
        If there is no such device here.
    """
    if name is None:
        fastest = "mps" if torch.backends.mps.is_available() else "cpu"
        name = "cuda" if torch.cuda.is_available() else fastest
    try:
        device = torch.device(name)
        torch.zeros(1, device=device).cpu()  # "meta" is a device that can't
    except (RuntimeError, AssertionError, NotImplementedError, ImportError) as error:
        reason = str(error).splitlines()[0]
        raise ValueError(f"cannot use device {str(name)!r}: {reason}") from error
    if device.type == "cuda" and device.index is None:
        device = torch.device("cuda", torch.cuda.current_device())
    return device


def level_size(height: int, width: int, scale_factor: float, level: int) -> tuple[int, int]:
    """Return the ``(height, width)`` of a level of the pyramid."""
    scale = scale_factor**level
    return max(1, round(height / scale)), max(1, round(width / scale))


class Extractor:
    """A network on a device. Has no state that a call changes, so threads may share it.

    Parameters
    ----------
    network
        Moved to the device, in evaluation mode.
    device
        Where to compute.
    precision
        A key of :data:`PRECISIONS`: the arithmetic of the convolutions.
    """

    def __init__(self, network: SuperPointNet, device: torch.device, precision: str) -> None:
        self.device = device
        self.precision = precision
        network = network.to(device).eval().requires_grad_(False)
        self.network = network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    def detect(
        self,
        images: Sequence[GreyImage],
        masks: Sequence[Mask | None],
        settings: DetectionSettings,
        describe: bool = True,
    ) -> list[Features]:
        """Detect keypoints, and describe them if asked to.

        Parameters
        ----------
        images
            Each ``(H, W)`` uint8; those of one size share forward passes.
        masks
            As many; ``(H, W)`` bool, True where keypoints may lie, or None.
        settings
            What to keep.
        describe
            Whether to compute descriptors.

        Returns
        -------
        list of Features
            One per image.
        """
        results: dict[int, Features] = {}
        for batch in self._batches(images):
            found = self._detect_batch(
                np.stack([images[i] for i in batch]), [masks[i] for i in batch], settings, describe
            )
            results.update(zip(batch, found, strict=True))
        return [results[i] for i in range(len(images))]

    @torch.inference_mode()
    def describe(
        self,
        images: Sequence[GreyImage],
        xy: Sequence[npt.NDArray[np.float32]],
        octave: Sequence[npt.NDArray[np.int32]],
        settings: DetectionSettings,
    ) -> list[npt.NDArray[np.float32]]:
        """Return the descriptors at given positions.

        Parameters
        ----------
        images
            Each ``(H, W)`` uint8; those of one size share forward passes.
        xy
            As many; ``(N, 2)`` float32 pixels of the image.
        octave
            As many; ``(N,)`` level of the pyramid of each; one that does not exist counts as 0.
        settings
            Of the pyramid.

        Returns
        -------
        list of ndarray
            ``(N, D)`` float32 of unit L2 norm, C-contiguous, one per image.
        """
        dim = self.network.architecture.descriptor_dim
        results = [np.empty((len(points), dim), np.float32) for points in xy]
        level_of = [np.where((o >= 0) & (o < settings.nlevels), o, 0) for o in octave]
        for batch in self._batches(images):
            pixels = self._to_device(np.stack([images[i] for i in batch]))
            for index in np.unique(np.concatenate([level_of[i] for i in batch])):
                level = self._run(pixels, int(index), settings, heat=False, describe=True)
                assert level.descriptors is not None
                for place, i in enumerate(batch):
                    chosen = level_of[i] == index
                    points = _to_level(torch.from_numpy(xy[i][chosen]).to(self.device), level)
                    sampled = sample_descriptors(level.descriptors[place], points)
                    results[i][chosen] = sampled.cpu().numpy()
        return results

    def _batches(self, images: Sequence[GreyImage]) -> Iterator[list[int]]:
        """Yield the indices of images that can share a forward pass: of one size, not too many."""
        pixels = _PIXELS_PER_BATCH.get(self.device.type, _PIXELS_PER_BATCH_ELSEWHERE)
        groups = defaultdict(list)
        for i, image in enumerate(images):
            groups[image.shape].append(i)
        for (height, width), members in groups.items():
            count = max(1, pixels // (height * width))
            for start in range(0, len(members), count):
                yield members[start : start + count]

    def _to_device(self, images: npt.NDArray[np.uint8]) -> Tensor:
        """Return ``(B, 1, H, W)`` float32 grey in [0, 1] on the device."""
        return torch.from_numpy(images).to(self.device)[:, None].float() / 255

    def _autocast(self) -> AbstractContextManager[object]:
        if self.precision == "float32":  # also when the caller's own code is under autocast
            return torch.autocast(self.device.type, enabled=False)
        return torch.autocast(self.device.type, PRECISIONS[self.precision])

    def _run(
        self, pixels: Tensor, index: int, settings: DetectionSettings, heat: bool, describe: bool
    ) -> _Level:
        """Run the wanted decoders on one level of the pyramid."""
        full_height, full_width = pixels.shape[2:]
        height, width = level_size(full_height, full_width, settings.scale_factor, index)
        if index:
            pixels = F.interpolate(
                pixels, (height, width), mode="bilinear", align_corners=False, antialias=True
            )
        padded = F.pad(pixels, (0, -width % CELL, 0, -height % CELL), mode="replicate")
        with self._autocast():
            features = self.network.encode(padded)
            logits = self.network.detect(features) if heat else None
            descriptors = self.network.describe(features) if describe else None
        ratio = [width / full_width, height / full_height]
        cut = None if logits is None else heat_map(logits)[:, :height, :width]
        return _Level(
            cut, descriptors, torch.tensor(ratio, dtype=torch.float32, device=self.device)
        )

    @torch.inference_mode()
    def _detect_batch(
        self,
        images: npt.NDArray[np.uint8],
        masks: Sequence[Mask | None],
        settings: DetectionSettings,
        describe: bool,
    ) -> list[Features]:
        pixels = self._to_device(images)
        levels = [
            self._run(pixels, i, settings, heat=True, describe=describe)
            for i in range(settings.nlevels)
        ]
        limit = torch.tensor([images.shape[2] - 1, images.shape[1] - 1], device=self.device)
        # Per level: image of the batch, position in the image, score.
        found: list[tuple[Tensor, Tensor, Tensor]] = []
        for level in levels:
            assert level.heat is not None
            kept = non_maximum_suppression(
                level.heat, settings.score_threshold, settings.nms_radius
            )
            peaks = kept.nonzero()
            xy, score = refine_subpixel(level.heat, peaks)
            inner = _off_border(xy, level.heat.shape[1:], settings.edge_threshold)
            peaks, xy = peaks[inner], _from_level(xy[inner], level)
            xy = torch.minimum(xy.clamp_min(0), limit)
            found.append((peaks[:, 0], xy, score[inner]))
        which = torch.cat([f[0] for f in found])
        xy = torch.cat([f[1] for f in found])
        score = torch.cat([f[2] for f in found])
        octave = torch.cat([torch.full_like(f[0], i) for i, f in enumerate(found)])
        results = []
        for i, mask in enumerate(masks):
            keep = which == i
            if mask is not None:
                x, y = (xy + 0.5).long().unbind(1)  # OpenCV's rounding
                keep &= torch.from_numpy(mask).to(self.device)[y, x]
            chosen = keep.nonzero()[:, 0]
            order = score[chosen].argsort(descending=True, stable=True)
            chosen = chosen[order]
            if settings.nfeatures > 0:
                chosen = chosen[: settings.nfeatures]
            descriptors = None
            if describe:
                descriptors = self._sample(levels, i, xy[chosen], octave[chosen])
            level_of = octave[chosen].cpu().numpy().astype(np.int32)
            results.append(
                Features(
                    xy=xy[chosen].cpu().numpy(),
                    score=score[chosen].cpu().numpy(),
                    size=(CELL * settings.scale_factor**level_of).astype(np.float32),
                    angle=np.full(len(chosen), -1, np.float32),
                    octave=level_of,
                    descriptors=descriptors,
                )
            )
        return results

    def _sample(
        self, levels: Sequence[_Level], image: int, xy: Tensor, octave: Tensor
    ) -> npt.NDArray[np.float32]:
        dim = self.network.architecture.descriptor_dim
        descriptors = torch.empty(len(xy), dim, device=self.device, dtype=torch.float32)
        for i, level in enumerate(levels):
            assert level.descriptors is not None
            chosen = octave == i
            points = _to_level(xy[chosen], level)
            descriptors[chosen] = sample_descriptors(level.descriptors[image], points)
        return descriptors.cpu().numpy()


def _off_border(xy: Tensor, size: Sequence[int], border: int) -> Tensor:
    """Tell which positions in an image of ``(height, width)`` are so many pixels inside."""
    x, y = xy.unbind(1)
    height, width = size
    in_x = (x >= border) & (x <= width - 1 - border)
    return in_x & (y >= border) & (y <= height - 1 - border)


def _to_level(xy: Tensor, level: _Level) -> Tensor:
    return (xy + 0.5) * level.scale - 0.5


def _from_level(xy: Tensor, level: _Level) -> Tensor:
    return (xy + 0.5) / level.scale - 0.5

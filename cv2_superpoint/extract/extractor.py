"""Images in, :class:`Features` out."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import replace
from functools import lru_cache, partial
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from torch import Tensor

from ..features import OWN_PATCH, Descriptors, Features, GivenPoints
from ..model.binary import BYTES, BinaryCode, sign_code
from ..model.decode import heat_map, sample
from ..model.network import SuperPointNet
from ..model.suppression import find_points
from ..runners.maps import Maps, Runner
from ..runners.threads import Team, threads
from ..settings import BINARY, DetectionSettings
from .merge import Found, merge, weakest_wanted
from .on_device import ROUNDS, find_candidates, fit_memory, is_complete, pack, to_host, unpack
from .orientation import orient
from .patches import AT_ONCE, MIDDLE, cut_patches, reduced
from .regions import Region, cut, regions, resize, split_levels

GreyImage = npt.NDArray[np.uint8]
Mask = npt.NDArray[np.bool_]

# Bounds the memory of a batch on a GPU; on a CPU, where larger batches only leave its caches, the
# work that goes there at once. A larger single image goes alone.
_PIXELS_PER_BATCH = {"cpu": 1 << 18}
_PIXELS_PER_BATCH_ELSEWHERE = 1 << 22

# Devices where looking at a result costs nothing. Elsewhere Python would wait, and the device then
# for Python.
_ONE_BY_ONE = ("cpu",)


class Extractor:
    """A network that finds and describes points. Calls change nothing, so threads may share it.

    Parameters
    ----------
    network
        On the runner's device; it projects the descriptors of points.
    runner
        Runs the rest of it.
    descriptor_size
        How many of the first numbers of a descriptor to keep, unless it is binary.
    thread_count
        Of PyTorch on a CPU; None: by the number of idle cores.
    code
        Makes binary descriptors; None: one that nothing was learned for.
    """

    def __init__(
        self,
        network: SuperPointNet,
        runner: Runner,
        descriptor_size: int,
        thread_count: int | None = None,
        code: BinaryCode | None = None,
    ) -> None:
        self.network = network
        self.runner = runner
        self.descriptor_size = descriptor_size
        self.thread_count = thread_count
        self.code = code or sign_code(network.architecture.descriptor_dim)

    @torch.inference_mode()
    def extract(
        self,
        images: Sequence[GreyImage],
        masks: Sequence[Mask | None],
        settings: DetectionSettings,
        describe: bool = True,
    ) -> list[Features]:
        """Find keypoints, and describe them if asked to.

        Parameters
        ----------
        images
            Each ``(H, W)`` uint8; those of one size share forward passes.
        masks
            As many; ``(H, W)`` bool, True where keypoints may lie, or None.
        settings
            What to keep, and how to describe it.
        describe
            Whether to compute descriptors.

        Returns
        -------
        list of Features
            One per image.

        Raises
        ------
        MemoryError
            If the device's memory is too small for even a small part of an image.
        """
        results: dict[int, Features] = {}
        one_by_one = self.runner.device.type in _ONE_BY_ONE
        extract = self._extract_one_by_one if one_by_one else self._extract_at_once

        def work(batch: list[int], core: int) -> None:
            pixels = self._to_device(np.stack([images[i] for i in batch]))[:, None]
            allowed = self._masks_to_device([masks[i] for i in batch], pixels)
            found = extract(team, pixels, allowed, settings, describe, core)
            results.update(zip(batch, found, strict=True))

        with threads(self.thread_count) as team:
            for batch in self._batches(images):
                fit_memory(work, batch)
            found = [results[i] for i in range(len(images))]
            if not settings.upright:
                found = list(map(partial(orient, settings), images, found))
        return [replace(f, descriptors=self._finish(f.descriptors, settings)) for f in found]

    def _extract_one_by_one(
        self,
        team: Team,
        pixels: Tensor,
        masks: Tensor | None,
        settings: DetectionSettings,
        describe: bool,
        core: int,
    ) -> list[Features]:
        """Extract from a batch, looking at intermediate results to save work."""
        found: list[list[Found]] = [[] for _ in pixels]
        resized = lru_cache(maxsize=2)(partial(resize, pixels))
        every = list(split_levels((pixels.shape[2], pixels.shape[3]), settings, core))

        @torch.inference_mode()
        def run(region: Region) -> Maps:
            return self.runner(cut(resized(region.level_size), region), True, describe)

        with closing(team.map(run, every)) as outputs:
            for region, maps in zip(every, outputs, strict=True):
                for place, parts in enumerate(found):
                    least = weakest_wanted(parts, settings)
                    parts.append(self._find(maps, place, region, masks, settings, least))
        return [merge(parts, settings) for parts in found]

    def _extract_at_once(
        self,
        team: Team,
        pixels: Tensor,
        masks: Tensor | None,
        settings: DetectionSettings,
        describe: bool,
        core: int,
    ) -> list[Features]:
        """Extract from a batch, waiting for the device only at the end."""
        rounds = ROUNDS
        while True:
            parts = [
                find_candidates(
                    team.spread(self.runner, cells, True, describe),
                    region,
                    masks,
                    settings,
                    partial(self._project, settings=settings),
                    rounds,
                )
                for region, cells in regions(pixels, settings, core)
            ]
            packed = to_host(pack(parts, settings))
            if is_complete(packed):
                return unpack(packed, settings, describe)
            rounds *= 2

    @torch.inference_mode()
    def describe(
        self,
        images: Sequence[GreyImage],
        points: Sequence[GivenPoints],
        settings: DetectionSettings,
    ) -> list[Descriptors]:
        """Return the descriptors of given points.

        Parameters
        ----------
        images
            Each ``(H, W)`` uint8; those of one size share forward passes.
        points
            As many.
        settings
            Of the pyramid and the descriptors.

        Returns
        -------
        list of ndarray
            ``(N, D)`` float32 of unit L2 norm, or ``(N, 32)`` uint8; C-contiguous, one per image.

        Raises
        ------
        MemoryError
            If the device's memory is too small for even a small part of an image.
        """
        length = self._length(settings)
        results = [np.empty((len(given), length), np.float32) for given in points]

        def on_levels(batch: list[int], core: int) -> None:
            pixels = self._to_device(np.stack([images[i] for i in batch]))[:, None]
            wanted = np.unique(np.concatenate([points[i].level for i in batch]))
            described = []
            for region, cells in regions(pixels, settings, core, wanted):
                features = team.spread(self.runner, cells, False, True).features
                assert features is not None
                for place, i in enumerate(batch):
                    xy = region.from_image(torch.from_numpy(points[i].xy))
                    inside = region.in_core(xy).numpy()
                    chosen = np.flatnonzero(inside & (points[i].level == region.level))
                    xy = self._to_device(xy[chosen].numpy())
                    rows = self._project(features, place, xy, settings)
                    described.append((i, chosen, rows))
            for i, chosen, rows in described:
                results[i][chosen] = rows.cpu().numpy()

        with threads(self.thread_count) as team:
            for batch in self._batches(images):
                fit_memory(on_levels, batch)
            for image, given, rows in zip(images, points, results, strict=True):
                apart = np.flatnonzero(given.level == OWN_PATCH)
                if len(apart):
                    on_patches = partial(self._on_patches, team, image, given, settings, rows)
                    fit_memory(on_patches, apart.tolist())
        return [self._finish(rows, settings) for rows in results]

    def _on_patches(
        self,
        team: Team,
        image: GreyImage,
        given: GivenPoints,
        settings: DetectionSettings,
        results: npt.NDArray[np.float32],
        batch: list[int],
        core: int,
    ) -> None:
        """Fill in the descriptors of some points of an image, each on a patch of its own."""
        pixels = self._to_device(np.stack([image]))[:, None]
        xy, scale, angle = map(self._to_device, (given.xy, given.scale, given.angle))
        some = torch.tensor(batch, device="cpu")
        for smaller, members in reduced(pixels, given.scale[batch]):
            for chosen in some[members].split(AT_ONCE):
                places = xy[chosen], scale[chosen], angle[chosen]
                patches = cut_patches(smaller, image.shape, *places)
                features = team.spread(self.runner, patches, False, True).features
                assert features is not None
                middle = torch.full((len(chosen), 2), MIDDLE, device=xy.device)
                which = torch.arange(len(chosen), device=xy.device)
                rows = self._project(features, which, middle, settings)
                results[chosen] = rows.cpu().numpy()

    def descriptor_columns(self, settings: DetectionSettings) -> int:
        """Return the number of columns of descriptors."""
        return BYTES if settings.descriptor_type == BINARY else self.descriptor_size

    def _length(self, settings: DetectionSettings) -> int:
        """Return how many numbers descriptors have before they may become binary: then all."""
        binary = settings.descriptor_type == BINARY
        return self.network.architecture.descriptor_dim if binary else self.descriptor_size

    def _finish(self, rows: Any, settings: DetectionSettings) -> Any:
        """Return ``(N, D)`` float32 descriptors, or None, as they were asked for."""
        if rows is None or settings.descriptor_type != BINARY:
            return rows
        return self.code.encode(rows)

    def _batches(self, images: Sequence[GreyImage]) -> Iterator[list[int]]:
        """Yield the indices of images that can share a forward pass: of one size, not too many."""
        pixels = _PIXELS_PER_BATCH.get(self.runner.device.type, _PIXELS_PER_BATCH_ELSEWHERE)
        groups = defaultdict(list)
        for i, image in enumerate(images):
            groups[image.shape].append(i)
        for (height, width), members in groups.items():
            count = max(1, pixels // (height * width))
            for start in range(0, len(members), count):
                yield members[start : start + count]

    def _to_device(self, array: npt.NDArray[Any]) -> Tensor:
        """Copy an array to the device; the copy to a GPU goes on while Python does."""
        tensor, device = torch.from_numpy(array), self.runner.device
        if device.type == "cuda":
            return tensor.pin_memory().to(device, non_blocking=True)
        return tensor.to(device)

    def _masks_to_device(self, masks: Sequence[Mask | None], pixels: Tensor) -> Tensor | None:
        """Return ``(B, H, W)`` bool on the device, or None if there is no mask."""
        if all(mask is None for mask in masks):
            return None
        everywhere = np.ones(pixels.shape[2:], np.bool_)
        return self._to_device(np.stack([everywhere if m is None else m for m in masks]))

    def _find(
        self,
        maps: Maps,
        place: int,
        region: Region,
        masks: Tensor | None,
        settings: DetectionSettings,
        least: float,
    ) -> Found:
        """Find the points of one image of a batch in a region, stronger than the least."""
        assert maps.logits is not None
        height, width = region.size
        heat = heat_map(maps.logits[place : place + 1])[0, :height, :width]

        def keep(xy: Tensor) -> Tensor:
            kept = region.off_border(xy, settings.edge_threshold)
            if region.size != region.level_size:
                kept &= region.in_core(xy)
            return kept if masks is None else kept & region.masked(xy, masks, place)

        xy, score = find_points(heat, least, settings.nms_radius, settings.nfeatures, keep)
        rows = None
        if maps.features is not None:
            rows = self._project(maps.features, place, xy, settings)
        return Found(region.inside_image(xy), score, region.level, rows)

    def _project(
        self, features: Tensor, image: Tensor | int, xy: Tensor, settings: DetectionSettings
    ) -> Tensor:
        """Return the descriptors at pixels of a region, ``(N, D)`` float32 of unit norm.

        `image` says for each, or for all, which of the batch.
        """
        if isinstance(image, int):
            image = torch.full((len(xy),), image, dtype=torch.int64, device=xy.device)
        with torch.autocast(xy.device.type, enabled=False):
            rows = self.network.project(sample(features, image, xy))
        return F.normalize(rows[:, : self._length(settings)], dim=1)

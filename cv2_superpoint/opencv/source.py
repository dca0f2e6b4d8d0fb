"""What a detector is made of: weights, device, arithmetic; enough to make it again elsewhere."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import lru_cache
from pathlib import Path
from types import NoneType

import cv2
import numpy as np
import torch

from ..extract.extractor import Extractor
from ..model import weights as weight_files
from ..model.network import ARCHITECTURES
from ..model.weights import Checkpoint
from ..runners.choose import PRECISIONS, make_runner, pick_device
from ..runners.maps import Runner
from .errors import bad_argument


@dataclass(frozen=True)
class Source:
    """Where a detector comes from. Pickles hold shipped weights by name, others by value.

    Attributes
    ----------
    model
        Name of a network whose weights ship; None if they come from a file.
    contents
        Of that file.
    device, precision, threads
        As for ``SuperPoint``.
    descriptor_size
        Values to keep of each float descriptor; None: all.
    """

    model: str | None
    contents: bytes | None = field(repr=False)
    device: str | torch.device | None
    precision: str
    descriptor_size: int | None
    threads: int | None

    @classmethod
    def of(
        cls,
        function: str,
        model: str | None,
        weights: str | Path | None,
        *,
        device: str | torch.device | None,
        precision: str,
        descriptor_size: int | None,
        threads: int | None,
    ) -> Source:
        """Check arguments of ``SuperPoint``, and return where it comes from.

        Parameters
        ----------
        function
            Named in errors.
        model, weights, device, precision, descriptor_size, threads
            As for ``SuperPoint``.

        Raises
        ------
        cv2.error
            For a wrong type or value, or a file that is missing, damaged, or no such model.
        """
        _check_count(function, "descriptorSize", descriptor_size)
        _check_count(function, "threads", threads)
        _check_type(function, "precision", precision, str)
        _check_type(function, "model", model, str, NoneType)
        _check_type(function, "device", device, str, torch.device, NoneType)
        _check_type(function, "weights", weights, str, Path, NoneType)
        _check_choice(function, "precision", precision, PRECISIONS)
        _check_choice(function, "model", model, (None, *ARCHITECTURES))
        contents = None
        if weights is not None:
            try:
                loaded = weight_files.load(weights)
            except (OSError, ValueError) as error:
                raise bad_argument(function, str(error)) from error
            if model is not None:
                _check_shape(function, model, loaded, weights)
            model, contents = None, weight_files.serialise(loaded)
        elif model is None:
            model = weight_files.DEFAULT_MODEL
        return cls(model, contents, device, precision, descriptor_size, threads)

    def open(self, function: str) -> Extractor:
        """Load the weights onto the device; errors name the function.

        On a CPU, detectors share what ships, so that all but the first are made at once: scripts
        make one wherever they need it, as ORB costs nothing to make.

        Raises
        ------
        cv2.error
            If no weights of the model ship, the device or its arithmetic is missing, or descriptors
            have fewer values.
        """
        try:
            device = pick_device(self.device)
            if self.model is not None and device.type == "cpu":
                loaded, runner = _shipped_on_cpu(self.model, self.precision)
            else:
                loaded, runner = _on_device(self.load(), device, self.precision)
        except ValueError as error:
            raise bad_argument(function, str(error)) from error
        longest = loaded.network.architecture.descriptor_dim
        size = self.descriptor_size or longest
        if size > longest:
            message = f"descriptorSize must be at most {longest}, not {size}"
            raise bad_argument(function, message, cv2.Error.StsOutOfRange)
        return Extractor(loaded.network, runner, size, self.threads, loaded.code)

    def load(self) -> Checkpoint:
        """Read the weights.

        Raises
        ------
        ValueError
            If no weights of the model ship.
        """
        if self.contents is not None:
            return weight_files.deserialise(self.contents)
        assert self.model is not None
        return weight_files.load_shipped(self.model)


@lru_cache
def _shipped_on_cpu(model: str, precision: str) -> tuple[Checkpoint, Runner]:
    return _on_device(weight_files.load_shipped(model), torch.device("cpu"), precision)


def _on_device(
    loaded: Checkpoint, device: torch.device, precision: str
) -> tuple[Checkpoint, Runner]:
    runner = make_runner(loaded.network, loaded.metadata.get("ranges"), device, precision)
    return loaded, runner


def _check_type(function: str, name: str, value: object, *kinds: type) -> None:
    if not isinstance(value, kinds):
        raise bad_argument(function, f"{name} has a wrong type: {value!r}")


def _check_choice(
    function: str, name: str, value: str | None, choices: tuple[str | None, ...]
) -> None:
    if value not in choices:
        wanted = ", ".join(filter(None, choices))
        raise bad_argument(function, f"{name} must be one of {wanted}, not {value!r}")


def _check_count(function: str, name: str, value: object) -> None:
    whole = isinstance(value, int | np.integer) and not isinstance(value, bool)
    if value is not None and not (whole and value > 0):  # type: ignore[operator]
        raise bad_argument(function, f"{name} must be a whole number from 1, not {value!r}")


def _check_shape(function: str, model: str, loaded: Checkpoint, weights: str | Path) -> None:
    # A model is its sizes; where it normalises is a matter of how it was trained.
    wanted, got = (
        replace(architecture, norm="none", norm_eps=1e-5)
        for architecture in (ARCHITECTURES[model], loaded.network.architecture)
    )
    if got != wanted:
        raise bad_argument(function, f"{weights} is no {model!r}: it is {got}")

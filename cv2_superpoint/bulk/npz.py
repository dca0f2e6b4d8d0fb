"""Features as one ``.npz`` per image."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np

from ..features import Features
from ..files import write_atomically
from .output import Settings, check_settings, to_text

_SETTINGS = "settings.json"


class NpzFolder:
    """``NAME.npz`` for the image ``NAME``: the fields of :class:`Features`, and ``image_size``.

    Parameters
    ----------
    path, settings
        As for :func:`~cv2_superpoint.bulk.output.open_output`.
    """

    def __init__(self, path: Path, settings: Settings) -> None:
        self._folder = path
        path.mkdir(exist_ok=True)
        kept = path / _SETTINGS
        if not kept.exists() and not any(path.iterdir()):
            write_atomically(kept, to_text(settings).encode())
        check_settings(path, kept.read_text("utf-8") if kept.exists() else None, settings)

    def __contains__(self, name: str) -> bool:
        return self._path(name).exists()

    def write(self, name: str, image_size: tuple[int, int], features: Features) -> None:
        """Add the features of an image."""
        content = io.BytesIO()
        np.savez(content, **vars(features), image_size=np.array(image_size))
        path = self._path(name)
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(path, content.getvalue())

    def commit(self) -> None:
        """Do nothing: each file is complete."""

    def close(self) -> None:
        """Do nothing."""

    def _path(self, name: str) -> Path:
        return self._folder / f"{name}.npz"

"""Features as HDF5, in the layout of hloc."""

from __future__ import annotations

import io
from pathlib import Path

import h5py
import numpy as np

from ..features import Features
from .errors import BulkError
from .journal import JournaledFile
from .output import Settings, check_settings, to_text

_SETTINGS = "cv2_superpoint"  # attribute of the file
_FORMAT = ("v108", "v108")  # later ones mark a file as open, and refuse it once that was killed

_MOST_PENDING = 1 << 26  # bytes in memory


class Hdf5:
    """A group for each image, named like it, with ``keypoints``, ``descriptors`` and so on.

    hloc's keypoints are OpenCV's: pixels ``(x, y)``, integer at pixel centres. (What imports them
    to COLMAP adds the 0.5 that is between them.) Its descriptors are columns.

    Parameters
    ----------
    path, settings
        As for :func:`~cv2_superpoint.bulk.output.open_output`.
    """

    def __init__(self, path: Path, settings: Settings) -> None:
        empty = io.BytesIO()
        with h5py.File(empty, "w", libver=_FORMAT) as new:
            new.attrs[_SETTINGS] = to_text(settings)
        self._stream = JournaledFile(path, empty.getvalue())
        try:
            self._file = h5py.File(self._stream, "r+", libver=_FORMAT)
        except OSError as error:
            self._stream.close()
            raise BulkError(f"{path} exists, and is no HDF5 file") from error
        try:
            check_settings(path, self._file.attrs.get(_SETTINGS), settings)
        except BulkError:
            self.close()
            raise

    def __contains__(self, name: str) -> bool:
        return f"{name}/image_size" in self._file

    def write(self, name: str, image_size: tuple[int, int], features: Features) -> None:
        """Add the features of an image."""
        assert features.descriptors is not None
        group = self._file.create_group(name)
        group["keypoints"] = features.xy
        group["descriptors"] = np.ascontiguousarray(features.descriptors.T)
        group["scores"] = features.score
        group["image_size"] = np.array(image_size)
        if self._stream.pending > _MOST_PENDING:
            self.commit()

    def commit(self) -> None:
        """Bring everything to the disk."""
        self._file.flush()
        self._stream.commit()

    def close(self) -> None:
        """Close it, without what was not committed."""
        self._file.close()
        self._stream.close()

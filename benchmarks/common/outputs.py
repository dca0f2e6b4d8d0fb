"""What commands write: whole or not at all."""

from pathlib import Path


def write(path: Path, data: bytes | memoryview) -> None:
    """Write a file as `cv2_superpoint.files.write_atomically`; OSError names it."""
    # Imported here, because it takes seconds, and classical methods run without PyTorch.
    from cv2_superpoint.files import write_atomically

    write_atomically(path, data)

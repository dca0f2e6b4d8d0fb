"""Which wheels provide OpenCV. Imports neither it nor PyTorch, so it works where they do not."""

from __future__ import annotations

from importlib.metadata import distributions
from importlib.util import find_spec
from pathlib import Path


def opencv_wheels() -> list[str]:
    """Return the installed wheels that have put files into the ``cv2`` that Python imports.

    Returns
    -------
    list of str
        Such as ``["opencv-python 4.10.0.84"]``. Empty for an OpenCV that came another way.
    """
    spec = find_spec("cv2")
    if spec is None or spec.origin is None:
        return []
    folder = Path(spec.origin).parent.resolve()
    found = {
        f"{wheel.metadata['Name']} {wheel.version}"
        for wheel in distributions()
        if "opencv" in (wheel.metadata["Name"] or "").lower()
        and any(file.parts[0] == "cv2" for file in wheel.files or ())
        and Path(str(wheel.locate_file("cv2"))).resolve() == folder
    }
    return sorted(found)


def advise_wheels(wheels: list[str]) -> str | None:
    """Return what to do about wheels that overwrite each other, or None if they do not."""
    if len(wheels) < 2:
        return None
    names = " ".join(wheel.split()[0] for wheel in wheels)
    return (
        f"{len(wheels)} wheels have written into the same cv2 ({', '.join(wheels)}): "
        f"`pip uninstall {names}`, then install one"
    )


def advise_import(error: ImportError, wheels: list[str]) -> str:
    """Return what to do about an OpenCV that cannot be imported."""
    if advice := advise_wheels(wheels):
        return advice
    if "libGL" in str(error) or "libgthread" in str(error):
        return (
            "this OpenCV needs the system's libraries for windows: install them (Debian: libgl1 "
            "and libglib2.0-0), or opencv-contrib-python-headless in its place"
        )
    if "numpy" in str(error):
        return (
            "OpenCV and numpy do not fit together (OpenCV before 4.10 needs numpy below 2): "
            "upgrade OpenCV, or `pip install 'numpy<2'`"
        )
    return "reinstall OpenCV and PyTorch"

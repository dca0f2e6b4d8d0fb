"""``cv2-superpoint`` and ``python -m cv2_superpoint``: the command line as a process."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable


def main() -> None:
    """Run the command line; Ctrl-C, a closed pipe and a full disk end it without a traceback."""
    try:
        try:
            run = _load()  # takes seconds, in which Ctrl-C may come
            if sys.stdout is not None:  # None where the shell closed it: `>&-`
                # File names may hold bytes that are no text.
                sys.stdout.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]
            run()
        finally:
            if sys.stdout is not None:
                sys.stdout.flush()
    except KeyboardInterrupt:
        sys.exit(130)  # as shells say it: 128 + SIGINT
    except OSError as error:
        _discard_output()
        if isinstance(error, BrokenPipeError):  # the reader, such as `head`, has seen enough
            sys.exit(1)
        sys.exit(f"cv2-superpoint: {error.filename or 'standard output'}: {error.strerror}")


def _load() -> Callable[[], None]:
    try:
        from .apps.cli import main as run
    except ImportError as error:  # an OpenCV, or a PyTorch, that does not load
        from .apps.wheels import advise_import, opencv_wheels

        reason = str(error).splitlines()[0]
        sys.exit(f"cv2-superpoint: {reason}; {advise_import(error, opencv_wheels())}")
    return run


def _discard_output() -> None:
    """Send what is still buffered nowhere, lest the interpreter fail on it once more at exit."""
    if sys.stdout is not None:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


if __name__ == "__main__":
    main()

"""Errors as OpenCV raises them."""

from __future__ import annotations

import cv2


def bad_argument(function: str, message: str, code: int = cv2.Error.StsBadArg) -> cv2.error:
    """Return a ``cv2.error`` with the attributes that OpenCV's own carry.

    Parameters
    ----------
    function
        Name of the public function that was called.
    message
        What is expected, and what was given.
    code
        One of ``cv2.Error``.
    """
    text = f"SuperPoint error: ({code}) {message} in function '{function}'"
    error = cv2.error(text)
    error.code, error.err, error.func, error.msg = code, message, function, text
    error.file, error.line = "", -1
    return error

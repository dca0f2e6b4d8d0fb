"""Frames of video files and cameras, and windows to show them in."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterator
from threading import Condition, Thread
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

Frame = npt.NDArray[np.uint8]

_CAMERA = re.compile(r"\d{1,9}$")
_STREAM = re.compile(r"rtsps?://")


class Video:
    """The frames of a file, or of a live source: a camera, by its number, or an ``rtsp://`` stream.

    A file is read completely. A live source does not wait: a thread reads it, and each iteration
    gets the newest frame, so that what is shown is what is there now, however long one takes for a
    frame. A context manager, to be iterated once.

    Parameters
    ----------
    source
        Number of a camera, name of a file, or address of a stream.

    Attributes
    ----------
    live
        Whether frames may be dropped.
    dropped
        How many were so far.
    rate
        Frames per second; 25 where the source does not say.

    Raises
    ------
    OSError
        If it cannot be opened.
    """

    def __init__(self, source: str) -> None:
        camera = _CAMERA.match(source)
        self.live = bool(camera or _STREAM.match(source))
        self.dropped = 0
        self._capture = _open(int(source) if camera else encodable(source))
        if not self._capture.isOpened():
            raise OSError(f"cannot open {'camera' if camera else 'video'} {source}")
        self.rate = self._capture.get(cv2.CAP_PROP_FPS) or 25.0
        self._changed = Condition()
        self._newest: Frame | None = None
        self._error: Exception | None = None
        self._ended = False
        self._reader: Thread | None = None

    def __enter__(self) -> Video:
        return self

    def __exit__(self, *_: object) -> None:
        if self._reader is None:
            self._capture.release()
        else:
            self._ended = True
            self._reader.join(2)  # it releases the camera, lest that vanish while it reads

    def __iter__(self) -> Iterator[Frame]:
        if not self.live:
            yield from self._read()
            return
        self._reader = Thread(target=self._keep_newest, daemon=True)
        self._reader.start()
        while (frame := self._wait()) is not None:
            yield frame

    def _read(self) -> Iterator[Frame]:
        while not self._ended:
            more, frame = self._capture.read()
            if not more:
                return
            yield np.asarray(frame, np.uint8)

    def _keep_newest(self) -> None:
        try:
            for frame in self._read():
                with self._changed:
                    self.dropped += self._newest is not None
                    self._newest = frame
                    self._changed.notify()
        except Exception as error:  # of OpenCV; raised where the frames are used
            self._error = error
        finally:
            self._capture.release()
            with self._changed:
                self._ended = True
                self._changed.notify()

    def _wait(self) -> Frame | None:
        """Return the newest frame that was not returned yet; None after the last one."""
        with self._changed:
            while self._newest is None and not self._ended:
                self._changed.wait(0.5)  # not for ever: on Windows, Ctrl-C ends no wait
            frame, self._newest = self._newest, None
        if frame is None and self._error is not None:
            raise self._error
        return frame


def _open(source: int | str) -> Any:
    """Open a source without OpenCV's own lines about what it tried."""
    level = cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)
    try:
        return cv2.VideoCapture(source)
    finally:
        cv2.utils.logging.setLogLevel(level)


def encodable(name: str) -> str:
    """Return the name of a video unchanged.

    Raises
    ------
    OSError
        If it is not UTF-8: OpenCV would crash.
    """
    try:
        name.encode()
    except UnicodeEncodeError:
        raise OSError(f"OpenCV cannot open a video whose name is not UTF-8: {name}") from None
    return name


def open_writer(name: str, size: tuple[int, int], rate: float) -> cv2.VideoWriter:
    """Open a file to write BGR frames of some ``(width, height)`` to, so many per second.

    Raises
    ------
    OSError
        If that is impossible.
    """
    writer = cv2.VideoWriter(encodable(name), cv2.VideoWriter.fourcc(*"mp4v"), rate, size)
    if not writer.isOpened():
        raise OSError(f"cannot write a video to {name}")
    return writer


def count_frames(name: str) -> int:
    """Return how many frames of a file can be read; 0 if it is no video."""
    try:
        with Video(name) as video:
            return sum(1 for _ in video)
    except OSError:
        return 0


def has_windows() -> bool:
    """Tell beforehand whether OpenCV can show any: without a display, its Qt aborts the process."""
    if re.search(r"GUI:\s+NONE", cv2.getBuildInformation()):  # a headless OpenCV
        return False
    return sys.platform != "linux" or any(map(os.environ.get, ("DISPLAY", "WAYLAND_DISPLAY")))

"""A photograph turned, tilted, made smaller or zoomed in on, with the homography that did it."""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from ..common.datasets import Image, fit


@dataclass(frozen=True)
class View:
    """A photograph seen anew.

    Attributes
    ----------
    image : (H, W) uint8 array
    homography : (3, 3) float64 array
        From the view at step 0 to this one, in pixels.
    radius : float
        Only points so many pixels around the centre count.
    """

    image: Image
    homography: NDArray[np.float64]
    radius: float = float("inf")


def turn(photograph: Image, degrees: float, size: tuple[int, int]) -> View:
    """Turn a photograph counter-clockwise about its centre.

    Parameters
    ----------
    photograph : (H, W) uint8 array
    degrees : float
    size : tuple of int
        (height, width) of the view, equal. It is cut from a square that is wide enough for every
        angle, so that only pixels of the photograph are seen.
    """
    side = size[0]
    margin = 4  # of the interpolation
    large = int(np.ceil(side * 2**0.5)) + 2 * margin
    large += (large - side) % 2  # so that an unturned view falls on whole pixels
    canvas, _ = fit(photograph, (large, large))
    middle, centre = (large - 1) / 2, (side - 1) / 2
    # The last column moves the middle of the canvas to the centre of the view.
    to_view = np.eye(3)
    to_view[:2] = cv2.getRotationMatrix2D((middle, middle), degrees, 1)
    to_view[:2, 2] += centre - middle
    image = cv2.warpAffine(canvas, to_view[:2], (side, side), flags=cv2.INTER_CUBIC)
    turned = np.eye(3)
    turned[:2] = cv2.getRotationMatrix2D((centre, centre), degrees, 1)
    return View(np.asarray(image, np.uint8), turned, radius=side / 2)


def shrink(photograph: Image, factor: float, size: tuple[int, int]) -> View:
    """Make a photograph smaller.

    Parameters
    ----------
    photograph : (H, W) uint8 array
    factor : float
        1 or more.
    size : tuple of int
        (height, width) to which the photograph is brought first.
    """
    whole, _ = fit(photograph, size)
    small, homography = fit(whole, (round(size[0] / factor), round(size[1] / factor)))
    return View(small, homography)


def tilt(photograph: Image, degrees: float, size: tuple[int, int]) -> View:
    """Show a photograph as a picture on a wall, seen at an angle.

    The camera moves around the vertical axis through the picture's middle, one and a half times the
    picture's width away, so that the right side of the picture is farther. Around the picture the
    wall has its mean grey. ASIFT's tilt is one over the cosine of the angle.

    Parameters
    ----------
    photograph : (H, W) uint8 array
    degrees : float
        The viewpoint angle, between the line of sight and the wall's normal; less than 90.
    size : tuple of int
        (height, width) of the view.

    Returns
    -------
    View
        Its homography is from the view at 0 degrees.
    """
    whole, _ = fit(photograph, size)
    height, width = size
    distance, angle = 1.5 * width, np.radians(degrees)
    centred = np.array([[1, 0, (1 - width) / 2], [0, 1, (1 - height) / 2], [0, 0, 1]])
    seen = np.array(
        [[distance * np.cos(angle), 0, 0], [0, distance, 0], [np.sin(angle), 0, distance]]
    )
    homography = np.linalg.inv(centred) @ seen @ centred
    # Drawn wider and higher, then averaged over areas, so that nothing aliases.
    times = np.diag([8.0, 2.0, 1.0])
    corners = np.array([[1, 0, 0.5], [0, 1, 0.5], [0, 0, 1]])  # of pixels, instead of centres
    fine = np.linalg.inv(corners) @ times @ corners @ homography
    drawn = cv2.warpPerspective(
        whole,
        fine,
        (8 * width, 2 * height),
        flags=cv2.INTER_CUBIC,
        borderValue=float(np.mean(whole)),
    )
    image = cv2.resize(drawn, (width, height), interpolation=cv2.INTER_AREA)
    return View(np.asarray(image, np.uint8), homography)


def zoom_in(photograph: Image, zoom: float, degrees: float, size: tuple[int, int]) -> View:
    """Show the middle of a large photograph larger and turned, in the detail that it has.

    Parameters
    ----------
    photograph : (H, W) uint8 array
    zoom : float
        So many times larger than in the view of all of it, 1 or more.
    degrees : float
        Counter-clockwise, about the centre.
    size : tuple of int
        (height, width) of the view. Beyond the photograph's border it is mirrored.

    Returns
    -------
    View
        Its homography is from the view at zoom 1 and 0 degrees.
    """
    _, to_whole = fit(photograph, size)
    # First brought to the scale of the view by averages of areas, so that nothing aliases.
    scale = min(1, zoom * to_whole[0, 0])
    height, width = photograph.shape
    canvas, to_canvas = fit(photograph, (round(scale * height), round(scale * width)))
    centre = ((size[1] - 1) / 2, (size[0] - 1) / 2)
    change = np.eye(3)
    change[:2] = cv2.getRotationMatrix2D(centre, degrees, zoom)
    to_view = change @ to_whole @ np.linalg.inv(to_canvas)
    image = cv2.warpAffine(
        canvas,
        to_view[:2],
        size[::-1],
        flags=cv2.INTER_CUBIC,
        borderMode=cv2.BORDER_REFLECT_101,
    )
    return View(np.asarray(image, np.uint8), change)

"""Draw the pictures of the site: python docs/pictures.py [RUN].

Those of how-it-works.md show what the package's own functions return, and those of training.md the
sheets of RUN, a folder that training wrote. Needs the extras `demo` and `train`.
"""

from __future__ import annotations

import sys
from pathlib import Path

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from skimage import data

import cv2_superpoint
from cv2_superpoint.apps.drawing import (
    GREEN,
    RED,
    WHITE,
    caption,
    circle,
    draw_keypoints,
    draw_matches,
    grid,
)
from cv2_superpoint.model.decode import heat_map, refine_subpixel
from cv2_superpoint.model.network import CELL, DUSTBIN
from cv2_superpoint.model.weights import load_shipped
from train.data.homography import sample_homographies, warp
from train.labels.adaptation import RANGES, adapted_heat_map, detector_logits

FOLDER = Path("docs/pictures")
WIDTH = 1100  # pixels, at most
NETWORK = load_shipped("superpoint-lite").network.eval()
COFFEE = np.ascontiguousarray(cv2.cvtColor(data.coffee(), cv2.COLOR_RGB2BGR)[:, 100:500])
CAMERA = data.camera()[60:380, 100:420]


def main(*runs: str) -> None:
    """Draw all of them; those of training only if there is a run."""
    FOLDER.mkdir(exist_ok=True)
    with torch.inference_mode():
        for draw in (cells, heat, subpixel, adaptation, descriptors, pyramid):
            write(draw.__name__, draw())
    for run in runs:
        rows = np.array_split(cv2.imread(f"{run}/labels1.png"), 4)  # of three photographs each
        write("training_labels", rows[1])
        write("training_matches", cv2.imread(f"{run}/matches.png"))


def write(name: str, picture: np.ndarray) -> None:
    """Write a JPEG, not wider than the page."""
    if picture.shape[1] > WIDTH:
        size = WIDTH, round(picture.shape[0] * WIDTH / picture.shape[1])
        picture = cv2.resize(picture, size, interpolation=cv2.INTER_AREA)
    path = FOLDER / f"{name}.jpg"
    cv2.imwrite(str(path), picture, [cv2.IMWRITE_JPEG_QUALITY, 82])
    print(f"{path}: {picture.shape[1]}x{picture.shape[0]}, {path.stat().st_size // 1024} KiB")


def tensor(grey: np.ndarray) -> torch.Tensor:
    """Return an image as the network takes it, ``(1, 1, H, W)`` in [0, 1]."""
    return torch.from_numpy(np.ascontiguousarray(grey))[None, None].float() / 255


def logits_of(grey: np.ndarray) -> torch.Tensor:
    """Return ``(1, 65, H/8, W/8)``."""
    return detector_logits(NETWORK, tensor(grey))


def enlarged(picture: np.ndarray, zoom: int) -> np.ndarray:
    """Return a BGR picture in which pixels can be seen."""
    large = cv2.resize(picture, None, fx=zoom, fy=zoom, interpolation=cv2.INTER_NEAREST)
    return cv2.cvtColor(large, cv2.COLOR_GRAY2BGR) if large.ndim == 2 else large


def coloured(values: torch.Tensor, top: float = 1.0) -> np.ndarray:
    """Return a map in colours, ``(H, W, 3)`` BGR: black for 0, yellow for `top` and more."""
    scaled = (values.clamp(0, top) / top).mul(255).round().byte().numpy()
    return cv2.applyColorMap(scaled, cv2.COLORMAP_INFERNO)


def ruled(picture: np.ndarray, step: int) -> np.ndarray:
    """Return a picture with a line every `step` pixels."""
    picture = picture.copy()
    picture[::step] = picture[:, ::step] = (150, 150, 150)
    return picture


def cells() -> np.ndarray:
    """Draw a detail of a photograph, its cells' dustbins, and its heat map."""
    grey, zoom = CAMERA, 8
    rows, columns = slice(64, 112), slice(168, 216)  # whole cells
    logits = logits_of(grey)
    dustbin = logits.softmax(1)[0, DUSTBIN].repeat_interleave(CELL, 0).repeat_interleave(CELL, 1)
    shown = {
        "6 x 6 cells of 8 x 8 pixels": enlarged(grey[rows, columns], zoom),
        "dustbin: no point in this cell": enlarged(coloured(dustbin[rows, columns]), zoom),
        "the other 64 channels: heat map": enlarged(
            coloured(heat_map(logits)[0, rows, columns], 0.5), zoom
        ),
    }
    return grid([caption(ruled(p, CELL * zoom), text) for text, p in shown.items()], 3)


def heat() -> np.ndarray:
    """Draw a photograph, its heat map, and the keypoints of one level."""
    grey = cv2.cvtColor(COFFEE, cv2.COLOR_BGR2GRAY)
    points = cv2_superpoint.SuperPoint_create(300, nlevels=1).extract(COFFEE).xy
    shown = {
        "image": COFFEE,
        "heat map": coloured(heat_map(logits_of(grey))[0], 0.15),
        f"the strongest {len(points)} keypoints": draw_keypoints(COFFEE, points),
    }
    return grid([caption(picture, text) for text, picture in shown.items()], 3)


def subpixel() -> np.ndarray:
    """Draw the heat around three keypoints: the hottest pixel, and the centre of mass."""
    grey, zoom, side = CAMERA, 24, 6
    warm = heat_map(logits_of(grey))
    strongest = cv2_superpoint.SuperPoint_create(40, nlevels=1).extract(grey).xy.round().astype(int)
    height, width = grey.shape
    peaks = [(x, y) for x, y in strongest if side < x < width - side and side < y < height - side]
    pictures = []
    for x, y in peaks[:32:11]:
        index = torch.tensor([[0, int(y), int(x)]])
        place = refine_subpixel(warm, index)[0].numpy()
        window = np.s_[y - side : y + side + 1, x - side : x + side + 1]
        around = warm[0][window]
        top = divmod(int(around.argmax()), 2 * side + 1)
        for picture in (enlarged(grey[window], zoom), enlarged(coloured(around, 0.5), zoom)):
            for (px, py), colour, radius in (
                ((x - side + top[1], y - side + top[0]), WHITE, 5),
                (place, GREEN, 5),
            ):
                at = (np.array([px - x + side, py - y + side]) + 0.5) * zoom - 0.5
                circle(picture, at, radius, colour, -1)
            pictures.append(picture)
    return caption(grid(pictures, 6), "white: the hottest pixel; green: the keypoint")


def adaptation() -> np.ndarray:
    """Draw warped copies of a photograph with their heat, and the mean of 1, 10 and 100."""
    torch.manual_seed(3)
    grey, most = CAMERA, 0.2
    image, size = tensor(grey), grey.shape
    sizes = torch.tensor([size]).expand(99, 2)
    homographies = torch.cat([torch.eye(3)[None], sample_homographies(RANGES, size, sizes)])
    copies, _ = warp(image.expand(3, -1, -1, -1), homographies[1:4], size, sizes[:3])
    pictures = []
    for copy in copies[:, 0].mul(255).round().byte().numpy():
        warm = coloured(heat_map(logits_of(copy))[0], most)
        seen = cv2.addWeighted(cv2.cvtColor(copy, cv2.COLOR_GRAY2BGR), 0.6, warm, 0.8, 0)
        pictures.append(caption(seen, "a copy, and the heat there"))
    for count in (1, 10, 100):
        mean = adapted_heat_map(
            lambda images: detector_logits(NETWORK, images), image, homographies[:count]
        )
        pictures.append(caption(coloured(mean, most), f"mean of {count}, warped back"))
    return grid(pictures, 3)


def descriptors() -> np.ndarray:
    """Draw how similar the descriptor of a point is to those of all cells of another view."""
    turn = np.vstack([cv2.getRotationMatrix2D((200, 200), 25, 1.15), (0, 0, 1)])
    second = cv2.warpPerspective(COFFEE, turn, COFFEE.shape[1::-1])
    detector = cv2_superpoint.SuperPoint_create(500, nlevels=1)
    first_found, second_found = detector.extract([COFFEE, second])
    matcher = cv2_superpoint.BFMatcher(crossCheck=True)
    matches = matcher.match(first_found.descriptors, second_found.descriptors)
    ends = np.array([(m.queryIdx, m.trainIdx) for m in matches]).T
    source, target = first_found.xy[ends[0]], second_found.xy[ends[1]]
    moved = cv2.perspectiveTransform(source[:, None], turn)[:, 0]
    right = np.linalg.norm(moved - target, axis=1) < 3

    maps = F.normalize(
        NETWORK.describe(NETWORK.encode(tensor(cv2.cvtColor(second, cv2.COLOR_BGR2GRAY)))), dim=1
    )[0]
    alike = torch.einsum("nd,dhw->nhw", torch.from_numpy(first_found.descriptors), maps)
    # Of the matches that are right, the one whose descriptor the fewest cells come near.
    crowd = (alike > 0.5 * alike.amax((1, 2), keepdim=True)).sum((1, 2)).numpy()[ends[0]]
    chosen = int(ends[0][np.where(right, crowd, crowd.max() + 1).argmin()])
    large = F.interpolate(alike[None, chosen, None], scale_factor=CELL, mode="bilinear")[0, 0]
    over = cv2.addWeighted(second, 0.4, coloured(large**2, 0.6), 0.9, 0)
    asked = COFFEE.copy()
    circle(asked, first_found.xy[chosen], 9, RED, 3)
    above = grid([caption(asked, "a point"), caption(over, "its similarity to all cells")], 2)
    drawn = draw_matches(COFFEE, second, source[::4], target[::4], right[::4])
    text = f"{right.sum()} of {len(right)} mutual nearest neighbours are right; a quarter of them"
    return np.vstack([above, caption(drawn, text)])


def pyramid() -> np.ndarray:
    """Draw the levels of the pyramid at their sizes, with the keypoints found on each."""
    detector = cv2_superpoint.SuperPoint_create(400)
    found = detector.extract(COFFEE)
    pictures = []
    for level in range(detector.getNLevels()):
        scale = detector.getScaleFactor() ** -level
        size = tuple(round(side * scale) for side in COFFEE.shape[1::-1])
        smaller = cv2.resize(COFFEE, size, interpolation=cv2.INTER_AREA)
        points = (found.xy[found.octave == level] + 0.5) * scale - 0.5
        drawn = draw_keypoints(smaller, points)
        pictures.append(caption(drawn, f"{level}: {len(points)}"))
    height = max(map(len, pictures))
    gap = ((0, 0), (0, 8), (0, 0))
    columns = [
        np.pad(np.pad(p, ((0, height - len(p)), (0, 0), (0, 0)), constant_values=60), gap,
               constant_values=60)
        for p in pictures
    ]  # fmt: skip
    return np.hstack(columns)


if __name__ == "__main__":
    main(*sys.argv[1:])

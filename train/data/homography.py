"""Random homographies, and warping images and points with them, in batches on any device.

All coordinates are pixels ``(x, y)``, integer at pixel centres. A *view* is a crop of a *source*
image as another camera would see it; ``view_to_source`` takes its pixels to the source's.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
import torch.nn.functional as F
from torch import Tensor


@dataclass(frozen=True)
class HomographyRange:
    """How far random views may stray; draws are from normals truncated at two sigma.

    Attributes
    ----------
    rotation
        Largest in-plane rotation, in degrees.
    wide_rotation
        Largest rotation of the share `wide_share` of the views, in degrees; drawn uniformly.
    wide_share
        Share of the views that rotate widely, 0..1.
    scale_min, scale_max
        Zoom: view pixels per source pixel.
    stretch
        Largest log2 of the ratio of the zoom along some axis to that across it: what a surface
        seen at an angle undergoes. The axis may point anywhere.
    perspective
        Largest foreshortening: relative change of scale from the centre to the border.
    translation
        Largest shift of the centre, as a share of the source's half size.
    """

    rotation: float = 25.0
    wide_rotation: float = 25.0
    wide_share: float = 0.0
    scale_min: float = 0.6
    scale_max: float = 1.8
    stretch: float = 0.2
    perspective: float = 0.25
    translation: float = 0.3


def _truncated_normal(shape: tuple[int, ...], device: torch.device) -> Tensor:
    """Draw from a normal of sigma 1/2 truncated to [-1, 1].

    By inversion: PyTorch's own draws again what fell outside, and for that waits for the device.
    """
    uniform = torch.rand(shape, device=device) * 2 - 1
    return torch.erfinv(uniform * math.erf(math.sqrt(2))) / math.sqrt(2)


def sample_homographies(
    ranges: HomographyRange, view_size: tuple[int, int], source_sizes: Tensor
) -> Tensor:
    """Draw one view per source: translation, rotation, scale, stretch, perspective.

    The composition of simple transformations is that of Homographic Adaptation (arXiv
    1712.07629, section 5.2, figure 6).

    Parameters
    ----------
    ranges
        The limits of each.
    view_size
        ``(height, width)`` of the views.
    source_sizes
        ``(B, 2)`` ``(height, width)`` of each source, on the wanted device.

    Returns
    -------
    Tensor
        ``(B, 3, 3)`` view_to_source, float32.
    """
    n, device = len(source_sizes), source_sizes.device
    height, width = view_size

    def draw(columns: int = 1) -> Tensor:
        return _truncated_normal((n, columns), device).squeeze(1)

    wide = torch.rand(n, device=device) < ranges.wide_share
    narrow_angle = draw() * math.radians(ranges.rotation)
    wide_angle = (torch.rand(n, device=device) * 2 - 1) * math.radians(ranges.wide_rotation)
    angle = torch.where(wide, wide_angle, narrow_angle)
    low, high = math.log(ranges.scale_min), math.log(ranges.scale_max)
    zoom = torch.exp((low + high) / 2 + draw() * (high - low) / 2)
    stretch = torch.exp2(draw() * ranges.stretch / 2)
    axis = torch.rand(n, device=device) * math.pi
    tilt = draw(2) * ranges.perspective
    shift = draw(2) * ranges.translation

    centre = torch.eye(3, device=device).repeat(n, 1, 1)
    centre[:, 0, 2], centre[:, 1, 2] = -(width - 1) / 2, -(height - 1) / 2
    bend = torch.eye(3, device=device).repeat(n, 1, 1)
    bend[:, 2, 0], bend[:, 2, 1] = tilt[:, 0] / (width / 2), tilt[:, 1] / (height / 2)
    scale = torch.zeros(n, 3, 3, device=device)
    scale[:, 0, 0], scale[:, 1, 1], scale[:, 2, 2] = stretch / zoom, 1 / (stretch * zoom), 1
    affine = _turn(angle + axis) @ scale @ _turn(-axis)
    place = torch.eye(3, device=device).repeat(n, 1, 1)
    half = (source_sizes.flip(1).float() - 1) / 2
    place[:, :2, 2] = half * (1 + shift)
    return place @ affine @ bend @ centre


def _turn(angle: Tensor) -> Tensor:
    """Return the ``(B, 3, 3)`` rotations about the origin by ``(B,)`` radians."""
    turn = torch.zeros(len(angle), 3, 3, device=angle.device)
    turn[:, 0, 0] = turn[:, 1, 1] = angle.cos()
    turn[:, 0, 1], turn[:, 1, 0], turn[:, 2, 2] = -angle.sin(), angle.sin(), 1
    return turn


def sample_zoom_pairs(
    first: HomographyRange,
    second: HomographyRange,
    view_size: tuple[int, int],
    source_sizes: Tensor,
    zooms: tuple[float, float] = (0.25, 1.1),
    ratio: float = 4.0,
) -> tuple[Tensor, Tensor]:
    """Draw two views per large source, of which the first is a detail of the second.

    In this order, so that nearly every point of the first view can be seen in the second.

    Parameters
    ----------
    first, second
        The limits of each, but for scale and translation.
    view_size
        ``(height, width)`` of the views.
    source_sizes
        ``(B, 2)`` ``(height, width)`` of each source, on the wanted device.
    zooms
        Lowest and highest zoom: view pixels per source pixel.
    ratio
        Highest zoom of the first view over that of the second.

    Returns
    -------
    first, second : Tensor
        ``(B, 3, 3)`` view_to_source, float32. The second view's centre lies in the first view.
    """
    n, device = len(source_sizes), source_sizes.device
    low, high = (math.log(zoom) for zoom in zooms)
    detail = torch.exp(low + torch.rand(n, 1, device=device) * (high - low))
    overview = (detail * ratio ** -torch.rand(n, 1, device=device)).clamp_min(zooms[0])
    half = (source_sizes.flip(1).float() - 1) / 2
    # The overview stays within the source where it can; the detail is anywhere near its middle.
    room = (half - on_device(view_size[::-1], device) / 2 / overview).clamp_min(0)
    centre = half + (torch.rand(n, 2, device=device) * 2 - 1) * room
    shift = (torch.rand(n, 2, device=device) - 0.5) * min(view_size) / 2 / detail

    def place(ranges: HomographyRange, centre: Tensor, zoom: Tensor) -> Tensor:
        still = replace(ranges, scale_min=1.0, scale_max=1.0, translation=0.0)
        move = torch.eye(3, device=device).repeat(n, 1, 1)
        move[:, 0, 0], move[:, 1, 1] = 1 / zoom[:, 0], 1 / zoom[:, 0]
        move[:, :2, 2] = centre - half / zoom
        return move @ sample_homographies(still, view_size, source_sizes)

    return place(first, centre + shift, detail), place(second, centre, overview)


def invert(homographies: Tensor) -> Tensor:
    """Return the ``(B, 3, 3)`` inverses; unlike ``torch.linalg.inv``, without waiting for a GPU."""
    return torch.linalg.inv_ex(homographies).inverse


def on_device(numbers: Sequence[float], device: torch.device) -> Tensor:
    """Return ``(N,)`` float32; unlike ``torch.tensor``, without waiting for a GPU."""
    return torch.cat([torch.full((1,), float(number), device=device) for number in numbers])


def transform(points: Tensor, homography: Tensor) -> Tensor:
    """Apply homographies to points.

    Parameters
    ----------
    points
        ``(B, N, 2)`` pixels ``(x, y)``.
    homography
        ``(B, 3, 3)``.

    Returns
    -------
    Tensor
        ``(B, N, 2)``. Points on or behind the horizon become infinite.
    """
    mapped = F.pad(points, (0, 1), value=1.0) @ homography.transpose(1, 2)
    depth = mapped[..., 2:]
    return torch.where(depth > 1e-6, mapped[..., :2] / depth, torch.inf)


def pixel_grid(size: tuple[int, int], device: torch.device) -> Tensor:
    """Return the ``(H * W, 2)`` pixel centres ``(x, y)`` of an image, row by row."""
    y, x = torch.meshgrid(
        torch.arange(size[0], device=device, dtype=torch.float32),
        torch.arange(size[1], device=device, dtype=torch.float32),
        indexing="ij",
    )
    return torch.stack([x, y], dim=-1).reshape(-1, 2)


def inside(points: Tensor, sizes: Tensor) -> Tensor:
    """Tell which points lie within their image.

    Parameters
    ----------
    points
        ``(B, N, 2)`` pixels ``(x, y)``.
    sizes
        ``(B, 2)`` ``(height, width)``.

    Returns
    -------
    Tensor
        ``(B, N)`` bool.
    """
    limit = sizes.flip(1)[:, None].float() - 1
    return ((points >= 0) & (points <= limit)).all(-1)


def warp(
    images: Tensor,
    view_to_source: Tensor,
    view_size: tuple[int, int],
    source_sizes: Tensor,
    antialias: bool = True,
) -> tuple[Tensor, Tensor]:
    """Look at each image through its homography; the border is repeated outwards.

    Where the view is smaller than the source, its pixels are means over about the area that they
    cover: trilinear interpolation in an image pyramid of halved levels (Williams, "Pyramidal
    Parametrics", SIGGRAPH 1983).

    Parameters
    ----------
    images
        ``(B, C, H, W)`` canvases; the image fills the first rows and columns of its canvas.
    view_to_source
        ``(B, 3, 3)``.
    view_size
        ``(h, w)`` of the result.
    source_sizes
        ``(B, 2)`` ``(height, width)`` of the image in each canvas.
    antialias
        False: plain bilinear sampling, for what is not light, such as heat maps.

    Returns
    -------
    views : Tensor
        ``(B, C, h, w)``.
    valid : Tensor
        ``(B, h, w)`` bool: where the view shows the image.
    """
    grid = pixel_grid(view_size, images.device).expand(len(images), -1, -1)
    source = transform(grid, view_to_source)
    valid = inside(source, source_sizes).reshape(-1, *view_size)
    sizes = source_sizes.flip(1)[:, None].float()
    source = torch.minimum(source.nan_to_num(posinf=0.0).clamp_min(0), sizes - 1)
    source = source.reshape(-1, *view_size, 2)
    if not antialias:
        return _sample(images, source, sizes), valid
    wanted = mip_level(grid, view_to_source).reshape(-1, 1, *view_size).clamp(0, _MIP_LEVELS)
    views = torch.zeros(len(images), images.shape[1], *view_size, device=images.device)
    canvas = (images.shape[2], images.shape[3])
    inner = inside(pixel_grid(canvas, images.device)[None], source_sizes)
    # Beside each level, how much of each of its pixels the image covers.
    covered = inner.reshape(-1, 1, *canvas).to(images)
    weighted = images * covered
    for level in range(_MIP_LEVELS + 1):
        if level:
            weighted, covered = (
                F.avg_pool2d(t, 2, ceil_mode=True, count_include_pad=False)
                for t in (weighted, covered)
            )
        scale = 2.0**level
        sampled = _sample(
            weighted / covered.clamp_min(1e-6),
            (source + 0.5) / scale - 0.5,
            (sizes / scale).ceil(),
        )
        views = views + sampled * (1 - (wanted - level).abs()).clamp_min(0)
    return views, valid


_MIP_LEVELS = 3  # down to an eighth; no view shrinks its source further


def mip_level(points: Tensor, homography: Tensor) -> Tensor:
    """Return log2 of how many source pixels a view pixel is wide.

    Parameters
    ----------
    points
        ``(B, N, 2)`` pixels ``(x, y)`` of the view.
    homography
        ``(B, 3, 3)`` view_to_source.

    Returns
    -------
    Tensor
        ``(B, N)``.
    """
    depth = (points @ homography[:, 2:, :2].transpose(1, 2) + homography[:, 2:, 2:]).squeeze(2)
    # The determinant of the Jacobian of x -> (Ax + b) / depth is det H / depth^3.
    area = torch.det(homography).abs()[:, None] / depth.abs().clamp_min(1e-6) ** 3
    return 0.5 * area.clamp_min(1e-12).log2()


def _sample(images: Tensor, xy: Tensor, sizes: Tensor) -> Tensor:
    """Sample ``(B, C, H, W)`` bilinearly at ``(B, h, w, 2)`` pixels, within ``(B, 1, 2)`` sizes."""
    xy = torch.minimum(xy.clamp_min(0), sizes[:, None] - 1)
    canvas = on_device(images.shape[:1:-1], images.device)
    normalised = (xy + 0.5) / canvas * 2 - 1
    return F.grid_sample(
        images, normalised, mode="bilinear", padding_mode="border", align_corners=False
    )

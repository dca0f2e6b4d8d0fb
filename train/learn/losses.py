"""What the network is trained for: soft detector targets, and the two losses."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from cv2_superpoint.model.decode import refine_subpixel
from cv2_superpoint.model.network import CELL
from cv2_superpoint.model.suppression import max_filter

from ..data.homography import invert, pixel_grid, transform


def detector_targets(
    points: Tensor, present: Tensor, size: tuple[int, int], weight: Tensor | None = None
) -> Tensor:
    """Return the 65-way distribution of every cell, exact below the pixel.

    A point shares its weight bilinearly among its four neighbouring pixels, so that the
    expectation of the target is the point itself; what a cell does not receive is its dustbin's.
    (The paper rounds to one pixel, and picks one point of a cell at random.)

    Parameters
    ----------
    points
        ``(B, N, 2)`` pixels ``(x, y)``.
    present
        ``(B, N)`` bool: which rows are points.
    size
        ``(H, W)`` of the image, multiples of 8.
    weight
        ``(B, N)`` in [0, 1]: how much of a point each is; what it lacks is the dustbin's, too.

    Returns
    -------
    Tensor
        ``(B, 65, H/8, W/8)``, sums to 1 over the channels.
    """
    batch, height, width = len(points), *size
    amount = present.float() if weight is None else present * weight
    heat = points.new_zeros(batch, height * width)
    safe = points.where(present[..., None], torch.zeros_like(points))
    corner = safe.floor()
    fraction = safe - corner
    for dy in (0, 1):
        for dx in (0, 1):
            x, y = corner[..., 0].long() + dx, corner[..., 1].long() + dy
            wx = fraction[..., 0] if dx else 1 - fraction[..., 0]
            wy = fraction[..., 1] if dy else 1 - fraction[..., 1]
            ok = (x >= 0) & (x < width) & (y >= 0) & (y < height)
            heat.scatter_add_(
                1, (y * width + x).where(ok, torch.zeros_like(x)), wx * wy * amount * ok
            )
    cells = F.pixel_unshuffle(heat.reshape(batch, 1, height, width), CELL)
    total = cells.sum(1, keepdim=True)
    return torch.cat([cells / total.clamp_min(1), (1 - total).clamp_min(0)], dim=1)


def detector_loss(logits: Tensor, target: Tensor, valid: Tensor, dustbin_weight: float) -> Tensor:
    """Return the cross-entropy of the cells (paper, equations 2 and 3), where they are valid.

    Parameters
    ----------
    logits, target
        ``(B, 65, h, w)``.
    valid
        ``(B, 8 h, 8 w)`` bool pixels; a cell counts if all of its pixels do.
    dustbin_weight
        Weight of the (far more frequent) dustbin against that of points.

    Returns
    -------
    Tensor
        Scalar.
    """
    counted = _whole_cells(valid)
    log_probability = logits.float().log_softmax(dim=1)
    weight = torch.ones(logits.shape[1], 1, 1, device=logits.device)
    weight[-1] = dustbin_weight
    loss = -(weight * target * log_probability).sum(1)
    return (loss * counted).sum() / counted.sum().clamp_min(1)


def _whole_cells(valid: Tensor) -> Tensor:
    """Return ``(B, h, w)``: 1 for cells all of whose pixels, ``(B, 8 h, 8 w)`` bool, are valid."""
    return -F.max_pool2d(-valid[:, None].float(), CELL)[:, 0]


def info_nce_loss(
    first: Tensor,
    second: Tensor,
    present: Tensor,
    positions: Tensor,
    temperature: float,
    safe_radius: float,
) -> tuple[Tensor, Tensor]:
    """Return the symmetric InfoNCE (double-softmax) loss of corresponding descriptors.

    Each descriptor must find its partner among all the other view's; the objective of SiLK
    (arXiv 2304.06194) and LoFTR (arXiv 2104.00680) on sampled points.

    Parameters
    ----------
    first, second
        ``(B, N, D)`` unit descriptors; row i of one corresponds to row i of the other.
    present
        ``(B, N)`` bool: which rows are correspondences.
    positions
        ``(B, N, 2)`` of the second view's points, pixels.
    temperature
        Divides the cosine similarities.
    safe_radius
        Pixels within which another point is no negative.

    Returns
    -------
    loss, accuracy : Tensor
        Scalars; the accuracy is that of nearest neighbours.
    """
    similarity = first @ second.transpose(1, 2) / temperature
    identity = torch.eye(similarity.shape[1], dtype=torch.bool, device=similarity.device)
    compared = identity | _negatives(present, positions, safe_radius)
    similarity = similarity.masked_fill(~compared, -1e4)
    target = torch.arange(similarity.shape[1], device=similarity.device).expand(present.shape)
    count = present.sum().clamp_min(1)
    losses = [
        (F.cross_entropy(rows, target, reduction="none") * present).sum() / count
        for rows in (similarity.transpose(1, 2), similarity)
    ]
    right = (similarity.argmax(2) == target) & present
    return (losses[0] + losses[1]) / 2, right.sum() / count


def _negatives(present: Tensor, positions: Tensor, safe_radius: float) -> Tensor:
    """Return ``(B, N, N)`` bool: pairs of points, both present, that must not match."""
    # Far-away stand-ins for absent rows: a distance to infinity would be undefined.
    located = positions.where(present[..., None], torch.full_like(positions, -1e4))
    apart = torch.cdist(located, located) >= safe_radius
    other = ~torch.eye(present.shape[1], dtype=torch.bool, device=present.device)
    return apart & other & present[:, :, None] & present[:, None, :]


def distillation_losses(
    student: tuple[Tensor, Tensor],
    teacher: tuple[Tensor, Tensor],
    valid: Tensor,
    dustbin_weight: float,
) -> tuple[Tensor, Tensor]:
    """Return how far a network is from what a better one says of the same images.

    The teacher's probabilities are the detector's targets (Hinton et al., arXiv 1503.02531): they
    rank points, which labels do not. Descriptors are to point where the teacher's do, in all cells;
    exported descriptors are ordered by energy, so for a student of fewer numbers the teacher's
    first ones are their best summary.

    Parameters
    ----------
    student, teacher
        Logits ``(B, 65, h, w)`` and descriptors ``(B, D, h, w)``, not normalised; D may be smaller
        for the student.
    valid
        ``(B, 8 h, 8 w)`` bool pixels; a cell counts if all of its pixels do.
    dustbin_weight
        As for :func:`detector_loss`.

    Returns
    -------
    detector, descriptor : Tensor
        Scalars: a cross-entropy, and the mean of one minus the cosine.
    """
    detector = detector_loss(student[0], teacher[0].float().softmax(1), valid, dustbin_weight)
    counted = _whole_cells(valid)
    wanted = teacher[1][:, : student[1].shape[1]].float()
    distance = 1 - F.cosine_similarity(student[1].float(), wanted, dim=1)
    return detector, (distance * counted).sum() / counted.sum().clamp_min(1)


def hinge_loss(
    maps: tuple[Tensor, Tensor],
    valid: tuple[Tensor, Tensor],
    first_to_second: Tensor,
    positive_weight: float,
    positive_margin: float = 1.0,
    negative_margin: float = 0.2,
) -> Tensor:
    """Return the paper's descriptor loss over all pairs of cells (equations 4 to 6).

    Parameters
    ----------
    maps
        ``(B, D, h, w)`` descriptors of the first and the second view, not normalised.
    valid
        ``(B, 8 h, 8 w)`` bool pixels of each; a cell counts if all of its pixels do.
    first_to_second
        ``(B, 3, 3)``, pixels.
    positive_weight
        The paper's lambda_d: corresponding pairs are few against the others.
    positive_margin, negative_margin
        The paper's m_p and m_n.

    Returns
    -------
    Tensor
        Scalar: the mean over the pairs of cells that count.
    """
    height, width = maps[0].shape[2:]
    centres = pixel_grid((height, width), maps[0].device) * CELL + (CELL - 1) / 2
    moved = transform(centres.expand(len(first_to_second), -1, -1), first_to_second)
    moved = moved.nan_to_num(posinf=1e6)
    same = torch.cdist(moved, centres.expand_as(moved)) <= CELL
    first, second = (F.normalize(m.float().flatten(2), dim=1) for m in maps)
    similarity = first.transpose(1, 2) @ second
    loss = torch.where(
        same,
        positive_weight * (positive_margin - similarity).clamp_min(0),
        (similarity - negative_margin).clamp_min(0),
    )
    here, there = (_whole_cells(v).flatten(1) for v in valid)
    counted = here[:, :, None] * there[:, None]
    return (loss * counted).sum() / counted.sum().clamp_min(1)


def _strongest_peaks(
    heat: Tensor, valid: Tensor, count: int, threshold: float
) -> tuple[Tensor, Tensor]:
    """Return the refined peaks of heat maps: ``(B, K, 2)`` pixels, and which rows are some."""
    batch, _, width = heat.shape
    with torch.no_grad():
        # Nearly what inference keeps, without its loop, which a GPU would wait for.
        kept = (heat == max_filter(heat, CELL // 2)) & (heat > threshold) & valid
        value, place = (heat * kept).flatten(1).topk(count, dim=1)
    index = torch.stack([place // width, place % width], dim=-1)
    image = torch.arange(batch, device=heat.device)[:, None, None].expand(-1, count, 1)
    xy = refine_subpixel(heat, torch.cat([image, index], dim=-1).reshape(-1, 3))
    return xy.reshape(batch, count, 2), value > 0


def reprojection_loss(
    heat: tuple[Tensor, Tensor],
    valid: tuple[Tensor, Tensor],
    first_to_second: Tensor,
    count: int = 128,
    threshold: float = 0.01,
    radius: float = 3.0,
) -> Tensor:
    """Return the mean distance between what the two views of a pair call the same point.

    Trains the localisation that users get, peak and sub-pixel refinement included, without
    labels: each keypoint, moved to the other view, is drawn to the nearest keypoint there. The
    idea is ALIKE's (arXiv 2112.02906, section III-D), here on SuperPoint's heat map.

    Parameters
    ----------
    heat
        ``(B, H, W)`` of the first and the second view.
    valid
        ``(B, H, W)`` bool of each.
    first_to_second
        ``(B, 3, 3)``, pixels.
    count
        Keypoints per view, the strongest.
    threshold
        Least heat of a keypoint.
    radius
        Pixels beyond which two keypoints are not the same point.

    Returns
    -------
    Tensor
        Scalar, pixels.
    """
    points, present = zip(
        *(_strongest_peaks(h, v, count, threshold) for h, v in zip(heat, valid, strict=True)),
        strict=True,
    )
    total, pairs = heat[0].new_zeros(()), heat[0].new_zeros(())
    for here, there, homography in (
        (0, 1, first_to_second),
        (1, 0, invert(first_to_second)),
    ):
        moved = transform(points[here], homography)
        moved = moved.where(
            present[here][..., None] & moved.isfinite(), torch.full_like(moved, -1e4)
        )
        offset = moved[:, :, None] - points[there][:, None]
        # The square root has no slope at zero.
        distance = (offset.square().sum(-1) + 1e-4).sqrt()
        distance = distance.masked_fill(~present[there][:, None], torch.inf)
        nearest = distance.min(2).values
        same = nearest < radius
        total = total + nearest.where(same, torch.zeros_like(nearest)).sum()
        pairs = pairs + same.sum()
    return total / pairs.clamp_min(1)

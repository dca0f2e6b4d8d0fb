"""The best, the median and the worst pair of pictures, drawn with the matches of some methods."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ..common import gallery
from ..common.datasets import Image
from ..common.detectors import Detector, make
from ..common.features import extract
from ..common.gallery import Exhibit, MatchedPair
from .steps import Protocol, Record, extract_inside
from .views import View, zoom_in
from .zoom import ZoomRecord, close_up, size_of_views

RULES = f"{gallery.RULES} The unchanged photographs are left out."
RULES_OF_ZOOMS = (
    f"{gallery.RULES} Above is the close-up; those not zoomed or not turned are left out."
)


def of_steps(
    methods: Mapping[str, Detector],
    photographs: Mapping[str, Image],
    records: Sequence[Record],
    view: Callable[[Image, float], View],
    unit: str,
    protocol: Protocol,
) -> list[Exhibit]:
    """Draw photographs and what they were changed to; parameters as of `steps.run_steps`."""
    names, first_step = gallery.choose_methods(list(methods)), records[0].step
    error_of = {(r.method, r.photograph, r.step): r.corner_error for r in records}
    changed = [r for r in records if r.method == names[0] and r.step != first_step]

    def draw(rank: str, pair: Record) -> Exhibit:
        seen = [view(photographs[pair.photograph], step) for step in (first_step, pair.step)]

        def match(method: str) -> MatchedPair:
            features = [extract_inside(methods[method], v, protocol.points) for v in seen]
            return MatchedPair(
                (seen[0].image, features[0]),
                (seen[1].image, features[1]),
                seen[1].homography,
                error_of[method, pair.photograph, pair.step],
            )

        title = f"{rank}: {pair.photograph}, {pair.step:g} {unit}"
        return gallery.draw_exhibit(title, rank, names, match, protocol.match_threshold)

    chosen = gallery.choose_pairs(changed, lambda r: (r.corner_error, _share_wrong(r)))
    return [draw(rank, pair) for rank, pair in chosen.items()]


def of_zooms(
    photographs: Mapping[str, Image], records: Sequence[ZoomRecord], protocol: Protocol
) -> list[Exhibit]:
    """Draw overviews and close-ups of them; parameters as of `zoom.run_zooms`."""
    names = gallery.choose_methods(list(dict.fromkeys(r.method for r in records)))
    methods = {name: make(name, protocol.points) for name in names}
    error_of = {(r.method, r.photograph, r.zoom, r.rotation): r.corner_errors[0] for r in records}
    changed = [r for r in records if r.method == names[0] and r.zoom != 1 and r.rotation != 0]

    def draw(rank: str, pair: ZoomRecord) -> Exhibit:
        photograph = photographs[pair.photograph]
        overview = zoom_in(photograph, 1, 0, size_of_views(photograph))
        close = close_up(pair.photograph, photograph, pair.zoom, pair.rotation)

        def match(method: str) -> MatchedPair:
            first, second = (
                (v.image, extract(methods[method], v.image, protocol.points))
                for v in (close, overview)
            )
            error = error_of[method, pair.photograph, pair.zoom, pair.rotation]
            return MatchedPair(first, second, close.homography, error)

        title = f"{rank}: {pair.photograph}, {pair.zoom:g}x, {pair.rotation:g} degrees"
        return gallery.draw_exhibit(title, rank, names, match, protocol.match_threshold)

    chosen = gallery.choose_pairs(changed, lambda r: (r.corner_errors[0], _share_wrong(r)))
    return [draw(rank, pair) for rank, pair in chosen.items()]


def _share_wrong(record: Any) -> float:
    return 1 - record.correct / max(1, record.matches)

"""From the times of cases to the rows and tables of ``python -m benchmarks speed``."""

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from ..common.detectors import is_ours
from ..common.tables import Table
from . import roofline
from .cases import REFERENCES, setting_of, unshipped
from .timing import Result, group_of


def describe(result: Result, results: Sequence[Result]) -> dict[str, Any]:
    """Return a row of the report; None where something does not apply."""
    case = result.case
    height, width = case.size
    low, median, high = np.quantile(result.times, [0.25, 0.5, 0.75]).tolist()
    frame = _median(result.frame_times)
    base = {
        other.case.method: other
        for other in results
        if group_of(other.case) == group_of(case) and other.case.method in REFERENCES
    }
    row: dict[str, Any] = {
        "method": case.method,
        "size": f"{width}x{height}",
        "points": case.points,
        "threads": case.threads,
        "device": case.device,
        "precision": result.precision or case.precision or None,
        "batch": case.batch,
        "weights": _weights(case.method),
        "keypoints": result.keypoints,
        "ms": median,
        "ms_quartile_1": low,
        "ms_quartile_3": high,
        "ms_device": _median(result.device_times),
        "ms_match": _median(result.match_times),
        "ms_homography": _median(result.homography_times),
        "ms_frame": frame,
        **{f"times_{name}": median / float(np.median(r.times)) for name, r in base.items()},
        **{
            f"frame_times_{name}": frame / float(np.median(r.frame_times))
            for name, r in base.items()
            if frame is not None and r.frame_times
        },
        **{f"ms_{name}": result.stages.get(name) for name in roofline.STAGES},
        "network_GFLOP": None,
        "machine_GFLOP_per_s": None,
        "ms_network_bound": None,
    }
    if result.operations:
        rate = roofline.multiplication_rate(case.device, result.precision, case.threads)
        row |= {
            "network_GFLOP": result.operations / 1e9,
            "machine_GFLOP_per_s": rate / 1e9,
            "ms_network_bound": 1000 * result.operations / rate,
        }
    return row


def _weights(method: str) -> str | None:
    if not is_ours(method):
        return None
    return "shipped" if unshipped(method) is None else "random"


def _median(times: Sequence[float]) -> float | None:
    return float(np.median(times)) if times else None


def tabulate(rows: Sequence[dict[str, Any]]) -> list[Table]:
    """Lay out the tables: one per size, points and threads, then the stages of the networks."""
    tables, on_gpu = [], any(row["ms_device"] is not None for row in rows)
    for setting in dict.fromkeys(map(setting_of, rows)):
        lines = [_line(row, on_gpu) for row in rows if setting_of(row) == setting]
        smaller = dict.fromkeys(("detect", "by GPU", "match", "homography", "frame"), min)
        tables.append(
            Table(
                f"{setting}: ms per image, and in multiples of ORB and SIFT",
                lines,
                best={name: best for name, best in smaller.items() if name in lines[0]},
            )
        )
    staged = [row for row in rows if row["network_GFLOP"]]
    if staged:
        title = (
            "Where the time goes, ms per image; the roofline: the least time of the network if it\n"
            "ran at the measured rate of large matrix products, and its share of the time it took"
        )
        tables.append(Table(title, [_staged(row) for row in staged], left=2))
    return tables


def name_of(row: dict[str, Any]) -> str:
    """Name the method of a row, with what it was given."""
    random = " (random weights)" if row["weights"] == "random" else ""
    gpu = f" {row['device']}" if row["device"] != "cpu" else ""
    precision = f" {row['precision']}" if row["precision"] else ""
    return f"{row['method']}{random}{gpu}{precision}" + (
        f" x{row['batch']}" if row["batch"] > 1 else ""
    )


def _text(value: float | None, form: str) -> str:
    return "-" if value is None else format(value, form)


def _line(row: dict[str, Any], on_gpu: bool) -> dict[str, str]:
    def ratios(prefix: str, before: str) -> Iterable[tuple[str, str]]:
        for name in REFERENCES:
            yield f"{before}x {name}", _text(row.get(f"{prefix}times_{name}"), ".2f")

    return {
        "method": name_of(row),
        "keypoints": str(row["keypoints"]),
        "detect": f"{row['ms']:.1f}",
        "quartiles": f"{row['ms_quartile_1']:.1f}..{row['ms_quartile_3']:.1f}",
        **({"by GPU": _text(row["ms_device"], ".1f")} if on_gpu else {}),
        **dict(ratios("", "")),
        "match": _text(row["ms_match"], ".1f"),
        "homography": _text(row["ms_homography"], ".1f"),
        "frame": _text(row["ms_frame"], ".1f"),
        **dict(ratios("frame_", "frame ")),
    }


def _staged(row: dict[str, Any]) -> dict[str, str]:
    return (
        {"method": name_of(row)}
        | {name: str(row[name]) for name in ("size", "points", "threads")}
        | {name: f"{row[f'ms_{name}']:.2f}" for name in roofline.STAGES}
        | {
            "GFLOP": f"{row['network_GFLOP']:.2f}",
            "GFLOP/s": f"{row['machine_GFLOP_per_s']:.0f}",
            "least ms": f"{row['ms_network_bound']:.2f}",
            "share": f"{row['ms_network_bound'] / row['ms_network']:.0%}",
        }
    )

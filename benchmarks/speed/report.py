"""From the times of cases to the rows and tables of ``python -m benchmarks speed``."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from ..common.detectors import is_ours
from ..common.tables import format_table
from . import roofline
from .cases import NETWORKS, ships
from .timing import Result, group_of


def describe(result: Result, results: Sequence[Result], peak: float) -> dict[str, Any]:
    """Return a row of the report; None where something does not apply."""
    case = result.case
    height, width = case.size
    low, median, high = np.quantile(result.times, [0.25, 0.5, 0.75]).tolist()
    base = {
        other.case.method: float(np.median(other.times))
        for other in results
        if group_of(other.case) == group_of(case) and other.case.method in ("ORB", "SIFT")
    }
    row: dict[str, Any] = {
        "method": case.method,
        "size": f"{width}x{height}",
        "points": case.points,
        "threads": case.threads,
        "device": case.device,
        "precision": case.precision or None,
        "batch": case.batch,
        "weights": None,
        "keypoints": result.keypoints,
        "ms": median,
        "ms_quartile_1": low,
        "ms_quartile_3": high,
        "ms_device": float(np.median(result.device_times)) if result.device_times else None,
        "times_ORB": median / base["ORB"] if "ORB" in base else None,
        "times_SIFT": median / base["SIFT"] if "SIFT" in base else None,
        "peak_MiB": peak,
        **{f"ms_{name}": result.stages.get(name) for name in roofline.STAGES},
        "network_GFLOP": None,
        "machine_GFLOP_per_s": None,
        "ms_network_bound": None,
    }
    if case.method in NETWORKS:
        model = NETWORKS[case.method]
        operations = roofline.count_operations(model, case.size)
        rate = roofline.multiplication_rate(case.device, case.precision, case.threads)
        row |= {
            "weights": "shipped" if ships(model) else "random",
            "network_GFLOP": operations / 1e9,
            "machine_GFLOP_per_s": rate / 1e9,
            "ms_network_bound": 1000 * operations / rate,
        }
    return row


def format_results(rows: Sequence[dict[str, Any]]) -> str:
    """Lay out the tables: all sizes at a glance, each row in full, the stages of the networks."""
    parts = []
    for setting in dict.fromkeys((row["points"], row["threads"]) for row in rows):
        same = [row for row in rows if (row["points"], row["threads"]) == setting]
        glance: dict[str, dict[str, str]] = {}
        for row in same:
            line = glance.setdefault(_name(row), {"method": _name(row)})
            ratios = f"{_text(row['times_ORB'], '.1f'):>6} {_text(row['times_SIFT'], '.1f'):>5}"
            line[row["size"]] = f"{row['ms']:.1f} {ratios}"
        points, threads = setting
        parts.append(
            f"{points} points, {threads} threads: ms per image, x ORB, x SIFT\n"
            + format_table(list(glance.values()))
        )
    parts.append("Each in full: median and quartiles\n" + format_table([_full(r) for r in rows], 2))
    staged = [row for row in rows if row["network_GFLOP"]]
    if staged:
        parts.append(
            "Where the time goes, ms per image; the roofline: the least time of the network if it\n"
            "ran at the measured rate of large matrix products, and its share of the time it took\n"
            + format_table([_staged(row) for row in staged], 2)
        )
    return "\n\n".join(parts)


def _name(row: dict[str, Any]) -> str:
    random = " (random weights)" if row["weights"] == "random" else ""
    on = f" {row['device']} {row['precision'] or ''}" if is_ours(row["method"]) else ""
    return f"{row['method']}{random}{on.rstrip()}" + (
        f" x{row['batch']}" if row["batch"] > 1 else ""
    )


def _text(value: float | None, form: str) -> str:
    return "-" if value is None else format(value, form)


def _where(row: dict[str, Any]) -> dict[str, str]:
    names = ("size", "points", "threads")
    return {"method": _name(row)} | {name: str(row[name]) for name in names}


def _full(row: dict[str, Any]) -> dict[str, str]:
    return _where(row) | {
        "keypoints": str(row["keypoints"]),
        "ms": f"{row['ms']:.1f}",
        "quartiles": f"{row['ms_quartile_1']:.1f}..{row['ms_quartile_3']:.1f}",
        "by GPU": _text(row["ms_device"], ".1f"),
        "x ORB": _text(row["times_ORB"], ".2f"),
        "x SIFT": _text(row["times_SIFT"], ".2f"),
        "peak MiB": f"{row['peak_MiB']:.0f}",
    }


def _staged(row: dict[str, Any]) -> dict[str, str]:
    return (
        _where(row)
        | {name: f"{row[f'ms_{name}']:.2f}" for name in roofline.STAGES}
        | {
            "GFLOP": f"{row['network_GFLOP']:.2f}",
            "GFLOP/s": f"{row['machine_GFLOP_per_s']:.0f}",
            "least ms": f"{row['ms_network_bound']:.2f}",
            "share": f"{row['ms_network_bound'] / row['ms_network']:.0%}",
        }
    )

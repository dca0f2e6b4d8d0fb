"""What every plot shares: the look of a method's line, and saving."""

import io
from collections.abc import Iterable, Sequence
from typing import Any

from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from .detectors import is_ours

# The ten strong colours first, then their pale versions.
_COLOURS = [colormaps["tab20"](i) for i in [*range(0, 20, 2), *range(1, 20, 2)]]


def style(name: str, names: Iterable[str]) -> dict[str, Any]:
    """Return how the line of a method looks among others: ours solid, each in its colour."""
    index = list(names).index(name)
    ours = is_ours(name)
    return {
        "color": _COLOURS[index % len(_COLOURS)],
        "linewidth": 2.4 if ours else 1.4,
        "linestyle": "-" if ours else "--",
        "marker": "o" if ours else "s",
        "markersize": 4,
    }


def save_with_legend(figure: Figure, panels: Sequence[Axes]) -> bytes:
    """Return a figure as PNG, with one legend for its panels, which show the same methods."""
    handles, labels = panels[0].get_legend_handles_labels()
    if handles:
        figure.legend(handles, labels, loc="outside lower center", ncols=6, frameon=False)
    return save(figure)


def save(figure: Figure) -> bytes:
    """Return a figure as PNG."""
    stream = io.BytesIO()
    figure.savefig(stream, format="png", dpi=150)
    return stream.getvalue()

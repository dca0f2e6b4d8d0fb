"""Plots: panels that methods are drawn into, as one PNG or as an SVG each."""

import io
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from matplotlib import colormaps, rc_context
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.colors import to_hex
from matplotlib.container import BarContainer
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

from .detectors import is_ours

# The ten strong colours first, then their pale versions.
_COLOURS = [colormaps["tab20"](i) for i in [*range(0, 20, 2), *range(1, 20, 2)]]

# Text stays text: smaller than outlines, and it takes the colour of the page.
_SVG: dict[Any, Any] = {"svg.fonttype": "none", "font.sans-serif": ["DejaVu Sans", "sans-serif"]}

Panel = Callable[[Axes], None]
"""Draws into axes; what has a label is listed in the legend."""


@dataclass(frozen=True)
class Plot:
    """Panels that show the same methods.

    Attributes
    ----------
    name : str
        Of its file, without suffix.
    caption : str
    panels : sequence of Panel
    size : tuple of float
        (width, height) of a panel in inches.
    """

    name: str
    caption: str
    panels: Sequence[Panel]
    size: tuple[float, float] = (4.2, 3.6)

    def png(self) -> bytes:
        """Return all panels beside one another over a legend."""
        width, height = self.size
        figure = Figure(figsize=(width * len(self.panels), height), layout="constrained")
        drawn = self._draw(figure, self.panels)
        handles, labels = drawn[0].get_legend_handles_labels()
        if handles:
            figure.legend(handles, labels, loc="outside lower center", ncols=6, frameon=False)
        stream = io.BytesIO()
        figure.savefig(stream, format="png", dpi=150)
        return stream.getvalue()

    def svgs(self) -> list[str]:
        """Return each panel as an element of a page, in the colour of the text around it."""
        with rc_context(_SVG):
            return [self._svg(panel) for panel in self.panels]

    def legend(self) -> list[tuple[str, str, bool]]:
        """Return (label, colour, is it a dashed line) of what the panels show."""
        (axes,) = self._draw(Figure(), self.panels[:1])
        return [
            (label, *_look(handle))
            for handle, label in zip(*axes.get_legend_handles_labels(), strict=True)
        ]

    def _svg(self, panel: Panel) -> str:
        figure = Figure(figsize=self.size, layout="constrained")
        figure.patch.set_visible(False)
        (axes,) = self._draw(figure, [panel])
        axes.patch.set_visible(False)
        stream = io.StringIO()
        figure.savefig(stream, format="svg")
        svg = re.sub(r"<metadata>.*?</metadata>", "", stream.getvalue(), flags=re.DOTALL)
        svg = re.sub(r"<style.*?</style>", "", svg, flags=re.DOTALL)  # would be the page's
        svg = re.sub(r'<g id="[^"]*"', "<g", svg)  # of the first plot and of all others
        svg = re.sub(r' (width|height)="[\d.]+pt"', "", svg)
        return svg[svg.index("<svg") :].replace("#000000", "currentColor")

    @staticmethod
    def _draw(figure: Figure, panels: Sequence[Panel]) -> list[Axes]:
        drawn: list[Axes] = list(figure.subplots(1, len(panels), squeeze=False)[0])
        for axes, panel in zip(drawn, panels, strict=True):
            axes.grid(alpha=0.3)
            axes.set_axisbelow(True)
            axes.spines[["top", "right"]].set_visible(False)
            panel(axes)
        return drawn


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


def wrap(name: str) -> str:
    """Break the name of a method before its settings."""
    return name.replace("[", "\n[")


def set_logarithmic(axes: Axes, which: Literal["x", "y"]) -> None:
    """Make an axis logarithmic, with the numbers 1, 2, 5, 10, ... written out."""
    axes.set(**{f"{which}scale": "log"})
    axis: Axis = getattr(axes, f"{which}axis")
    axis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axis.set_minor_formatter(NullFormatter())


def _look(handle: Any) -> tuple[str, bool]:
    if isinstance(handle, BarContainer):
        return to_hex(handle.patches[0].get_facecolor()), False
    return to_hex(handle.get_color()), handle.get_linestyle() == "--"

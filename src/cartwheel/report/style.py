"""How figures look and become SVG: one palette, one type size, two layouts, the same bytes for the same numbers.

Colours are Okabe and Ito's (2008), which colour-blind readers tell apart. Text stays text, laid out with the font
that matplotlib brings along (so layouts agree between machines) and shown in the reader's own.
"""

import io
import re
import textwrap
import xml.etree.ElementTree as ET
from dataclasses import dataclass
from importlib import resources
from typing import Any

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure

INK = "#1f2933"
MUTED = "#6b7784"
FAINT = "#b4bdc7"
HAIR = "#e3e7eb"
PAPER = "#ffffff"
BLUE = "#0072b2"
ORANGE = "#e69f00"
GREEN = "#009e73"
VERMILLION = "#d55e00"
PURPLE = "#cc79a7"
SKY = "#56b4e9"

CSS_NAMES = {
    INK: "ink",
    MUTED: "muted",
    FAINT: "faint",
    HAIR: "hair",
    PAPER: "paper",
    BLUE: "blue",
    ORANGE: "orange",
    GREEN: "green",
    VERMILLION: "vermillion",
    PURPLE: "purple",
    SKY: "sky",
}
"""A page may show these colours by CSS variables of these names, darker or lighter as it likes."""

FONT_STACK = "system-ui, -apple-system, 'Segoe UI', Roboto, 'Helvetica Neue', Arial, sans-serif"
LAYOUT_FONT = "DejaVu Sans"
LETTER_WIDTH = 0.6
"""Of the font's size: a little more than its mean over English text, as lines have margins."""
SVG = "http://www.w3.org/2000/svg"


@dataclass(frozen=True, slots=True)
class Layout:
    """A width in inches and how many small panels fit beside each other in it."""

    name: str
    width: float
    panel_columns: int
    font_pt: float


WIDE = Layout("wide", 9.0, 3, 9.0)
NARROW = Layout("narrow", 3.75, 2, 8.0)

RC: dict[Any, Any] = {
    "font.family": LAYOUT_FONT,
    "text.parse_math": False,
    "svg.fonttype": "none",
    "pdf.fonttype": 42,  # TrueType: journals refuse the other one, and its text cannot be searched
    "text.color": INK,
    "axes.labelcolor": MUTED,
    "axes.edgecolor": FAINT,
    "axes.linewidth": 0.8,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.facecolor": PAPER,
    "figure.facecolor": PAPER,
    "xtick.color": FAINT,
    "ytick.color": FAINT,
    "xtick.labelcolor": MUTED,
    "ytick.labelcolor": MUTED,
    "xtick.major.size": 3,
    "ytick.major.size": 0,
    "xtick.major.width": 0.8,
    "lines.solid_capstyle": "round",
}


def style_sheet() -> str:
    """Of all pages."""
    return resources.files("cartwheel.report").joinpath("page.css").read_text(encoding="utf-8")


class ShownFigure(Figure):
    """A figure that a notebook shows sharp, and without its having to import pyplot."""

    def _repr_svg_(self) -> str:
        return to_svg(self, "notebook")


def new_figure(layout: Layout, height: float) -> Figure:
    """An empty figure of the layout's width and a height in inches."""
    return ShownFigure(figsize=(layout.width, height), layout="constrained", facecolor=PAPER)


def styled(layout: Layout) -> Any:
    """A context in which whatever is drawn has the house style."""
    sizes: tuple[Any, ...] = ("font.size", "axes.labelsize", "axes.titlesize", "xtick.labelsize", "ytick.labelsize")
    return mpl.rc_context({**RC, **dict.fromkeys(sizes, layout.font_pt)})


def wrapped(text: str, layout: Layout) -> str:
    """``text`` in as many lines as it takes to stay within the figure."""
    return textwrap.fill(text, int(72 * layout.width / (LETTER_WIDTH * layout.font_pt)), break_long_words=False)


def label_y(axes: Axes, text: str) -> None:
    """The y label, horizontal above the axis, where it is read first."""
    axes.set_title(text, loc="left", color=MUTED, pad=8)


def light_grid(axes: Axes, axis: Any = "y") -> None:
    """Hairlines behind the data, along one axis."""
    axes.grid(visible=True, axis=axis, color=HAIR, linewidth=0.8)
    axes.set_axisbelow(True)


def to_svg(figure: Figure, name: str) -> str:
    """The figure as a stand-alone SVG document. Equal figures of equal name give equal text."""
    buffer = io.StringIO()
    with mpl.rc_context({**RC, "svg.hashsalt": name}):
        figure.savefig(buffer, format="svg", metadata={"Date": None, "Creator": None, "Format": None, "Type": None})
    return buffer.getvalue().replace(f"'{LAYOUT_FONT}'", FONT_STACK)


def to_pdf(figure: Figure) -> bytes:
    """The figure as a PDF. Equal figures give equal bytes."""
    buffer = io.BytesIO()
    with mpl.rc_context(RC):
        figure.savefig(buffer, format="pdf", metadata={"CreationDate": None, "Creator": None, "Producer": None})
    return buffer.getvalue()


def inline_svg(svg: str, prefix: str, label: str) -> str:
    """The same as an element of an HTML page: fluid, with colours by CSS variables and ids that begin with ``prefix``.

    ``label`` is read out to those who do not see the figure.
    """
    ET.register_namespace("", SVG)
    ET.register_namespace("xlink", "http://www.w3.org/1999/xlink")
    root = ET.fromstring(svg)
    for parent in list(root.iter()):
        for child in list(parent):
            if child.tag in (f"{{{SVG}}}metadata", f"{{{SVG}}}style"):
                parent.remove(child)
    for element in root.iter():
        for key, value in element.attrib.items():
            element.set(key, _embedded(key, value, prefix))
    for key in ("width", "height"):
        root.attrib.pop(key)
    root.set("role", "img")
    root.set("aria-label", label)
    return ET.tostring(root, encoding="unicode")


def _embedded(key: str, value: str, prefix: str) -> str:
    if key == "id":
        return f"{prefix}-{value}"
    if key.endswith("href"):
        return value.replace("#", f"#{prefix}-")
    value = value.replace("url(#", f"url(#{prefix}-")
    if key not in ("style", "fill", "stroke"):
        return value
    return re.sub("#[0-9a-f]{6}", lambda match: _by_variable(match[0]), value)


def _by_variable(colour: str) -> str:
    return f"var(--{CSS_NAMES[colour]})" if colour in CSS_NAMES else colour

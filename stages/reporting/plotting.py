"""The look of all figures, and how they become files."""

import io
import logging
import re

import matplotlib
from matplotlib import font_manager
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure

# It says so when it cannot keep its list of fonts; then it makes the list anew.
logging.getLogger("matplotlib").setLevel(logging.ERROR)
# Of fonts with the same name, the one that comes with Matplotlib.
_fonts = font_manager.fontManager
_fonts.ttflist = [font for font in _fonts.ttflist if font.fname.startswith(matplotlib.__path__[0])]
FONT = font_manager.get_font(font_manager.findfont("DejaVu Sans"))

SIZE = 11.5  # points; on a phone, where 360 points are 358 pixels, no text is below 11 pixels
GREY = "#767676"

matplotlib.rcdefaults()  # whatever a matplotlibrc says
matplotlib.rcParams.update(
    {
        "figure.figsize": (5, 3.2),  # inches of 72 points
        "figure.dpi": 144,
        "font.size": SIZE,
        "font.sans-serif": "DejaVu Sans",
        "axes.grid": True,
        "axes.grid.axis": "y",
        "axes.edgecolor": GREY,
        "axes.axisbelow": True,
        "axes.spines.top": False,
        "axes.spines.right": False,
        "axes.titlesize": "medium",
        "axes.labelsize": "medium",
        "grid.color": "#D9D9D9",
        "xtick.color": GREY,
        "ytick.color": GREY,
        "xtick.labelcolor": "black",
        "ytick.labelcolor": "black",
        "legend.frameon": False,
        "legend.fontsize": "medium",
        "lines.markersize": 4,
        "image.interpolation": "none",  # pixels stay squares
        "svg.fonttype": "none",  # text stays text: sharp, small, and can be searched
    }
)


def can_write(text: str) -> bool:
    """Say whether the font has all characters of a text."""
    return all(FONT.get_char_index(ord(character)) for character in text)


def export(figure: Figure, name: str) -> tuple[bytes, str]:
    """Return a figure as PNG and SVG, the same bytes in every run.

    Both state neither time nor version. The figure is laid out once, for both.
    """
    png, svg = io.BytesIO(), io.StringIO()
    if engine := figure.get_layout_engine():
        engine.execute(figure)
        figure.set_layout_engine("none")
    FigureCanvasAgg(figure).print_png(png, metadata={"Software": None})
    for part in figure, *figure.axes:
        part.patch.set_visible(False)
    # Several drawings stand in one page. The salt, which is their name, keeps their ids apart.
    with matplotlib.rc_context({"svg.hashsalt": name}):
        unknown = dict.fromkeys(["Creator", "Date", "Format", "Type"])
        FigureCanvasSVG(figure).print_svg(svg, metadata=unknown)
    drawing = svg.getvalue()
    drawing = drawing[drawing.index("<svg") :]
    # In a page of many drawings, a style would act on all, and ids that nothing uses would clash.
    drawing = re.sub(r"<style.*?</style>", "", drawing, flags=re.DOTALL)
    return png.getvalue(), re.sub(r' id="(image\w+|[\w.]+_\d+)"', "", drawing)

"""The PNG files, and the same charts as SVG: how they look, and the pictures of digits.

The same figure always gives the same bytes. Charts come from `page/charts.py`.
"""

import io
from pathlib import Path

import vl_convert
from PIL import Image, ImageDraw, ImageFont

FOLDER = Path("plots/report")
WRONG = "#a83a00"
STYLE = {
    # The first comes with the renderer, so that all machines agree.
    "font": "Liberation Sans, Arial, sans-serif",
    "background": "white",
    "view": {"continuousWidth": 400, "discreteWidth": 400, "continuousHeight": 220, "stroke": None},
    "axis": {"labelFontSize": 13, "titleFontSize": 13, "titleFontWeight": "normal"},
    "header": {"labelFontSize": 12},
    "legend": {"orient": "bottom", "labelFontSize": 13, "labelLimit": 300, "columns": 2},
}
DIGIT, GAP, NOTE = 112, 18, 26  # pixels: a digit, beside it, the line under it


def draw_chart(chart: dict, name: str) -> str:
    """Write a Vega-Lite chart as PNG, twice as fine; return it as SVG."""
    svg = vl_convert.vegalite_to_svg(chart, config=STYLE)
    picture = Image.open(io.BytesIO(vl_convert.svg_to_png(svg, scale=2)))
    save(picture.convert("RGB"), name)
    return svg


def save(picture: Image.Image, name: str) -> None:
    """Write `picture` with 64 colours, which takes a sixth of the bytes."""
    small = picture.quantize(64, method=Image.Quantize.FASTOCTREE)
    small.save(FOLDER / f"{name}.png")


def draw_digits(rows: list[dict], name: str) -> None:
    """Draw rows of digits: `kind` on the left, `pixels` (N, 28, 28), `notes` (text, wrong)."""
    font = ImageFont.load_default(18)
    left = 90 if rows[0]["kind"] else 0
    columns = max(1, len(rows[0]["pixels"]))
    size = (left + columns * (DIGIT + GAP), len(rows) * (DIGIT + NOTE))
    picture = Image.new("RGB", size, "white")
    pen = ImageDraw.Draw(picture)
    for line, row in enumerate(rows):
        top = line * (DIGIT + NOTE)
        pen.text((0, top + DIGIT / 2), row["kind"], "black", font, "lm")
        for column, pixels in enumerate(row["pixels"]):
            place = left + column * (DIGIT + GAP)
            digit = Image.fromarray(255 - pixels).resize((DIGIT, DIGIT), Image.Resampling.NEAREST)
            picture.paste(digit, (place, top))
            if row["notes"]:
                text, wrong = row["notes"][column]
                middle = (place + DIGIT / 2, top + DIGIT + NOTE / 2)
                pen.text(middle, text, WRONG if wrong else "black", font, "mm")
    save(picture, name)


def draw(found: dict) -> dict[str, str]:
    """Write every PNG of the report; return the charts as SVG, by file name."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    for level in found["levels"]:
        draw_digits(level["rows"], f"figures_04-14_noise_{level['noise_level']}")
    draw_digits(found["mistakes"], "mistakes")
    return {name: draw_chart(chart, name) for name, (chart, _) in found["charts"].items()}

"""The report as Markdown and as a self-contained page, from one text: `report.md.j2`."""

import base64
import json
import re
from pathlib import Path

import jinja2
import markdown_it
import pandas as pd

from page.figures import FOLDER

HERE = Path(__file__).parent
WIDE = '<div class="wide" tabindex="0" role="group" aria-label="Table, may scroll"><table>'
POINT = r'<path aria-label="([^"]*)" role="graphics-symbol" aria-roledescription="point"([^>]*)/>'


def _word(cell) -> str:
    """Write a cell of a table: six digits, a dash for what is missing."""
    if isinstance(cell, int):
        return f"{cell:,}"
    return "–" if pd.isna(cell) else f"{cell:.6g}" if isinstance(cell, float) else str(cell)


def _table(table: pd.DataFrame) -> str:
    """Write `table` in Markdown."""
    rows = [table.columns, ["---"] * len(table.columns), *table.astype(object).to_numpy()]
    lines = (" | ".join(_word(cell) for cell in row) for row in rows)
    return "".join(f"| {line} |\n" for line in lines)


FILTERS = {
    "percent": lambda share, digits=2: f"{100 * share:.{digits}f}\u00a0%",
    "points": lambda share: f"{100 * share:.2f} percentage points",
    "thousands": lambda count: f"{count:,}",
    "decibel": lambda value: f"{value:.1f} dB" if value < 1000 else "no noise",
    "script": lambda data: json.dumps(data, sort_keys=True).replace("</script", "<\\/script"),
    "table": _table,
}


def render(found: dict, drawings: dict[str, str]) -> tuple[str, str]:
    """Render the report as Markdown and as an HTML page that needs no other file.

    `found` are the names that `report.md.j2` uses, `drawings` the charts as SVG by the name of
    their PNG. An unknown name in the text raises jinja2.UndefinedError.
    """
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(HERE),
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters |= FILTERS
    text = environment.get_template("report.md.j2")
    plain = text.render(found, picture=_link, page=False)
    rich = text.render(
        found, picture=lambda name, label: _embed(name, label, drawings.get(name)), page=True
    )
    body = markdown_it.MarkdownIt("commonmark", {"html": True}).enable("table").render(rich)
    body = body.replace("<table>\n", WIDE).replace("\n</table>", "\n</table></div>")
    page = environment.get_template("report.html.j2").render(
        parts=body.split("<!-- playground -->"),
        playground=found["playground"],
        script=(HERE / "playground.js").read_text(encoding="utf-8"),
    )
    return re.sub(r"\n{3,}", "\n\n", plain), page


def _link(name: str, label: str) -> str:
    return f'<img src="{FOLDER}/{name}.png" width="480" alt="{label}">'


def _embed(name: str, label: str, drawing: str | None) -> str:
    """Embed a picture, or a chart whose points say what they show."""
    if drawing:
        drawing = re.sub(POINT, r"<path\2><title>\1</title></path>", drawing)
        return f'<div class="picture" id="{name}" role="img" aria-label="{label}">{drawing}</div>'
    png = base64.b64encode((FOLDER / f"{name}.png").read_bytes()).decode()
    return f'<img class="picture" src="data:image/png;base64,{png}" alt="{label}">'

"""The report as Markdown and as a self-contained page, from one text: `report.md.j2`."""

import base64
import re
from pathlib import Path

import jinja2
import markdown_it
import pandas as pd

from page.figures import FOLDER

HERE = Path(__file__).parent
WIDE = '<div class="wide" tabindex="0" role="group" aria-label="Table, may scroll"><table>'
PICTURE = rf'<img src="{FOLDER}/([^"]+)\.png" width="480" alt="([^"]*)">'
POINT = r'<path aria-label="([^"]*)" role="graphics-symbol" aria-roledescription="point"([^>]*)/>'


def _table(table: pd.DataFrame) -> str:
    """Write `table` in Markdown."""
    known = table.astype(object).where(table.notna(), None)
    form = {"intfmt": ",", "floatfmt": ".6g", "missingval": "–", "numalign": "left"}
    return known.to_markdown(index=False, **form) + "\n"


FILTERS = {
    "percent": lambda share, digits=2: f"{100 * share:.{digits}f}\u00a0%",
    "points": lambda share: f"{100 * share:.2f} percentage points",
    "thousands": lambda count: f"{count:,}",
    "decibel": lambda value: f"{value:.1f} dB" if value < 1000 else "no noise",
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
    plain = environment.get_template("report.md.j2").render(found)
    plain = re.sub(r"\n{3,}", "\n\n", plain)
    body = markdown_it.MarkdownIt("commonmark", {"html": True}).enable("table").render(plain)
    body = body.replace("<table>\n", WIDE).replace("\n</table>", "\n</table></div>")
    body = re.sub(PICTURE, lambda match: _embed(*match.groups(), drawings), body)
    page = environment.get_template("report.html.j2").render(
        parts=re.split("<!-- playground -->|<!-- slider -->", body),
        levels=found["levels"],
        playground=found["playground"],
        script=(HERE / "playground.js").read_text(encoding="utf-8"),
    )
    return plain, page


def _embed(name: str, label: str, drawings: dict[str, str]) -> str:
    """Embed a picture, or a chart whose points say what they show."""
    if name in drawings:
        drawing = re.sub(POINT, r"<path\2><title>\1</title></path>", drawings[name])
        return f'<div class="picture" id="{name}" role="img" aria-label="{label}">{drawing}</div>'
    png = base64.b64encode((FOLDER / f"{name}.png").read_bytes()).decode()
    return f'<img class="picture" src="data:image/png;base64,{png}" alt="{label}">'

"""The report as Markdown and as a self-contained page, from one text: `report.md.j2`."""

import base64
import html
import io
import json
import re
from pathlib import Path

import jinja2
import markdown_it
import matplotlib.pyplot as plt
import vl_convert

HERE = Path(__file__).parent
WIDE = '<div class="wide" tabindex="0" role="group" aria-label="Table, may scroll"><table>'
FILTERS = {
    "percent": lambda share, digits=2: f"{100 * share:.{digits}f}\u00a0%",
    "points": lambda share: f"{100 * share:.2f} percentage points",
    "thousands": lambda count: f"{count:,}",
    "decibel": lambda value: f"{value:.1f} dB" if value < 1000 else "no noise",
    "script": lambda data: _script(json.dumps(data, sort_keys=True)),
    "picture": lambda pixels: _picture(pixels),
}


def render(found: dict, charts: dict[str, dict]) -> tuple[str, str]:
    """Render the report as Markdown and as an HTML page that needs no other file.

    `found` are the names that `report.md.j2` uses, `charts` Vega-Lite specifications by the
    name of their PNG. An unknown name in the text raises jinja2.UndefinedError.
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
    plain = text.render(found, show=_link, page=False)
    rich = text.render(
        found,
        show=lambda name, finding: _figure(name, finding, charts.get(name)),
        page=True,
    )
    body = markdown_it.MarkdownIt("commonmark", {"html": True}).enable("table").render(rich)
    body = body.replace("<table>\n", WIDE).replace("\n</table>", "\n</table></div>")
    page = environment.get_template("report.html.j2").render(
        body=body,
        playground=found["playground"],
        charts=charts,
        library=_script(vl_convert.javascript_bundle()),
        script=_script((HERE / "playground.js").read_text(encoding="utf-8")),
    )
    return re.sub(r"\n{3,}", "\n\n", plain), page


def _picture(pixels) -> str:
    """Make a data URI of pixels, (28, 28) from 0 to 255."""
    file = io.BytesIO()
    plt.imsave(file, pixels, cmap="gray_r", vmin=0, vmax=255, metadata={"Software": None})
    return _data_uri(file.getvalue())


def _data_uri(png: bytes) -> str:
    return f"data:image/png;base64,{base64.b64encode(png).decode()}"


def _link(name: str, finding: str) -> str:
    return f"\n![{finding}](plots/report/{name}.png)\n\n*{finding}.*\n"


def _figure(name: str, finding: str, chart: dict | None) -> str:
    """Place a picture; of a chart also where it comes alive, and its table to open."""
    label = html.escape(finding)
    source = _data_uri(Path(f"plots/report/{name}.png").read_bytes())
    parts = [f'<img class="drawing" src="{source}" alt="{label}">']
    parts.append(f"<figcaption>{label}.</figcaption>")
    if chart:
        alive = f'<div data-chart="{name}"></div>'
        parts.insert(0, f'<div class="chart" role="img" aria-label="{label}">{alive}</div>')
        parts.append(_table(chart["title"], **chart["usermeta"]))
    return f"\n<figure>{''.join(parts)}</figure>\n"


def _table(title: str, columns: list[str], data: list[list]) -> str:
    head = "".join(f'<th scope="col">{column}</th>' for column in columns)
    rows = ("".join(f"<td>{_word(cell)}</td>" for cell in row) for row in data)
    body = "".join(f"<tr>{row}</tr>\n" for row in rows)
    return (
        f"<details><summary>Numbers of this chart: {html.escape(title)}</summary>"
        f"<table>\n<thead><tr>{head}</tr></thead><tbody>\n{body}</tbody>\n</table></details>"
    )


def _word(cell) -> str:
    if cell is None:
        return "–"
    return f"{cell:.6g}" if isinstance(cell, float) else html.escape(str(cell))


def _script(text: str) -> str:
    """Keep `text` from ending the script element that it stands in."""
    return text.replace("</script", "<\\/script")

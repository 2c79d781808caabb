"""The report as Markdown and as a self-contained page, from one text: `report.md.j2`."""

import base64
import html
import io
import json
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
    plain = text.render(found, figure=_link, chart=_link, page=False)
    rich = text.render(
        found,
        figure=_figure,
        chart=lambda name, finding: _chart(name, finding, charts[name]),
        page=True,
    )
    body = markdown_it.MarkdownIt("commonmark", {"html": True}).enable("table").render(rich)
    page = environment.get_template("report.html.j2").render(
        body=body.replace("<table>\n", f"{WIDE}<table>\n").replace(
            "\n</table>", "\n</table></div>"
        ),
        playground=found["playground"],
        charts=charts,
        library=_script(vl_convert.javascript_bundle()),
        script=_script((HERE / "playground.js").read_text(encoding="utf-8")),
    )
    return plain, page


def _picture(pixels) -> str:
    """Make a data URI of pixels, (28, 28) from 0 to 255."""
    file = io.BytesIO()
    plt.imsave(file, pixels, cmap="gray_r", vmin=0, vmax=255, metadata={"Software": None})
    return _data_uri(file.getvalue())


def _data_uri(png: bytes) -> str:
    return f"data:image/png;base64,{base64.b64encode(png).decode()}"


def _link(name: str, finding: str) -> str:
    return f"![{finding}](plots/report/{name}.png)\n\n*{finding}.*"


def _figure(name: str, finding: str, alive: str = "", table: str = "") -> str:
    source = _data_uri(Path(f"plots/report/{name}.png").read_bytes())
    image = f'<img class="drawing" src="{source}" alt="{html.escape(finding)}">'
    caption = f"<figcaption>{html.escape(finding)}.</figcaption>"
    return f"<figure>{alive}{image}{caption}{table}</figure>"


def _chart(name: str, finding: str, chart: dict) -> str:
    """Place a chart: alive with JavaScript, else as the picture, with its table to open."""
    alive = f'<div class="chart" data-chart="{name}" data-finding="{html.escape(finding)}"></div>'
    cells = [[_word(cell) for cell in row] for row in chart["usermeta"]["data"]]
    head = "".join(f'<th scope="col">{column}</th>' for column in chart["usermeta"]["columns"])
    rows = "".join(f"<tr>{''.join(f'<td>{cell}</td>' for cell in row)}</tr>\n" for row in cells)
    title = html.escape(chart["title"])
    table = (
        f"<details><summary>Numbers of this chart: {title}</summary>"
        f"<table>\n<thead><tr>{head}</tr></thead><tbody>\n{rows}</tbody>\n</table></details>"
    )
    return _figure(name, finding, alive, table)


def _word(cell) -> str:
    if cell is None:
        return "–"
    return f"{cell:.6g}" if isinstance(cell, float) else html.escape(str(cell))


def _script(text: str) -> str:
    """Keep `text` from ending the script element that it stands in."""
    return text.replace("</script", "<\\/script")

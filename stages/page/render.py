"""The report as Markdown and as a self-contained page, from one text: `report.md.j2`."""

import base64
import json
from pathlib import Path

import jinja2
import markdown_it
import vl_convert

HERE = Path(__file__).parent


def render(facts: dict, charts: dict[str, dict]) -> tuple[str, str]:
    """The report as Markdown, with relative links to its figures, and as an HTML page that
    needs no other file.

    `facts` are the names that `report.md.j2` uses; `charts` maps the name of a chart in that
    text to its Vega-Lite specification. In the page a chart stands before the figure that shows
    the same on paper. An unknown name in the text raises jinja2.UndefinedError.
    """
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(HERE),
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters["percent"] = lambda share, digits=2: f"{100 * share:.{digits}f} %"
    environment.filters["points"] = lambda share: f"{100 * share:.2f} percentage points"
    text = environment.get_template("report.md.j2")
    plain = text.render(facts, figure=_link, chart=lambda name: "", page=False)
    rich = text.render(
        facts, figure=_embed, chart=lambda name: _place(charts[name], name), page=True
    )
    body = markdown_it.MarkdownIt("commonmark", {"html": True}).enable("table").render(rich)
    page = environment.get_template("report.html.j2").render(
        body=body.replace("<table>", '<div class="wide"><table>').replace(
            "</table>", "</table></div>"
        ),
        charts=_script(json.dumps(charts, sort_keys=True)),
        library=_script(vl_convert.javascript_bundle()),
    )
    return plain, page


def _link(path: str, text: str) -> str:
    return f"![{text}]({path})"


def _embed(path: str, text: str) -> str:
    content = base64.b64encode(Path(path).read_bytes()).decode()
    return f'<img src="data:image/png;base64,{content}" alt="{text}">'


def _place(chart: dict, name: str) -> str:
    return f'<div class="chart" data-chart="{name}" role="img" aria-label="{chart["title"]}"></div>'


def _script(text: str) -> str:
    """`text` such that it cannot end the script element that it stands in."""
    return text.replace("</script", "<\\/script")

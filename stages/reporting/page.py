"""The page: the report's Markdown in a file that needs no other."""

import re
from pathlib import Path

import jinja2
import markdown_it
import pandas as pd

from reporting.figures import COLOURS, FOLDER

PICTURE = rf'<img src="{FOLDER.as_posix()}/([^"]+)\.png" width="480" alt="([^"]*)">'
# A table may be wider than a phone, and is then scrolled, by keys as well.
WIDE = '<div class="wide" tabindex="0" role="group" aria-label="Table, may scroll"><table>'


def format_table(table: pd.DataFrame) -> str:
    """Write a table in Markdown, with at most six digits."""
    known = table.astype(object).where(table.notna(), None)
    form = {"intfmt": ",", "floatfmt": ".6g", "missingval": "–", "numalign": "left"}
    return known.to_markdown(index=False, **form) + "\n"


ENVIRONMENT = jinja2.Environment(
    loader=jinja2.FileSystemLoader(Path(__file__).parent),
    undefined=jinja2.StrictUndefined,  # an unknown name is an error
    trim_blocks=True,
    lstrip_blocks=True,
    keep_trailing_newline=True,
)
ENVIRONMENT.filters["table"] = format_table


def fill_in(template: str, **values) -> str:
    """Fill `values` into a template of this folder."""
    return ENVIRONMENT.get_template(template).render(values)


def render(
    text: str, drawings: dict[str, str], levels: list[float], playground: dict, reading: dict
) -> str:
    """Render Markdown as a page.

    `drawings` are the figures as SVG by the name of their PNG, `levels` the noise levels of
    figures 4 to 14, `playground` and `reading` what playground/pack.py packs. They stand where the
    text has the comments slider, playground and reading.
    """
    body = markdown_it.MarkdownIt("commonmark", {"html": True}).enable("table").render(text)
    body = body.replace("<table>\n", WIDE).replace("\n</table>", "\n</table></div>")
    body = re.sub(PICTURE, lambda picture: _embed(*picture.groups(), drawings), body)
    values = {"levels": levels, "playground": playground, "reading": reading}
    for name in ("slider", "playground/playground", "reading/reading"):
        comment = f"<!-- {name.split('/')[-1]} -->"
        body = body.replace(comment, fill_in(f"{name}.html.j2", **values))
    return fill_in("page.html.j2", body=body, colours=COLOURS)


def _embed(name: str, label: str, drawings: dict[str, str]) -> str:
    """Put a drawing in the place of a picture."""
    about = f'data-name="{name}" role="img" aria-label="{label}"'
    return f'<div class="picture" {about}>{drawings[name]}</div>'

"""The report's text, and the page made from it: a file that needs no other."""

import html
import inspect
import re
from pathlib import Path

import jinja2
import markdown_it

from reporting import figures, formats, tables
from reporting.inputs import Study
from reporting.plotting import export

FOLDER = Path("plots/report")
PICTURE = rf'<img src="{FOLDER.as_posix()}/([^"]+)\.png" width="480" alt="([^"]*)">'
# A table may be wider than a phone, and is then scrolled, by keys as well.
WIDE = '<div class="wide" tabindex="0" role="group" aria-label="Table, may scroll"><table>'


ENVIRONMENT = jinja2.Environment(
    loader=jinja2.FileSystemLoader(Path(__file__).parent),
    undefined=jinja2.StrictUndefined,  # an unknown name is an error
    trim_blocks=True,
    lstrip_blocks=True,
    keep_trailing_newline=True,
)
ENVIRONMENT.filters |= dict(inspect.getmembers(formats, inspect.isfunction))


def fill_in(template: str, **values) -> str:
    """Fill `values` into a template of this folder."""
    return ENVIRONMENT.get_template(template).render(values)


def write(study: Study, numbers: dict) -> tuple[str, dict[str, tuple[bytes, str]]]:
    """Write report.md; return it with its figures, by the names of their files.

    An unknown name in the template raises jinja2.UndefinedError.
    """
    drawn = {}

    def figure(name: str, caption: str, *arguments) -> str:
        """Place the figure that the function of this name draws, and the table of this name."""
        file = "_".join([name, *map(str, arguments)])
        drawn[file] = export(getattr(figures, name)(study, *arguments), file)
        label = html.escape(caption, quote=False).replace('"', "&quot;")
        placed = f'<img src="{FOLDER.as_posix()}/{file}.png" width="480" alt="{label}">'
        placed = f"<figure>{placed}<figcaption>{label}.</figcaption></figure>\n"
        if table := getattr(tables, name, None):
            summary = f'<details class="{name}"><summary>Numbers of this figure</summary>'
            placed += f"\n{summary}\n\n{formats.table(table(study))}\n</details>\n"
        return placed

    text = fill_in(
        "report.md.j2",
        **numbers,
        study=study,
        parameters=study.parameters,
        published=study.numbers.set_index("name").published.to_dict(),
        figure=figure,
        tables=tables,
    )
    return re.sub(r"\n{3,}", "\n\n", text), drawn


def render(text: str, drawings: dict[str, str], levels: list[float], **parts) -> str:
    """Render Markdown as a page.

    `drawings` are the figures as SVG by the name of their PNG, `levels` the noise levels of
    figures 4 to 14. The parts `playground` and `reading` are what playground/pack.py packs; they
    stand where the text has the comments of these names.
    """
    body = markdown_it.MarkdownIt("commonmark", {"html": True}).enable("table").render(text)
    body = body.replace("<table>\n", WIDE).replace("\n</table>", "\n</table></div>")
    body = re.sub(PICTURE, lambda picture: embed(*picture.groups(), drawings), body)
    for name in ("slider", "playground/playground", "reading/reading"):
        comment = f"<!-- {name.split('/')[-1]} -->"
        body = body.replace(comment, fill_in(f"{name}.html.j2", levels=levels, **parts))
    return fill_in("page.html.j2", body=body, colours=figures.COLOURS)


def embed(name: str, label: str, drawings: dict[str, str]) -> str:
    """Put a drawing in the place of a picture."""
    about = f'data-name="{name}" role="img" aria-label="{label}"'
    return f'<div class="picture" {about}>{drawings[name]}</div>'

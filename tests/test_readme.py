"""The documentation, followed word for word, does what it says."""

import re
import shlex
from pathlib import Path

import pandas as pd
import pytest
from conftest import ROOT, Project
from dvc.cli.parser import get_main_parser
from published import only_published

PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted(ROOT.glob("docs/*.md"))]


def read_blocks(page: Path, heading: str, language: str = "") -> list[str]:
    """Return the code blocks of one language below a heading of a page, "" for commands."""
    section = page.read_text(encoding="utf-8").partition(f"\n## {heading}\n")[2].split("\n## ")[0]
    blocks = re.findall(r"^```(\w*)\n(.*?)^```", section, re.M | re.S)
    return [text for written_in, text in blocks if written_in == language]


def apply(block: str, path: Path) -> None:
    """Change a file as a diff block without line numbers shows it."""
    lines = block.splitlines(keepends=True)
    before, after = ("".join(line[1:] for line in lines if line[0] != sign) for sign in "+-")
    text = path.read_text(encoding="utf-8")
    assert text.count(before) == 1
    path.write_text(text.replace(before, after), encoding="utf-8")


def edit(project: Project, page: Path, heading: str, script: str) -> None:
    """Change a script as the diff blocks below a heading of a page show it.

    Skips the test where somebody has changed those lines already.
    """
    path = project.folder / script
    for block in read_blocks(page, heading, "diff"):
        before = "".join(line[1:] for line in block.splitlines(keepends=True) if line[0] != "+")
        if before not in path.read_text(encoding="utf-8"):
            pytest.skip(f"{script} is not as {page.name} shows it")
        apply(block, path)


def follow(project: Project, commands: str) -> str:
    """Type commands into a shell with the environment; each must succeed. Return the output."""
    ready = 'make() { command make --old-file environment "$@"; }\n'  # has nothing to install
    return project.run("bash", "-e", "-c", ready + commands).stdout


def find_run(output: str) -> list[str]:
    """Return the stages that `make repro` ran; those in DVC's cache are not among them."""
    return re.findall(r"^ *\d+:\d\d  (\S+), \d+:\d\d \(", output, re.M)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_to_files(page):
    links = re.findall(r"\]\(([^)#]+)", page.read_text(encoding="utf-8"))
    # The pictures of README are of the published noise levels.
    found = [link for link in links if not link.startswith(("https://", "plots/"))]
    assert [link for link in found if not (page.parent / link).is_file()] == []
    assert found or page.name not in ("README.md", "design.md")


def test_readme_fits_and_names_what_was_ordered():
    text = PAGES[0].read_text(encoding="utf-8")
    assert len(text.splitlines()) <= 120
    assert text.index("dvc repro") < text.index("make repro") < text.index("make test")
    words = "TensorFlow DVC NumPy Matplotlib pandas dvc.yaml params.yaml stages/ data/ metrics/"
    for word in [*words.split(), "plots/", "tests/", "dvc metrics diff", "dvc plots show"]:
        assert word in text


@only_published
def test_results_in_readme_are_the_committed_ones():
    table = r"^\| ([^|]+) \| ([\d.]+) \| ([\d.]+) \| ([+-][\d.]+) \|$"
    rows = re.findall(table, PAGES[0].read_text(encoding="utf-8"), re.M)
    numbers = pd.read_csv(ROOT / "plots/report/published_numbers.csv", index_col="description")
    committed = numbers[["published", "this_run", "difference"]].round(4)
    assert rows
    pictures = re.findall(r"\]\((plots/[^)]+)", PAGES[0].read_text(encoding="utf-8"))
    assert all((ROOT / picture).is_file() for picture in pictures)
    for description, *values in rows:
        assert [*map(float, values)] == committed.loc[description].to_list()


def test_commands_exist_and_take_their_options():
    checked = set()
    for page in PAGES:
        text = page.read_text(encoding="utf-8").replace("\\\n", "")
        blocks = re.findall(r"^```(\w*)\n(.*?)^```", text, re.M | re.S)
        commands = "".join(block for language, block in blocks if not language)
        for line in commands.splitlines():
            match shlex.split(line, comments=True):
                case ["make", *words]:
                    Project(ROOT).run("make", "--dry-run", "--old-file", "environment", *words)
                    checked.add("make")
                case ["dvc", *words]:
                    get_main_parser().parse_args(words)
                    checked.add("dvc")
                case ["python", script, *words] if script.startswith("tools/"):
                    options = [word for word in words if word.startswith("--")]
                    text = (ROOT / script).read_text(encoding="utf-8")
                    assert all(f'"{word}"' in text for word in options)
                    checked.add("python")
    assert checked == {"make", "dvc", "python"}

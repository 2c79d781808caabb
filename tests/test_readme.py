"""The documentation, followed word for word, does what it says."""

import os
import re
import shlex
from pathlib import Path

import pytest
from conftest import ROOT, UP_TO_DATE, Project, link_environment
from dvc.cli.parser import get_main_parser

PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted(ROOT.glob("docs/*.md"))]
README = PAGES[0].read_text()


def read_commands(page: str, heading: str = "") -> list[str]:
    """Return the lines of the code blocks that name no language, of all or below a heading."""
    section = page.partition(f"\n## {heading}\n")[2].split("\n## ")[0] if heading else page
    blocks = re.findall(r"^```(\w*)\n(.*?)^```", section, re.M | re.S)
    text = "".join(block for language, block in blocks if not language)
    return text.replace("\\\n", "").splitlines()


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_to_files(page):
    links = re.findall(r"\]\(([^)#]+)", page.read_text())
    found = [link for link in links if not link.startswith("https://")]
    assert [link for link in found if not (page.parent / link).is_file()] == []
    assert found or page.name not in ("README.md", "design.md")


def test_commands_exist_and_take_their_options():
    """`test_every_command_does_what_readme_says` runs those of README.md."""
    checked = set()
    for page in PAGES:
        lines = read_commands(page.read_text())
        for line in filter(re.compile(r"(make|\S*dvc|\S*python) ").match, lines):
            match shlex.split(line, comments=True):
                case ["make", *words]:
                    Project(ROOT).run("make", "--dry-run", "--old-file", "environment", *words)
                    checked.add("make")
                case ["dvc" | ".venv/bin/dvc", *words]:
                    get_main_parser().parse_args(words)
                    checked.add("dvc")
                case [".venv/bin/python", script, *words]:
                    options = [word for word in words if word.startswith("--")]
                    assert all(f'"{word}"' in (ROOT / script).read_text() for word in options)
                    checked.add("python")
    assert checked == {"make", "dvc", "python"}


def follow(project: Project, *commands: str) -> list[str]:
    """Run commands one after the other, as one types them into a shell without the environment.

    Returns what each prints. Each must succeed and leave the working tree clean.
    """
    folders = os.environ["PATH"].split(os.pathsep)
    path = os.pathsep.join(each for each in folders if not Path(each, "dvc").exists())
    after = "printf '\\0'; git status --porcelain; printf '\\0'"
    script = "\n".join(f"{command}\n{after}" for command in commands)
    bare = ("env", "--unset", "VIRTUAL_ENV", f"PATH={path}", "bash", "-e", "-c", script)
    outputs = project.run(*bare).stdout.split("\0")
    assert set(outputs[1::2]) == {""}
    return outputs[:-1:2]


def find_done(output: str) -> list[str]:
    """Return the stages that ran, and were neither unchanged nor in DVC's cache."""
    return re.findall(r"^ *\d+:\d\d  (\S+)(?: [\d.]+)?, \d+:\d\d \(", output, re.M)


@pytest.mark.slow
def test_every_command_does_what_readme_says(released, tmp_path):
    clone = released.clone(tmp_path / "clone")
    link_environment(clone)
    # Networks and page are there without training; `make repro` makes the data only.
    follow(clone, *read_commands(README, "What comes out"))
    for path in "models/mlp.keras", "models/cnn.keras", "models/autoencoder.keras", "report.html":
        assert (clone.folder / path).read_bytes() == (released.folder / path).read_bytes()
    first, second = follow(clone, "make repro", "make repro")
    assert find_done(first) == ["fetch", "preprocess"]
    assert second.endswith(UP_TO_DATE)

    # An experiment and a branch for each value; nothing leaks from one step into the next.
    commands = read_commands(README, "Change something and compare")
    outputs = follow(clone, *commands)
    quick, slower, dropout, _, params, metrics, plots, shown, robust, against, _ = outputs
    assert find_done(quick)[0] == "preprocess"
    assert find_done(slower) == find_done(robust) == ["train_cnn", "eval_noise", "report"]
    names = [f"train_cnn.dropout={value}" for value in ("0.3", "0.4", "0.6")]
    changes = {"quick": "preprocess.limit", "slower": "train_cnn.learning_rate"}
    changes |= dict.fromkeys(names, "train_cnn.dropout")
    for name, changed in changes.items():
        with clone.repo() as repo:
            assert {*repo.params.diff("main", name)["diff"]["params.yaml"]} == {changed}
    assert [line.split()[0] for line in dropout.splitlines()[-5:-1]] == ["HEAD", *names]
    assert len(re.findall("^params.yaml ", params, re.M)) == 1
    assert "metrics/train_cnn.json" in metrics
    assert "metrics/eval_noise.json" in against
    assert "dvc_plots/index.html" in plots
    assert '"rev": "robust"' in (clone.folder / "dvc_plots/index.html").read_text()
    assert all(name in shown for name in changes)

    # "old results after `git switch`": a branch holds a finished run.
    assert "| `dvc checkout`, then `make repro`. |" in README
    switch, done = ("git switch --quiet slower", ".venv/bin/dvc checkout"), "make repro"
    assert follow(clone, *switch, done)[-1].endswith(UP_TO_DATE)

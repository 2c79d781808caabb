"""README.md, followed word for word in a fresh clone, does what it says."""

import os
import re
from pathlib import Path

import pytest
from conftest import ROOT, UP_TO_DATE, Project, link_environment

README = (ROOT / "README.md").read_text()


def read_commands(heading: str) -> list[str]:
    """Return the lines of the code blocks below a heading."""
    section = README.split(f"\n## {heading}\n")[1].split("\n## ")[0]
    blocks = re.findall(r"^```\n(.*?)^```", section, re.M | re.S)
    return "".join(blocks).splitlines()


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


def pull_results(clone: Project, released: Project) -> None:
    """Networks and page are there without training; `make repro` makes the data only."""
    assert "`make environment` and then `.venv/bin/dvc pull --allow-missing`" in README
    follow(clone, "make environment", ".venv/bin/dvc pull --allow-missing")
    for path in "models/mlp.keras", "models/cnn.keras", "models/autoencoder.keras", "report.html":
        assert (clone.folder / path).read_bytes() == (released.folder / path).read_bytes()
    entries = [entry for entries in clone.status().values() for entry in entries]
    missing = {path for entry in entries for paths in entry.values() for path in paths}
    assert all(path.startswith("data/") for path in missing)
    first, second = follow(clone, "make repro", "make repro")
    assert find_done(first) == ["fetch", "preprocess"]
    assert second.endswith(UP_TO_DATE)


def try_and_compare(clone: Project) -> None:
    """An experiment and a branch for each value; nothing leaks from one step into the next."""
    commands = read_commands("Change something and compare")
    quick, slower, dropout, _, params, metrics, plots, shown = follow(clone, *commands)
    assert find_done(quick)[0] == "preprocess"
    assert find_done(slower) == ["train_cnn", "eval_noise", "report"]
    changes = {"quick": "preprocess.limit", "slower": "train_cnn.learning_rate"}
    names = [f"train_cnn.dropout={value}" for value in ("0.3", "0.4", "0.6")]
    changes |= dict.fromkeys(names, "train_cnn.dropout")
    for name, changed in changes.items():
        with clone.repo() as repo:
            assert {*repo.params.diff("main", name)["diff"]["params.yaml"]} == {changed}
            found = {Path(path).stem for path in repo.metrics.diff("main", name)["diff"]}
        assert found >= {"train_cnn", "eval_noise", "report"}
        assert ("train_mlp" in found) == (name == "quick")
    assert [line.split()[0] for line in dropout.splitlines()[-5:-1]] == ["HEAD", *names]
    assert len(re.findall("^params.yaml ", params, re.M)) == 1
    assert "metrics/train_cnn.json" in metrics
    page = re.search(r"file://(\S+/dvc_plots/index.html)", plots)[1]
    assert '"rev": "slower"' in Path(page).read_text()
    assert all(name in shown for name in changes)


@pytest.mark.slow
def test_every_command_does_what_readme_says(released, tmp_path):
    clone = released.clone(tmp_path / "clone")
    link_environment(clone)
    pull_results(clone, released)
    try_and_compare(clone)
    # "old results after `git switch`": a branch holds a finished run.
    assert "| `dvc checkout`, then `make repro`. |" in README
    switch, done = ("git switch --quiet slower", ".venv/bin/dvc checkout"), "make repro"
    assert follow(clone, *switch, done)[-1].endswith(UP_TO_DATE)

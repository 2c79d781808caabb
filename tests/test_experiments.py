"""The ways of README.md to try a value: a branch, and DVC's experiments."""

import re

from conftest import ROOT, wait_until
from ruamel.yaml import YAML
from test_readme import apply, find_run, follow, read_blocks

README = ROOT / "README.md"
HEADING = "Change a value"


def changed(study, revision: str) -> set[str]:
    """Return the parameters that differ between `main` and a revision."""
    with study.repo() as repo:
        return {*repo.params.diff("main", revision)["diff"]["params.yaml"]}


def test_a_branch_changes_a_value(study):
    study.run("git", "switch", "--quiet", "--create", "dropout")
    YAML().dump(study.parameters, study.folder / "params.yaml")  # a line for each, as ours
    [edit] = read_blocks(README, HEADING, "diff")
    apply(edit, study.folder / "params.yaml")
    output = follow(study, read_blocks(README, HEADING)[0])
    assert find_run(output) == ["train_cnn", "eval_noise", "report"]
    assert changed(study, "dropout") == {"train_cnn.dropout"}
    rows = re.findall(r"^metrics/\S+ +\S+ ", output, re.M)
    assert 0 < len(rows) <= 15
    page = (study.folder / "dvc_plots/index.html").read_text(encoding="utf-8")
    assert '"rev": "workspace"' in page
    follow(study, "git switch main\ndvc checkout\n")
    assert study.status() == {}


def test_experiments_leave_the_folder_as_it_is(study):
    temporary, queued, start, show, branch = read_blocks(README, HEADING)[1].splitlines()
    names = ["slower", "rates-1", "rates-2"]

    def both_succeeded() -> bool:
        status = study.run("dvc", "queue", "status").stdout
        assert "Failed" not in status
        return status.count("Success") == 2

    follow(study, f"{temporary}\n{queued}\n{start}\n")
    wait_until(both_succeeded, seconds=900)
    study.run("dvc", "queue", "stop")
    for name in names:
        assert changed(study, name) == {"train_cnn.learning_rate"}
    shown = follow(study, show)
    assert all(f"[{name}]" in shown for name in names)
    assert "test_accuracy" in shown
    assert max(map(len, shown.splitlines())) <= 100
    follow(study, branch)
    assert changed(study, "slower") == {"train_cnn.learning_rate"}
    assert study.run("git", "status", "--porcelain").stdout == ""
    assert study.status() == {}

    # Without --temp, the values stay, and would be part of the next experiment.
    follow(study, temporary.replace("--temp --name slower", "--name stays"))
    status = study.run("git", "status", "--porcelain").stdout
    assert " M params.yaml\n" in status
    assert "`git restore .` and `dvc checkout` bring yours back" in README.read_text(
        encoding="utf-8"
    )
    follow(study, "git restore .\ndvc checkout\n")
    assert study.run("git", "status", "--porcelain").stdout == ""
    assert study.status() == {}

"""The ways of README.md to try a value: a branch, and DVC's experiments."""

import re
import shutil

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
    assert '"rev": "workspace"' in (study.folder / "dvc_plots/index.html").read_text("utf-8")
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
    assert [name for name in names if f"[{name}]" not in shown] == []
    assert "test_accuracy" in shown
    follow(study, branch)
    assert changed(study, "slower") == {"train_cnn.learning_rate"}
    assert study.run("git", "status", "--porcelain").stdout == ""
    assert study.status() == {}


def test_verbs_of_dvc_change_the_lines_that_they_concern(project_copy):
    """The files stand as DVC writes them: it would rewrite any other form as a whole."""
    shutil.copy(ROOT / "recipes/published.yaml", project_copy.folder / "params.yaml")
    project_copy.commit("Published")
    project_copy.run("dvc", "freeze", "train_mlp")
    assert count_lines(project_copy, "HEAD") == {"dvc.yaml": ("1", "0")}
    project_copy.run("dvc", "unfreeze", "train_mlp")
    assert count_lines(project_copy, "HEAD") == {}
    value = ("--set-param", "train_cnn.dropout=0.4")
    project_copy.run("dvc", "exp", "run", "--queue", "--name", "less", *value)
    assert count_lines(project_copy, "HEAD", "refs/exps/celery/stash")["params.yaml"] == ("1", "1")


def count_lines(project, *revisions: str) -> dict[str, tuple[str, str]]:
    """Return how many lines of each YAML file a diff adds and removes."""
    shown = project.run("git", "diff", "--numstat", *revisions, "--", "*.yaml").stdout
    rows = [line.split() for line in shown.splitlines()]
    return {name: (added, removed) for added, removed, name in rows}

"""The ways of README.md to try a value: a branch, and DVC's experiments."""

import json
import re
import shutil
import time

from conftest import ROOT, wait_until
from ruamel.yaml import YAML
from test_readme import apply, find_run, follow, read_blocks

README = ROOT / "README.md"
HEADING = "Change a value"


def changed(study, revision: str) -> set[str]:
    """Return the parameters that differ between `main` and a revision."""
    shown = study.run("dvc", "params", "diff", "--json", "main", revision).stdout
    return {*json.loads(shown)["params.yaml"]}


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
        time.sleep(3)  # to ask takes the time of the experiments
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


def test_an_experiment_changes_one_line_of_a_recipe(project_copy):
    """The files stand as DVC writes them: it would rewrite any other form as a whole."""
    shutil.copy(ROOT / "recipes/published.yaml", project_copy.folder / "params.yaml")
    project_copy.commit("Published")
    value = ("--set-param", "train_cnn.dropout=0.4")
    project_copy.run("dvc", "exp", "run", "--queue", "--name", "less", *value)
    files = ("HEAD", "refs/exps/celery/stash", "--", "params.yaml")
    changed = project_copy.run("git", "diff", "--numstat", *files).stdout.split()
    assert changed == ["1", "1", "params.yaml"]

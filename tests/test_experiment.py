"""Trying parameters: an experiment and a branch of it, beside the working tree."""

import json
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest
from conftest import ROOT, Project, read_yaml

from experiment import name_experiments

COMMAND = ("python", "tools/experiment.py")


def try_out(study: Project, *options, **run) -> subprocess.CompletedProcess:
    return study.run(*COMMAND, *options, **run)


def diff(study: Project, what: str, branch: str) -> dict:
    return json.loads(study.run("dvc", what, "diff", "--json", "main", branch).stdout)


def read(path) -> str:
    return path.read_text() if path.exists() else ""


def wait_until(condition) -> None:
    deadline = time.monotonic() + 300
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.1)


def processes_in(folder) -> list[psutil.Process]:
    found = psutil.process_iter(["cwd", "status"])
    return [each for each in found if (each.info["cwd"] or "").startswith(str(folder))]


@pytest.mark.parametrize(
    ("name", "changes", "expected"),
    [
        ("slow", ["a.b=1"], ["slow"]),
        ("", ["a.b=1"], ["a.b=1"]),
        ("drop", ["a.b=0.3,0.4"], ["drop-a.b=0.3", "drop-a.b=0.4"]),
        ("", ["a.b=1,2", "c=3"], ["a.b=1-c=3", "a.b=2-c=3"]),
        ("x", ["a=1,2", "b=3,4"], ["x-a=1-b=3", "x-a=1-b=4", "x-a=2-b=3", "x-a=2-b=4"]),
        ("", ["preprocess.limit=[2000,500]"], ["preprocess.limit=-2000-500"]),
        ("recipe", [], ["recipe"]),
    ],
)
def test_names_tell_the_values_that_differ(name, changes, expected):
    assert list(name_experiments(name, changes)) == expected


@pytest.mark.parametrize("recipe", sorted(path.stem for path in (ROOT / "recipes").glob("*.yaml")))
def test_every_value_of_a_recipe_is_a_parameter_and_changes_it(recipe):
    def compare(changes, parameters):
        for name, value in changes.items():
            if isinstance(value, dict):
                compare(value, parameters[name])
            else:
                assert value != parameters[name]

    compare(read_yaml(ROOT / "recipes" / f"{recipe}.yaml"), read_yaml(ROOT / "params.yaml"))


def test_several_values_become_branches_to_compare_with(study):
    (study.folder / "README.md").write_text("not committed")
    (study.folder / "params.yaml").write_text("not: committed")
    options = ("--name", "slower", "--set", "train_mlp.learning_rate=0.05,0.02")
    names = ["slower-train_mlp.learning_rate=0.05", "slower-train_mlp.learning_rate=0.02"]
    done = try_out(study, *options)
    assert "Starts from the last commit, " in done.stdout
    status = study.run("git", "status", "--porcelain").stdout.splitlines()
    assert status == [" M README.md", " M params.yaml"]
    assert set(study.run("dvc", "exp", "list", "--name-only").stdout.split()) == set(names)
    study.run("git", "restore", ".")
    for name, rate in zip(names, [0.05, 0.02], strict=True):
        changed = diff(study, "params", name)["params.yaml"]
        assert {key: value["new"] for key, value in changed.items()} == {
            "train_mlp.learning_rate": rate
        }
        changed = diff(study, "metrics", name)
        assert {Path(path).stem for path in changed} == {"train_mlp", "eval_noise", "report"}
    table = done.stdout.splitlines()[-3:]
    assert [line.split()[0] for line in table] == ["HEAD", *names]

    # Once more: both are there, so nothing runs.
    again = try_out(study, *options).stdout.splitlines()
    assert again == done.stdout.splitlines()[-len(again) :]
    assert max(map(len, again)) <= 100
    # The branch holds a finished run.
    clone = study.folder.parent / "clone"
    study.run("git", "clone", "--quiet", "--branch", names[0], ".", str(clone))
    Project(clone).run("dvc", "cache", "dir", "--local", str(study.folder / ".dvc" / "cache"))
    Project(clone).run("dvc", "checkout")
    assert Project(clone).run("dvc", "status").stdout == "Data and pipelines are up to date.\n"


def test_a_recipe_runs_with_other_values_and_in_part(study):
    recipe = study.folder / "recipes" / "small.yaml"
    recipe.write_text("train_mlp: {momentum: 0.5, schedule: cosine}\ntrain_cnn: {epochs: 999}\n")
    study.commit("Add a recipe")
    make = ("make", "--old-file", "environment", "experiment", "RECIPE=small", "ONLY=train_mlp")
    study.run(*make, "SET=train_mlp.momentum=0.9 eval_noise.examples=[0,1]")
    changed = diff(study, "params", "small")["params.yaml"]
    assert {name: value["new"] for name, value in changed.items()} == {
        "eval_noise.examples": "[0, 1]",
        "train_mlp.momentum": 0.9,
        "train_mlp.schedule": "cosine",
    }


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--set", "train_cnn.moment=0.9"], "error: Could not override 'train_cnn.moment'."),
        (["--set", "nonsense"], "error: Error parsing override 'nonsense'"),
        (["--set", "train_cnn.momentum=0.5,2"], "error: train_cnn.momentum = 2: "),
        (["--set", "preprocess.validation=900", "preprocess.limit=[900,9]"], "error: preprocess."),
        (["--recipe", "none"], "error: [Errno 2] No such file or directory: 'recipes/none.yaml'"),
        (["--recipe", "tuned", "--only", "fetch"], "error: ONLY: fetch is no section"),
        (["--name", "main", "--set", "train_mlp.seed=1"], "error: there is another branch"),
        (["--name", "a..b", "--set", "train_mlp.seed=1"], "error: git check-ref-format: "),
        ([], "error: nothing to change: "),
    ],
)
def test_what_cannot_run_is_refused_in_a_line_and_leaves_nothing(study, options, message):
    done = try_out(study, *options, check=False)
    assert done.returncode != 0
    assert done.stderr.startswith(message)
    assert done.stderr.count("\n") == 1
    assert " runs" not in done.stdout
    assert study.run("git", "for-each-ref", "--format=%(refname)").stdout == "refs/heads/main\n"


@pytest.mark.parametrize("kill", [signal.SIGTERM, signal.SIGKILL])
def test_an_experiment_that_is_stopped_goes_on(study, kill):
    copy = study.folder / ".dvc/tmp/experiment"
    options = ["--name", "long", "--set", "train_mlp.seed=1", "train_cnn.epochs=9999"]
    process = subprocess.Popen(
        [sys.executable, *COMMAND[1:], *options],
        cwd=study.folder,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    wait_until(lambda: "epoch 1/9999" in read(copy / "logs/train_cnn.log"))
    wait_until((copy / "metrics/train_mlp.json").exists)
    second = try_out(study, "--set", "train_mlp.seed=1", check=False)
    assert second.stderr.startswith("error: another make experiment runs in this folder; ")

    process.send_signal(kill)
    process.wait(120)
    if kill == signal.SIGTERM:
        assert process.stderr.read().splitlines()[-1].startswith("error: interrupted; ")
        assert processes_in(copy) == []
    else:  # its run goes on: until that has ended, there is no other
        for each in processes_in(copy):
            each.kill()
        wait_until(lambda: processes_in(copy) == [])
    assert study.run("git", "branch", "--list", "long").stdout == ""
    done = try_out(study, "--name", "short", "--set", "train_mlp.seed=1")
    assert re.search("train_mlp.* from DVC's cache", done.stdout)
    assert not copy.exists()


@pytest.mark.slow
def test_three_experiments_of_three_values_each(study):
    for change in (
        "train_mlp.learning_rate=0.05,0.02,0.01",
        "train_cnn.dropout=0.3,0.4,0.6",
        "train_ae.noise_level=0.2,0.3,0.5",
    ):
        try_out(study, "--set", change)
        section, values = change.split(".", 1)[0], change.split("=")[1].split(",")
        for value in values:
            name = f"{change.split('=')[0]}={value}"
            assert f"metrics/{section}.json" in diff(study, "metrics", name)
            assert list(diff(study, "params", name)["params.yaml"]) == [change.split("=")[0]]
    assert len(study.run("dvc", "exp", "list", "--name-only").stdout.split()) == 9

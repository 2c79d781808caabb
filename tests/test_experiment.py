"""Trying parameters: an experiment and a branch of it, beside the working tree."""

import re
import shutil
from pathlib import Path

import pytest
from conftest import ROOT, Project, read_yaml, running_in
from test_repro import started, wait_for

from experiment import name_experiments

COMMAND = ("python", "tools/experiment.py")


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


def test_several_values_of_a_part_of_a_recipe_become_branches(study):
    recipe = study.folder / "recipes" / "small.yaml"
    recipe.write_text("eval_noise: {draws: 5, seed: 1}\ntrain_cnn: {epochs: 999}\n")
    study.commit("Add a recipe")
    for path in "README.md", "params.yaml":
        (study.folder / path).write_text("not: committed")
    make = ("make", "--old-file", "environment", "experiment", "RECIPE=small", "ONLY=eval_noise")
    make += ("SET=eval_noise.draws=3,4 eval_noise.examples=[0,1]",)
    first = study.run(*make).stdout.splitlines()
    assert first[0].startswith("Starts from the last commit, ")
    assert study.run("git", "status", "--short").stdout == " M README.md\n M params.yaml\n"
    assert not (study.folder / ".dvc/tmp/experiment").exists()
    names = ["small-eval_noise.draws=3", "small-eval_noise.draws=4"]
    assert [line.split()[0] for line in first[-4:-1]] == ["HEAD", *names]

    # Once more: both are there, so nothing runs.
    again = study.run(*make).stdout.splitlines()
    assert sorted(again[1:]) == sorted(first[1 - len(again) :])
    assert max(map(len, again)) <= 100
    assert not any(" runs" in line for line in again)
    study.run("git", "restore", ".")
    assert set(study.run("dvc", "exp", "list", "--name-only").stdout.split()) == set(names)
    with study.repo() as repo:
        for name, draws in zip(names, (3, 4), strict=True):
            changed = repo.params.diff("main", name)["diff"]["params.yaml"]
            assert {key: value["new"] for key, value in changed.items()} == {
                "eval_noise.draws": draws,
                "eval_noise.examples": "[0, 1]",
                "eval_noise.seed": 1,
            }
            found = {Path(path).stem for path in repo.metrics.diff("main", name)["diff"]}
            assert found == {"eval_noise", "report"}
    # A branch holds a finished run.
    study.run("git", "switch", "--quiet", names[0])
    study.run("dvc", "checkout")
    assert study.status() == {}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--set", "train_cnn.moment=0.9"], "error: Could not override 'train_cnn.moment'."),
        (["--set", "nonsense"], "error: Error parsing override 'nonsense'"),
        (["--set", "train_cnn.momentum=0.5,2"], "error: train_cnn.momentum = 2: "),
        (["--recipe", "none"], "error: [Errno 2] No such file or directory: 'recipes/none.yaml'"),
        (["--recipe", "tuned", "--only", "fetch"], "error: ONLY: fetch is no section"),
        (["--name", "main", "--set", "train_mlp.seed=1"], "error: there is another branch"),
        (["--name", "a..b", "--set", "train_mlp.seed=1"], "error: git check-ref-format: "),
        ([], "error: nothing to change: "),
    ],
)
def test_what_cannot_run_is_refused_in_a_line_and_leaves_nothing(module_study, options, message):
    done = module_study.run(*COMMAND, *options, check=False)
    assert done.returncode != 0
    assert done.stderr.startswith(message)
    assert done.stderr.count("\n") == 1
    assert " runs" not in done.stdout
    refs = module_study.run("git", "for-each-ref", "--format=%(refname)").stdout
    assert refs == "refs/heads/main\n"


def wait_for_training(study: Project) -> None:
    """Wait until the perceptron is trained, and the convolutional network trains."""
    copy = Project(study.folder / ".dvc/tmp/experiment")
    wait_for(copy, "train_cnn", "epoch 1/9999")
    wait_for(copy, "train_mlp", "Updating lock file")


def test_a_stopped_experiment_leaves_what_the_next_one_reuses(study):
    options = ("--set", "train_mlp.seed=1", "train_cnn.epochs=9999")
    with started(study, *options, command=COMMAND) as first:
        wait_for_training(study)
        second = study.run(*COMMAND, "--set", "train_mlp.seed=2", check=False)
        assert second.stderr.startswith("error: another make experiment runs in this folder; ")
        first.kill()
        first.wait()
        # Its run goes on: until that has ended, there is no other.
        for each in running_in(study.folder):
            each.kill()
    shutil.rmtree(study.folder / ".dvc/tmp/experiment/logs")  # not to be waited for again
    with started(study, *options, command=COMMAND) as again:
        wait_for_training(study)
        again.terminate()
        output, _ = again.communicate(timeout=120)
        assert running_in(study.folder) == []
    assert re.search("train_mlp.* from DVC's cache", output)
    assert output.splitlines()[-1].startswith("error: interrupted; ")
    assert study.run("git", "for-each-ref", "--format=%(refname)").stdout == "refs/heads/main\n"


@pytest.mark.slow
def test_three_experiments_of_three_values_each(study):
    total = 0
    for name, values in {
        "train_mlp.learning_rate": ["0.05", "0.02", "0.01"],
        "train_cnn.dropout": ["0.3", "0.4", "0.6"],
        "train_ae.noise_level": ["0.2", "0.3", "0.5"],
    }.items():
        study.run(*COMMAND, "--set", f"{name}={','.join(values)}")
        for value in values:
            diff = study.run("dvc", "metrics", "diff", "main", f"{name}={value}").stdout
            assert f"metrics/{name.split('.')[0]}.json" in diff
            with study.repo() as repo:
                changed = repo.params.diff("main", f"{name}={value}")["diff"]["params.yaml"]
            assert changed.keys() == {name}
        total += 3
        assert len(study.run("dvc", "exp", "list", "--name-only").stdout.split()) == total

"""The tuned recipe, small: `make tuned` leaves an experiment and a branch to compare with."""

import json
import subprocess

import pytest
import yaml
from conftest import ROOT, Project

import spread
import tuned

# What of the recipe would take long even on few images.
SMALL = [
    "sweep_l2.grid.factors=[0.001]",
    "sweep_l2.grid.replicates=[1]",
    "train_cnn.epochs=3",
    "train_ae.epochs=3",
]


def make_tuned(study: Project, *options, **run) -> subprocess.CompletedProcess:
    return study.run("python", "tools/tuned.py", *options, **run)


def recipe() -> dict:
    return yaml.safe_load((ROOT / "recipes" / "tuned.yaml").read_text())


def test_overrides_are_what_dvc_takes():
    nested = {"a": {"b": {"c": [1e-5, 0.2], "d": "cosine"}}, "e": 0.0}
    assert tuned.overrides(nested) == ["a.b.c=[1e-05, 0.2]", "a.b.d=cosine", "e=0.0"]


def test_every_override_is_a_parameter_and_changes_it():
    committed = yaml.safe_load((ROOT / "params.yaml").read_text())

    def compare(changes, parameters):
        for name, value in changes.items():
            if isinstance(value, dict):
                compare(value, parameters[name])
            else:
                assert value != parameters[name]

    compare(recipe(), committed)


def diff(study: Project, what: str, branch: str) -> dict:
    return json.loads(study.run("dvc", what, "diff", "--json", "main", branch).stdout)


def test_a_recipe_becomes_a_branch_to_compare_with(study, tmp_path):
    make_tuned(study, "--set", *SMALL)
    assert study.run("git", "status", "--porcelain").stdout == ""
    assert "tuned" in study.run("dvc", "exp", "list", "--name-only").stdout.split()
    words = tuned.overrides(recipe()) + SMALL
    assert set(diff(study, "params", "tuned")["params.yaml"]) == {
        word.split("=")[0] for word in words
    }
    metrics = diff(study, "metrics", "tuned")
    assert metrics["metrics/train_cnn.json"]["loss"]["diff"]
    assert metrics["metrics/train_ae.json"]["loss"]["diff"]
    assert "metrics/train_mlp.json" not in metrics
    study.run("dvc", "plots", "diff", "main", "tuned")
    assert '"rev": "tuned"' in (study.folder / "dvc_plots" / "index.html").read_text()

    # A second time it replaces nothing.
    before = study.run("git", "rev-parse", "tuned").stdout
    done = make_tuned(study, check=False)
    assert done.returncode == 1
    assert done.stderr.startswith("error: there is a branch or an experiment tuned; ")
    assert study.run("git", "rev-parse", "tuned").stdout == before

    # A clone of the branch is finished, and its report says what was done.
    study.run("git", "clone", "--quiet", "--branch", "tuned", ".", str(tmp_path / "clone"))
    clone = Project(tmp_path / "clone")
    clone.run("dvc", "cache", "dir", "--local", str(study.folder / ".dvc" / "cache"))
    clone.run("dvc", "checkout")
    assert clone.run("dvc", "status").stdout == "Data and pipelines are up to date.\n"
    report = (clone.folder / "report.md").read_text()
    assert "level between 0.0 and 1.0, its own for each image and mostly a low one," in report
    assert "drawn anew in every epoch" in report
    assert "moved anew in every epoch, by up to 2 pixels" in report
    assert "was not reported: the number of epochs" in report


@pytest.mark.slow
def test_a_part_of_it_takes_from_the_cache_what_was_trained_already(study):
    parameters = study.parameters
    parameters["sweep_l2"]["training"] |= recipe()["sweep_l2"]["training"]
    parameters["sweep_l2"]["grid"] = {"factors": [0.001], "replicates": [1]}
    study.parameters = parameters
    assert study.repro("sweep_l2") == ["sweep_l2@0.001-1"]
    study.run("git", "restore", ".")
    done = make_tuned(study, "--name", "decay", "--only", "sweep_l2", "--set", *SMALL[:2])
    assert "sweep_l2@0.001-1 cached" in done.stdout
    assert "report done" in done.stdout
    _, experiment = done.stdout.split("Reproducing experiment")
    assert "epoch 1/" not in experiment
    assert set(diff(study, "metrics", "decay")) == {"metrics/report.json"}


def test_uncommitted_changes_are_refused(study):
    (study.folder / "README.md").write_text("other")
    done = make_tuned(study, check=False)
    assert done.returncode == 1
    assert done.stderr == (
        "error: an experiment starts from a commit: git commit what you changed, first\n"
    )


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("train_cnn.moment=0.9", "recipes/tuned.yaml: Could not override 'train_cnn.moment'"),
        ("nonsense", "recipes/tuned.yaml: Error parsing override 'nonsense'"),
        ("train_cnn.momentum=2", "error: train_cnn.momentum = 2: share of each step"),
    ],
)
def test_a_wrong_override_is_named_and_leaves_nothing(study, change, message):
    done = make_tuned(study, "--set", change, check=False)
    assert done.returncode != 0
    assert message in done.stderr
    assert "Traceback" not in done.stderr
    assert study.run("git", "branch", "--list", "tuned").stdout == ""
    assert list((study.folder / ".dvc" / "tmp").glob("tuned-*")) == []


def test_spread_over_branches(monkeypatch):
    def read(path, revision):
        noise = {"denoising_costs_on_clean": 0.01, "denoising_helps_from": 0.1}
        half = {"denoised_rate_below_half_at": 0.7 if revision == "one" else None}
        accuracy = {"one": 0.99, "two": 0.97}[revision]
        return {
            "noise": noise | half,
            "validation_accuracy": accuracy,
            "test_accuracy": accuracy,
        }

    monkeypatch.setattr(spread, "read", read)
    rows = {name: rest for name, *rest in spread.spread(["one", "two"])}
    assert rows["train_cnn test_accuracy"] == ["0.9900", "0.9700", "0.9800", "0.0141"]
    assert rows["report noise.denoised_rate_below_half_at"] == ["0.7000", "none", "", ""]


def test_spread_reads_git(study):
    same = study.run("python", "tools/spread.py", "main", "HEAD").stdout.splitlines()
    accuracy = json.loads((study.folder / "metrics/train_cnn.json").read_text())["test_accuracy"]
    cell = f"{accuracy:.4f}"
    assert same[-1] == f"| train_cnn test_accuracy | {cell} | {cell} | {cell} | 0.0000 |"
    done = study.run("python", "tools/spread.py", "main", "nowhere", check=False)
    assert done.returncode == 1
    assert done.stderr.startswith("error: fatal: invalid object name 'nowhere'")

"""`make verify`: the same bytes, like another seed, or something else."""

import json
import re
import shutil
from pathlib import Path

import pandas as pd
import pytest
from conftest import ROOT, Project, read_yaml
from dvc.api import DVCFileSystem
from ruamel.yaml import YAML

import verify
from common.data import write_csv, write_json
from measure import KEYS, read_numbers


@pytest.fixture(scope="module")
def measured(module_study) -> Project:
    """The small study, with tables of seven seeds around its numbers, 0.01 apart."""
    files = DVCFileSystem(str(module_study.folder))
    # The small study is a recipe: so its numbers have others to compare with.
    shutil.copy(module_study.folder / "params.yaml", module_study.folder / "recipes/small.yaml")
    for table, numbers in read_numbers(files, "small").items():
        key = "replicate" if table == "sweep" else "seed"
        first = numbers.groupby(level=[name for name in KEYS[table] if name != key]).first()
        rows = [(first + 0.01 * seed).reset_index().assign(**{key: seed}) for seed in range(-3, 4)]
        write_csv(module_study.folder / f"measured/{table}.csv", pd.concat(rows))
    module_study.commit("Measure seeds")
    return module_study


@pytest.fixture(autouse=True)
def in_the_project(measured, monkeypatch):
    monkeypatch.chdir(measured.folder)


def test_honest_results_have_the_same_bytes(measured, tmp_path):
    """Whatever Git's settings are, and a hook's variables: the user's repository stays as it is."""
    hook = tmp_path / "hooks/post-checkout"
    hook.parent.mkdir()
    hook.write_text("#!/bin/sh\nexit 1\n")
    hook.chmod(0o755)
    settings = f"[core]\nhooksPath = {hook.parent}\n[commit]\ngpgsign = true\n"
    (tmp_path / "gitconfig").write_text(settings)
    (tmp_path / "dvc/config").parent.mkdir()
    (tmp_path / "dvc/config").write_text(f"[cache]\ndir = {measured.folder}/.dvc/cache\n")
    variables = {
        "GIT_CONFIG_GLOBAL": str(tmp_path / "gitconfig"),
        "GIT_DIR": str(measured.folder / ".git"),
        "GIT_INDEX_FILE": str(tmp_path / "index"),
        # Results that a user's settings offer do not count as computed.
        "DVC_GLOBAL_CONFIG_DIR": str(tmp_path / "dvc"),
    }
    before = measured.run("git", "show-ref", "--head").stdout
    command = ("python", "tools/verify.py", "--stage", "train_mlp", "--keep", tmp_path / "clone")
    done = measured.run(*command, env=variables)
    assert "| models/mlp.keras | same |" in done.stdout
    assert re.search(r"^same bytes: .* all \d+ outputs", done.stdout.splitlines()[-1])
    for stage in "fetch", "preprocess", "train_mlp":
        log = (tmp_path / "clone/logs" / f"{stage}.log").read_text()
        assert "Running stage" in log
        assert "cached" not in log
    assert measured.run("git", "show-ref", "--head").stdout == before
    assert measured.run("git", "status", "--porcelain").stdout == ""
    assert not (tmp_path / "index").exists()


CNN, MLP, RATES = "models/cnn.keras", "metrics/train_mlp.json", "plots/eval_noise"


@pytest.mark.parametrize(
    ("paths", "change", "verdict"),
    [
        ([], 0, "same bytes: "),
        ([CNN, MLP], 0.01, "like another seed: "),
        ([CNN, MLP], 0.9, "differs: .* small mlp test_accuracy = "),
        ([CNN], RATES, "differs: .* small cnn 0.5 denoised rate = "),
        # No other processor does this.
        (["data/processed/test", CNN], 0, "differs: data/processed/test has other bytes"),
    ],
)
def test_committed_results_that_the_code_does_not_give(
    measured, tmp_path, monkeypatch, capsys, paths, change, verdict
):
    def run_study(folder: Path, _) -> None:
        """Stand in for the run: it gives what is committed, but for the change."""
        lock = read_yaml(measured.folder / "dvc.lock")
        for out in [out for stage in lock["stages"].values() for out in stage["outs"]]:
            if out["path"] in paths:
                out["md5"] = "0" * 32
        YAML(typ="safe").dump(lock, folder / "dvc.lock")
        for path in RATES, "metrics/sweep_l2", ".dvc/cache":  # which Git does not have
            shutil.copytree(measured.folder / path, folder / path, dirs_exist_ok=True)
        rates = pd.read_csv(folder / RATES / "rates.csv")
        if MLP in paths:
            numbers = json.loads((folder / MLP).read_text())
            write_json(folder / MLP, numbers | {"test_accuracy": numbers["test_accuracy"] + change})
        if change == RATES:
            rows = (rates.kind == "denoised") & (rates.noise_level == 0.5)
            rates.loc[rows & (rates.classifier == "cnn"), "recognised"] += rates.images
            write_csv(folder / RATES / "rates.csv", rates)

    monkeypatch.setattr(verify, "run_study", run_study)
    said = verify.verify(tmp_path / "clone", [])
    assert re.match(verdict, said), said
    other = re.findall(r"^\| (\S+) \| other \|$", capsys.readouterr().out, re.M)
    assert sorted(other) == sorted(paths)


def test_numbers_are_judged_by_the_seeds_of_their_recipe(measured):
    files = DVCFileSystem(str(measured.folder))
    chances = verify.judge(read_numbers(files, "small")).chance
    assert len(chances) == 14 + 2 * 4 + 3 * 3 * 2
    assert (chances > 0.1).all()
    assert verify.judge(read_numbers(files, "tuned")).empty


def test_the_recipe_is_the_one_in_params_yaml(tmp_path):
    for folder in "recipes", "published":
        shutil.copytree(ROOT / folder, tmp_path / folder)
    project = Project(tmp_path)
    project.parameters = read_yaml(ROOT / "recipes/tuned.yaml")
    assert verify.find_recipe(tmp_path) == "tuned"
    project.parameters = read_yaml(ROOT / "params.yaml")
    project.change(train_mlp__seed=7)
    assert verify.find_recipe(tmp_path) == "published", "a seed is no part of it"
    project.change(train_mlp__epochs=11)
    assert verify.find_recipe(tmp_path) == ""

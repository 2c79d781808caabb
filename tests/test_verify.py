"""`make verify`: the same bytes, like another seed, or something else."""

import json
import shutil
from pathlib import Path

import pandas as pd
import pytest
from conftest import Project, read_yaml
from dvc.api import DVCFileSystem
from ruamel.yaml import YAML

import verify
from common.data import write_csv, write_json
from measure import RUNS, read_run


@pytest.fixture(scope="module")
def measured(module_study) -> Project:
    """The small study as if it were the published one, with seven measured seeds, 0.01 apart."""
    parameters = module_study.folder / "params.yaml"
    shutil.copy(parameters, module_study.folder / "recipes/published.yaml")
    numbers = read_run(DVCFileSystem(str(module_study.folder)), "published")
    numbers = numbers[(numbers.stage != "sweep_l2") | (numbers.seed == 1)]
    runs = [numbers.assign(seed=10 + i, value=numbers.value + 0.01 * (i - 3)) for i in range(7)]
    write_csv(module_study.folder / RUNS, pd.concat(runs))
    module_study.commit("Measure seeds")
    return module_study


@pytest.fixture(autouse=True)
def in_the_project(measured, monkeypatch):
    monkeypatch.chdir(measured.folder)


def test_honest_results_have_the_same_bytes(measured, tmp_path):
    """Nothing comes from a cache, also where all of a user's projects share one."""
    (tmp_path / "config").write_text(f"[cache]\ndir = {measured.folder}/.dvc/cache\n")
    shared = {"DVC_GLOBAL_CONFIG_DIR": str(tmp_path)}
    command = ("python", "tools/verify.py", "--stage", "train_mlp", "--keep", tmp_path / "clone")
    said = measured.run(*command, env=shared).stdout.splitlines()[-1]
    made = verify.read_hashes(tmp_path / "clone")
    assert "models/mlp.keras" in made
    assert said == f"same bytes: the hashes of all {len(made)} outputs are those in dvc.lock"
    for stage in "fetch", "preprocess", "train_mlp":
        log = (tmp_path / "clone/logs" / f"{stage}.log").read_text()
        assert "Running stage" in log
        assert "cached" not in log
    assert measured.run("git", "status", "--porcelain").stdout == ""


CNN, MLP = "models/cnn.keras", "metrics/train_mlp.json"


@pytest.mark.parametrize(
    ("paths", "change", "verdict"),
    [
        ([], 0, "same bytes: "),
        ([CNN, MLP], 0.05, "like another seed: "),  # the deviation is 0.0216
        ([CNN, MLP], 0.15, "differs: 1 of "),
        (["data/processed/test", CNN], 0, "differs: no other processor "),
        (["report.md"], 0, "differs: no other processor "),
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
        for path in "plots/eval_noise", "metrics/sweep_l2", ".dvc/cache":  # not in Git
            shutil.copytree(measured.folder / path, folder / path, dirs_exist_ok=True)
        numbers = json.loads((folder / MLP).read_text())
        write_json(folder / MLP, numbers | {"test_accuracy": numbers["test_accuracy"] + change})

    monkeypatch.setattr(verify, "run_study", run_study)
    said = verify.verify(tmp_path / "clone", [])
    output = capsys.readouterr().out
    assert said.startswith(verdict)
    assert ("| train_mlp " in output) == (change > 0)


def test_numbers_are_compared_with_all_that_was_measured(measured):
    numbers = read_run(DVCFileSystem(str(measured.folder)), "published")
    table = verify.compare(numbers)
    # 6 of either classifier, 2 of the autoencoder, 2 of 4 cells, 3 kinds at 3 levels.
    assert len(table) == 6 + 6 + 2 + 2 * 4 + 3 * 3
    assert table.deviations[table.stage == "train_cnn"].max() == pytest.approx(0, abs=1e-6)

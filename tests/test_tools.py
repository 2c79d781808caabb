"""The Makefile, the table of measured runs, and the benchmark."""

import shutil
import sys

import pandas as pd
import pytest
from conftest import ROOT, Project, read_yaml
from dvc.api import DVCFileSystem
from ruamel.yaml import YAML

import bench
from measure import RUNS, read_run


@pytest.fixture
def folder(tmp_path) -> Project:
    """A folder with an environment that only pretends to be one."""
    for name in ("Makefile", "requirements.lock"):
        shutil.copy(ROOT / name, tmp_path)
    (tmp_path / ".venv/bin").mkdir(parents=True)
    (tmp_path / ".venv/bin/python").symlink_to(sys.executable)
    lock = (ROOT / "requirements.lock").read_text(encoding="utf-8")
    (tmp_path / ".venv/installed.lock").write_text(f"{tmp_path.resolve()}\n{lock}")
    return Project(tmp_path)


def has_to_be_made(project: Project) -> bool:
    """Tell whether make would make the environment; a Python that refuses stands in for it."""
    done = project.run("make", "environment", "PYTHON=false", check=False)
    return "error: Python 3.10 to 3.13 is needed" in done.stderr


def test_the_environment_is_made_anew_only_where_it_no_longer_serves(folder, tmp_path):
    assert not has_to_be_made(folder)
    moved = tmp_path.with_name("moved")
    tmp_path.rename(moved)
    assert has_to_be_made(Project(moved))
    moved.rename(tmp_path)
    lock = folder.folder / "requirements.lock"
    lock.write_text(lock.read_text() + "new==1\n")
    assert has_to_be_made(folder)
    shutil.copy(ROOT / "requirements.lock", lock)
    python = folder.folder / ".venv/bin/python"
    python.unlink()
    python.symlink_to("/nonexistent/python")
    assert has_to_be_made(folder)


def test_pinned_versions_are_those_of_the_full_set():
    pinned = (ROOT / "requirements.lock").read_text(encoding="utf-8")
    versions = (ROOT / "versions.txt").read_text(encoding="utf-8").split()
    computing = ["h5py", "keras", "numpy", "pandas", "tensorflow"]
    assert [line.partition("==")[0] for line in versions] == computing
    assert [line for line in versions if f"\n{line} " not in pinned] == []
    assert "index-url" not in pinned


def test_runs_are_collected_by_recipe_and_seed(study):
    table = study.folder / RUNS
    pd.read_csv(table, nrows=0).to_csv(table, index=False)
    # Rows that are measured again take the place of those that are there.
    for revisions in ["HEAD"], ["HEAD", "main"]:
        study.run("python", "tools/measure.py", "published", *revisions)
        runs = pd.read_csv(table)
        # 6 of either classifier, 2 of the autoencoder, 2 of 4 cells, 3 kinds at 3 levels.
        assert len(runs) == 6 + 6 + 2 + 2 * 4 + 3 * 3
    cnn = runs[runs.stage == "train_cnn"].set_index("measure").value
    history = pd.read_csv(study.folder / "plots/train_cnn/history.csv")
    assert cnn.validation_loss == history.validation_loss.iloc[-1]
    assert runs.value[runs.stage == "eval_noise"].between(0, 1).all()
    assert {*runs.seed[runs.stage == "sweep_l2"]} == {1, 2}
    # `make verify STAGE=train_mlp` has run no cell.
    lock = read_yaml(study.folder / "dvc.lock")
    stages = {name: stage for name, stage in lock["stages"].items() if name == "train_mlp"}
    YAML(typ="safe").dump(lock | {"stages": stages}, study.folder / "dvc.lock")
    shutil.rmtree(study.folder / "metrics/sweep_l2")
    assert "sweep_l2" not in {*read_run(DVCFileSystem(str(study.folder)), "small").stage}


@pytest.mark.parametrize("threads", [0, 1])
def test_bench_times_an_epoch_of_fit_and_of_the_loop(finished_study, monkeypatch, threads):
    """At the smallest size; no test fails on a time."""
    monkeypatch.setattr(bench, "__file__", str(finished_study.folder / "tools/bench.py"))
    assert bench.measure("mlp", images=300, options={"threads": threads}) > 0


def test_bench_compares_with_fit_and_with_the_best_fit(monkeypatch):
    seconds = {"none": 4.0, "16": 3.0, "epoch": 2.0, "loop": 1.0}

    def measure(network, images, options) -> float:
        way = "loop" if options["threads"] else str(options.get("steps_per_execution", "none"))
        return seconds[way] + options.get("jit_compile", False)

    monkeypatch.setattr(bench, "measure", measure)
    table = bench.compare("mlp", images=300, repeats=3)
    assert table.times_fit.tolist() == [1, 2, 4, 4]
    assert "'epoch', 'jit_compile': False" in table.index[1]

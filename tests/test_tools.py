"""The Makefile, the table of measured runs, and the benchmark."""

import re
import shutil
import sys

import pandas as pd
import pytest
from conftest import ROOT, Project, read_yaml
from dvc.api import DVCFileSystem
from ruamel.yaml import YAML

from measure import RUNS, read_run

MAKEFILE = (ROOT / "Makefile").read_text(encoding="utf-8")


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


def test_settings_of_users_and_hooks_do_not_reach_what_make_runs(folder):
    with (folder.folder / "Makefile").open("a") as file:
        file.write("show:\n\t@env\n")
    dropped = ("GIT_DIR", "GIT_INDEX_FILE", "PYTHONSAFEPATH")
    variables = dict.fromkeys((*dropped, "PIP_USER"), "theirs")
    shown = folder.run("env", "-u", "HOME", "-u", "USER", "make", "show", env=variables).stdout
    found = dict(line.split("=", 1) for line in shown.splitlines() if "=" in line)
    assert not {*dropped} & found.keys()
    assert found["PIP_USER"] == "0"
    assert found["HOME"]
    assert found["USER"]


def test_every_target_is_listed():
    targets = re.findall(r"^([a-z-]+):", MAKEFILE, re.M)
    listed = Project(ROOT).run("make", "help").stdout
    assert [line.split()[0] for line in listed.splitlines()] == targets


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


def test_bench_measures_every_way(finished_study):
    """At the smallest size; no test fails on a time."""
    script = "import sys; sys.path.insert(0, 'tools'); import bench; del bench.TUNED[1:]; "
    script += "print(bench.compare(['mlp'], 300, 2, 1).to_string(index=False))"
    table = finished_study.run("python", "-c", script).stdout
    ways = ["fit ", "best fit: ", "loop, 1 thread ", "loop, all cores "]
    rows = table.splitlines()[1:]
    assert [way for way, row in zip(ways, rows, strict=True) if way not in row] == []
    assert float(rows[0].split()[-1]) == 1

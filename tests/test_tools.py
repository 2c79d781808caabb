"""The Makefile, the tables of seeds, and the benchmark."""

import re
import shutil
import sys

import pandas as pd
import pytest
from conftest import ROOT, Project, read_yaml
from dvc.api import DVCFileSystem
from ruamel.yaml import YAML

from measure import list_numbers, read_numbers

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
    assert not has_to_be_made(folder)
    lock = folder.folder / "requirements.lock"
    lock.write_text(lock.read_text() + "new==1\n")
    assert has_to_be_made(folder)
    shutil.copy(ROOT / "requirements.lock", lock)
    python = folder.folder / ".venv/bin/python"
    python.unlink()
    python.symlink_to("/nonexistent/python")
    assert has_to_be_made(folder)


def test_unsupported_python_is_refused(folder):
    """A stand-in says that it is another version."""
    fake = folder.folder / "python"
    pretend = "import sys\nsys.version_info = (3, 14)\nexec(sys.argv[2])\n"
    fake.write_text(f"#!{sys.executable}\n{pretend}")
    fake.chmod(0o755)
    shutil.rmtree(folder.folder / ".venv")
    done = folder.run("make", "environment", f"PYTHON={fake}", check=False)
    said = "error: Python 3.10 to 3.13 is needed; name one: make PYTHON=python3.12"
    assert done.stderr.splitlines()[0] == said
    assert not (folder.folder / ".venv").exists()


def test_settings_of_users_and_hooks_do_not_reach_what_make_runs(folder):
    with (folder.folder / "Makefile").open("a") as file:
        file.write("show:\n\t@env\n")
    variables = dict.fromkeys(("GIT_DIR", "GIT_INDEX_FILE", "PIP_USER"), "theirs")
    shown = folder.run("env", "-u", "HOME", "-u", "USER", "make", "show", env=variables).stdout
    found = dict(line.split("=", 1) for line in shown.splitlines() if "=" in line)
    assert not {"GIT_DIR", "GIT_INDEX_FILE"} & found.keys()
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
    assert [line.partition("==")[0] for line in versions] == [
        "h5py", "keras", "numpy", "pandas", "tensorflow",
    ]  # fmt: skip
    for line in versions:
        assert f"\n{line} " in pinned
    assert not re.search("^(distributed|s3fs|dvc-s3)==", pinned, re.M)


def test_runs_are_collected_by_recipe_and_seed(study):
    study.run("git", "rm", "--quiet", "--cached", "-r", "measured")
    for name in TABLES:
        table = pd.read_csv(ROOT / f"measured/{name}.csv", nrows=0)
        table.to_csv(study.folder / f"measured/{name}.csv", index=False)
    # Rows that are measured again take the place of those that are there.
    for revisions in ["HEAD"], ["HEAD", "main"]:
        study.run("python", "tools/measure.py", "published", *revisions)
        tables = {name: pd.read_csv(study.folder / f"measured/{name}.csv") for name in TABLES}
        assert {name: len(table) for name, table in tables.items()} == TABLES
    cnn = tables["trainings"].set_index("network").loc["cnn"]
    history = pd.read_csv(study.folder / "plots/train_cnn/history.csv")
    assert cnn.validation_loss == history.validation_loss.iloc[-1]
    assert tables["noise"].rate.between(0, 1).all()
    assert set(tables["noise"].recipe) == {"published"}
    # `make verify STAGE=train_mlp` has run no cell.
    lock = read_yaml(study.folder / "dvc.lock")
    stages = {name: stage for name, stage in lock["stages"].items() if name == "train_mlp"}
    YAML(typ="safe").dump(lock | {"stages": stages}, study.folder / "dvc.lock")
    shutil.rmtree(study.folder / "metrics/sweep_l2")
    numbers = read_numbers(DVCFileSystem(str(study.folder)), "small")["sweep"]
    assert list_numbers("sweep", numbers).empty


TABLES = {"trainings": 3, "sweep": 4, "noise": 2 * 3 * 3}


def test_bench_measures_every_way(finished_study):
    """At the smallest size; no test fails on a time."""
    options = ["--networks", "mlp", "--images", "300", "--epochs", "2", "--repeats", "1"]
    table = finished_study.run("python", "tools/bench.py", *options).stdout
    ways = ["fit ", "fit, tuned: steps_per_execution=", "loop, 1 thread", "loop, all cores"]
    rows = table.splitlines()[1:]
    assert all(way in row for way, row in zip(ways, rows, strict=False))
    assert float(rows[0].split()[-1]) == 1

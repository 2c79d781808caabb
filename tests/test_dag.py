"""The cache is exactly right: dvc.yaml names what the code imports and reads, and no more."""

import itertools
import json
import modulefinder
import re
from pathlib import Path

import pytest
from conftest import ROOT, read_yaml

import check_params

PIPELINE = read_yaml(ROOT / "dvc.yaml")["stages"]
PARAMS = read_yaml(ROOT / "params.yaml")


def find_code(stage):
    """Return the script of `stage` and what it imports of `stages/`, directly or not."""
    finder = modulefinder.ModuleFinder([str(ROOT / "stages")])
    finder.run_script(str(ROOT / "stages" / f"{stage}.py"))
    paths = [module.__file__ for module in finder.modules.values() if module.__file__]
    return {Path(path).relative_to(ROOT).as_posix() for path in paths}


@pytest.mark.parametrize("stage", PIPELINE)
def test_deps_are_what_the_code_imports(stage):
    deps = PIPELINE[stage]["deps"]
    assert {path for path in deps if path.endswith(".py")} == find_code(stage)
    assert ("versions.txt" in deps) == ("stages/common/runtime.py" in deps)
    if stage == "report":
        page = {path.relative_to(ROOT).as_posix() for path in ROOT.glob("stages/page/*.*")}
        assert page <= set(deps)


@pytest.mark.parametrize("stage", PIPELINE)
def test_params_are_what_the_script_reads(stage):
    """The report reads the whole file, but for the source: it states the values."""
    read = {
        word
        for _, words, _ in check_params.find_loads(ROOT / "stages" / f"{stage}.py")
        for word in words
    }
    declared = set(PIPELINE[stage]["params"])
    if stage == "report":
        assert declared == PARAMS.keys() - {"fetch"}
        assert {word.split(".")[0] for word in read} <= declared
    else:
        assert declared == read


def test_classifiers_are_what_eval_noise_depends_on():
    networks = {f"models/{name}.keras" for name in PARAMS["eval_noise"]["classifiers"]}
    deps = {path for path in PIPELINE["eval_noise"]["deps"] if path.endswith(".keras")}
    assert deps == networks | {"models/autoencoder.keras"}


def test_commands_run_anywhere():
    """No shell but a space between words; no values but those of a cell of the sweep."""
    for stage, entry in PIPELINE.items():
        cell = " --factor ${item.factor} --replicate ${item.replicate}"
        assert entry["cmd"] == f"python stages/{stage}.py" + (cell if stage == "sweep_l2" else "")
        assert entry["meta"]["seconds"] > 0


def test_metrics_and_figures_are_there(finished_study):
    """What nothing is there for is null: DVC does not show it."""
    tested = {"test_accuracy", "test_loss"}
    expected = {
        "train_mlp": tested,
        "train_cnn": tested,
        "train_ae": {"validation_loss"},
        "sweep_l2": {"test_accuracy"},
        "eval_noise": {"helps_from", "helps_to", "half_at"},
    }
    with finished_study.repo() as repo:
        [shown] = repo.metrics.show().values()
    assert set(shown["data"]) == {f"metrics/{name}.json" for name in expected}
    for name, numbers in expected.items():
        content = (finished_study.folder / f"metrics/{name}.json").read_text("utf-8")
        assert set(json.loads(content)) == numbers
    # The names that README.md gives.
    figures = re.findall(r"`(figures?_\S+\.png)`", (ROOT / "README.md").read_text("utf-8"))
    for figure, level in itertools.product(figures, ("0.0", "0.5", "1.0")):
        path = finished_study.folder / "plots/report" / figure.replace("LEVEL", level)
        assert path.is_file(), path

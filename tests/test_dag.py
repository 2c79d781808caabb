"""The cache is exactly right: dvc.yaml names what the code imports, and DVC reruns that."""

import functools
import itertools
import json
import modulefinder
import re
import runpy
import sys
from pathlib import Path

import pytest
from conftest import ROOT, read_yaml

PIPELINE = read_yaml(ROOT / "dvc.yaml")["stages"]
LOCK = read_yaml(ROOT / "dvc.lock")["stages"]
TRAININGS = {"train_mlp", "sweep_l2", "train_cnn", "train_ae"}


@functools.cache
def find_code(stage):
    """Return the script of `stage` and what it imports of `stages/`, directly or not."""
    finder = modulefinder.ModuleFinder([str(ROOT / "stages")])
    finder.run_script(str(ROOT / "stages" / f"{stage}.py"))
    paths = [module.__file__ for module in finder.modules.values() if module.__file__]
    return {str(Path(path).relative_to(ROOT)) for path in paths}


@pytest.mark.parametrize("stage", PIPELINE)
def test_deps_are_what_the_code_imports(stage):
    deps = PIPELINE[stage]["deps"]
    assert {path for path in deps if path.endswith(".py")} == find_code(stage)
    assert ("versions.txt" in deps) == ("stages/common/environment.py" in deps)
    if stage == "report":
        page = {str(path.relative_to(ROOT)) for path in (ROOT / "stages/page").glob("*.*")}
        assert page <= set(deps)


def test_table_of_what_a_change_reruns():
    """The table in docs/design.md."""
    rows = re.findall(r"^\| (`.+) \| (.+) \|$", (ROOT / "docs/design.md").read_text(), re.M)
    expected = {}
    for modules, words in rows:
        stages = set(re.findall(r"`(\w+)`", words))
        if words.startswith("everything"):
            stages = PIPELINE.keys() - stages
        elif words.startswith("trainings"):
            stages |= TRAININGS
        expected |= dict.fromkeys(re.findall(r"`(\w+)/?`", modules), stages)
    found = {}
    for path in sorted((ROOT / "stages").glob("*/[a-z]*.py")):
        name = path.stem if path.parent.name == "common" else "page"
        uses = {stage for stage in PIPELINE if str(path.relative_to(ROOT)) in find_code(stage)}
        found[name] = found.get(name, set()) | uses
    assert found == expected


@pytest.mark.parametrize("stage", PIPELINE)
def test_help_explains_every_parameter(monkeypatch, capsys, stage):
    command = next(entry["cmd"] for name, entry in LOCK.items() if name.split("@")[0] == stage)
    options = re.findall(r" (--\w+)", command)
    assert options
    script = ROOT / "stages" / f"{stage}.py"
    monkeypatch.setattr(sys, "argv", [str(script), "--help"])
    with pytest.raises(SystemExit, match="0"):
        runpy.run_path(str(script), run_name="__main__")
    text = capsys.readouterr().out
    assert all(f"{option} [" in text for option in options)


def test_metrics_and_figures_are_there(finished_study):
    with finished_study.repo() as repo:
        [shown] = repo.metrics.show().values()
    files = {path: entry["data"] for path, entry in shown["data"].items()}
    names = ("preprocess", "train_mlp", "train_cnn", "train_ae", "eval_noise", "report")
    assert set(files) == {f"metrics/{name}.json" for name in names}
    counts = {"training_images": 1000, "validation_images": 300, "test_images": 300}
    assert files["metrics/preprocess.json"] == counts
    autoencoder = {"loss", "validation_loss", "parameters"}
    classifier = autoencoder | {"accuracy", "validation_accuracy", "test_loss", "test_accuracy"}
    assert set(files["metrics/train_ae.json"]) == autoencoder
    assert set(files["metrics/train_mlp.json"]) == classifier
    assert set(files["metrics/train_cnn.json"]) == classifier
    measured = files["metrics/eval_noise.json"]
    assert set(measured) == {"cnn", "mlp"}
    for levels in measured.values():
        assert list(levels) == ["level_0.0", "level_0.5", "level_1.0"]
        assert all(set(level) == {"noisy", "denoised"} for level in levels.values())
    accuracy = files["metrics/train_cnn.json"]["test_accuracy"]
    assert measured["cnn"]["level_0.0"]["noisy"] == pytest.approx(accuracy, abs=1e-5)
    # The names that README.md gives.
    figures = re.findall(r"`(figures?_\S+\.png)`", (ROOT / "README.md").read_text())
    assert len(figures) == 5
    for figure, level in itertools.product(figures, ("0.0", "0.5", "1.0")):
        path = finished_study.folder / "plots/report" / figure.replace("LEVEL", level)
        assert path.is_file(), path


def test_plain_dvc_runs_an_experiment_with_held_out_images(study):
    words = ("--name", "held-out", "--set-param", "preprocess.validation=100", "train_mlp")
    done = study.run("dvc", "exp", "run", *words)
    assert re.findall(r"Running stage '(.+)'", done.stdout) == ["preprocess", "train_mlp"]
    assert "refs/exps/" in study.run("git", "for-each-ref").stdout
    metrics = json.loads((study.folder / "metrics" / "train_mlp.json").read_text())
    assert metrics["validation_accuracy"] != metrics["test_accuracy"]

"""The cache is exactly right: dvc.yaml names what the code imports, and DVC reruns that."""

import ast
import json
import re
import runpy
import sys

import pytest
from conftest import ROOT, read_yaml

PIPELINE = read_yaml(ROOT / "dvc.yaml")["stages"]
LOCK = read_yaml(ROOT / "dvc.lock")["stages"]
TRAININGS = {"train_mlp", "sweep_l2", "train_cnn", "train_ae"}


def find_imports(path):
    """Return the project's own files that the script imports, directly or through another."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        names = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            names = [f"{node.module}.{alias.name}" for alias in node.names] + [node.module]
        for name in names:
            module = ROOT / "stages" / (name.replace(".", "/") + ".py")
            if module.is_file():
                found |= {module.parent / "__init__.py", module, *find_imports(module)}
    return found


def find_code(stage):
    script = ROOT / "stages" / f"{stage}.py"
    return {str(path.relative_to(ROOT)) for path in {script, *find_imports(script)}}


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
    found = {path.stem: set() for path in (ROOT / "stages/common").glob("[a-z]*.py")} | {
        "page": set()
    }
    for stage in PIPELINE:
        for path in find_code(stage) - {"stages/common/__init__.py", f"stages/{stage}.py"}:
            folder, name = re.fullmatch(r"stages/(\w+)/(\w+)\.py", path).groups()
            found["page" if folder == "page" else name].add(stage)
    assert found == expected


@pytest.mark.parametrize(
    "path", ["stages/common/idx.py", "stages/fetch.py", "stages/page/figures.py"]
)
def test_a_changed_file_concerns_the_stages_that_name_it(module_study, path):
    file = module_study.folder / path
    before = file.read_text()
    file.write_text(before + "# A comment.\n")
    changed = module_study.status()
    file.write_text(before)
    assert changed.keys() == {stage for stage in PIPELINE if path in PIPELINE[stage]["deps"]}
    assert all(entry == {"changed deps": {path: "modified"}} for [entry] in changed.values())


@pytest.mark.parametrize("stage", [stage for stage in PIPELINE if stage != "report"])
def test_dvc_keeps_the_outputs_of_each_stage_in_its_run_cache(stage):
    """As it does for outputs in its cache, and for uncached ones that are metrics or plots."""
    outs = PIPELINE[stage].get("outs", [])
    assert all(isinstance(out, str) or list(*out.values()) == ["push"] for out in outs)


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
    names = ("train_mlp", "train_cnn", "train_ae", "eval_noise", "report")
    assert set(files) == {f"metrics/{name}.json" for name in names}
    classifier = {"loss", "accuracy", "validation_loss", "validation_accuracy", "parameters"}
    assert classifier <= set(files["metrics/train_mlp.json"])
    assert classifier <= set(files["metrics/train_cnn.json"])
    assert {"loss", "validation_loss", "parameters"} == set(files["metrics/train_ae.json"])
    measured = files["metrics/eval_noise.json"]
    assert set(measured) == {"cnn", "mlp"}
    for levels in measured.values():
        assert list(levels) == ["level_0.0", "level_0.5", "level_1.0"]
        assert all(set(level) == {"noisy", "denoised"} for level in levels.values())
    assert measured["cnn"]["level_0.0"]["noisy"] == pytest.approx(
        files["metrics/train_cnn.json"]["test_accuracy"], abs=1e-5
    )
    # The names that README.md gives.
    figures = re.findall(r"`(figures?_\S+\.png)`", (ROOT / "README.md").read_text())
    assert len(figures) == 5
    for level in "0.0", "0.5", "1.0":
        for figure in figures:
            path = finished_study.folder / "plots/report" / figure.replace("LEVEL", level)
            assert path.is_file(), path


def test_same_bytes_one_stage_at_a_time(study):
    """The study's first run had two at a time."""
    stages = ["sweep_l2@0.001-1", "train_cnn", "train_ae", "eval_noise"]
    assert study.repro("--force", "--single-item", "--no-run-cache", *stages) == stages
    assert study.run("git", "status", "--porcelain").stdout == ""


def test_plain_dvc_runs_an_experiment_with_held_out_images(study):
    words = ("--name", "held-out", "--set-param", "preprocess.validation=100", "train_mlp")
    done = study.run("dvc", "exp", "run", *words)
    assert re.findall(r"Running stage '(.+)'", done.stdout) == ["preprocess", "train_mlp"]
    assert "refs/exps/" in study.run("git", "for-each-ref").stdout
    metrics = json.loads((study.folder / "metrics" / "train_mlp.json").read_text())
    assert metrics["validation_accuracy"] != metrics["test_accuracy"]

"""The cache is exactly right: dvc.yaml names what the code imports, and DVC reruns that."""

import ast
import json
import re
import shutil
import subprocess
import sys

import pytest
import yaml
from conftest import ROOT, Project

PIPELINE = yaml.safe_load((ROOT / "dvc.yaml").read_text())["stages"]
COMMON = sorted(path.stem for path in (ROOT / "stages" / "common").glob("*.py"))
CELLS = ["1e-06-1", "1e-06-2", "0.001-1", "0.001-2"]


def imported(path):
    """The project's own files that the script at `path` imports, directly or through another."""
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
                found |= {module, *imported(module)}
    return found


def code_of(stage):
    script = ROOT / "stages" / f"{stage}.py"
    return {str(path.relative_to(ROOT)) for path in {script, *imported(script)}}


@pytest.mark.parametrize("stage", PIPELINE)
def test_deps_are_what_the_code_imports(stage):
    named = {path for path in PIPELINE[stage]["deps"] if path.endswith(".py")}
    assert named == code_of(stage)


def test_the_text_and_look_of_the_report_are_its_deps():
    templates = {str(path.relative_to(ROOT)) for path in (ROOT / "stages/page").glob("*.j2")}
    assert templates
    assert {path for path in PIPELINE["report"]["deps"] if path.endswith(".j2")} == templates


@pytest.mark.parametrize("stage", PIPELINE)
def test_every_stage_has_a_script_that_explains_its_parameters(finished_study, stage):
    text = " ".join(finished_study.run("python", f"stages/{stage}.py", "--help").stdout.split())
    command = finished_study.lock().split(f"stages/{stage}.py", 1)[1].split("deps:")[0]
    options = {word for word in command.split() if word.startswith("--")}
    assert options
    assert all(f"{option} [" in text for option in options)


def test_everything_is_produced(finished_study):
    for path in (
        *(f"models/{name}.keras" for name in ("mlp", "cnn", "autoencoder")),
        *(f"metrics/sweep_l2/{cell}.json" for cell in CELLS),
        *(f"plots/sweep_l2/{cell}.csv" for cell in CELLS),
        "plots/report/figure_01_perceptron.png",
        "plots/report/figure_02_sweep.png",
        "plots/report/figure_03_autoencoder.png",
        *(f"plots/eval_noise/figures/figures_04-14_noise_{level}.png" for level in (0.0, 0.5, 1.0)),
        "plots/eval_noise/figures/figure_15_rates.png",
    ):
        assert (finished_study.folder / path).is_file(), path


def test_metrics_hold_what_they_should(finished_study):
    shown = finished_study.run("dvc", "metrics", "show", "--json").stdout
    files = {path: entry["data"] for path, entry in json.loads(shown)[""]["data"].items()}
    classifier = {"loss", "accuracy", "validation_loss", "validation_accuracy", "parameters"}
    assert set(files) == {
        f"metrics/{name}.json"
        for name in ("train_mlp", "train_cnn", "train_ae", "eval_noise", "report")
    }
    assert classifier <= set(files["metrics/train_mlp.json"])
    assert classifier <= set(files["metrics/train_cnn.json"])
    assert {"loss", "validation_loss", "parameters"} == set(files["metrics/train_ae.json"])
    levels = files["metrics/eval_noise.json"]
    assert list(levels) == ["level_0.0", "level_0.5", "level_1.0"]
    for level in levels.values():
        assert set(level) == {"noisy", "noisy_std", "denoised", "denoised_std"}
    report = files["metrics/report.json"]
    assert set(report["sweep"]) == {"factor_1e-06", "factor_0.001"}
    best = max(cell["best"] for cell in report["sweep"].values())
    assert report["best"]["validation_accuracy"] == best
    assert report["best"]["distance_to_hinton"] == pytest.approx(best - 0.9847)
    mlp = report["published"]["mlp_test_loss"]
    assert mlp["this_run"] == files["metrics/train_mlp.json"]["test_loss"]
    assert mlp["difference"] == pytest.approx(mlp["this_run"] - 0.0899)


def test_a_second_repro_runs_nothing(finished_study):
    before = finished_study.lock()
    assert finished_study.repro() == []
    assert finished_study.lock() == before


def test_changed_cnn_parameter(study):
    parameters = study.parameters
    parameters["train_cnn"]["learning_rate"] = 0.05
    study.parameters = parameters
    assert study.repro() == ["train_cnn", "eval_noise", "report"]


@pytest.mark.parametrize("stage", [stage for stage in PIPELINE if stage != "report"])
def test_dvc_keeps_what_each_stage_made_in_its_cache_of_runs(stage):
    """As it does for outputs in its cache, and for uncached ones that are metrics or plots."""
    assert all(isinstance(out, str) for out in PIPELINE[stage].get("outs", []))


def test_values_tried_before_are_not_trained_again(study):
    stages = ["train_mlp", "sweep_l2@0.001-1"]
    parameters = study.parameters
    before = study.lock()
    parameters["train_mlp"]["learning_rate"] = 0.05
    parameters["sweep_l2"]["training"]["learning_rate"] = 0.05
    study.parameters = parameters
    assert study.repro("--single-item", *stages) == stages
    study.run("git", "restore", "params.yaml")
    assert study.repro("--single-item", *stages) == []
    assert study.lock() == before
    assert study.run("git", "status", "--porcelain").stdout == ""


def test_replaced_sweep_factor(study):
    parameters = study.parameters
    parameters["sweep_l2"]["grid"]["factors"] = [1e-6, 0.002]
    study.parameters = parameters
    assert study.repro() == ["sweep_l2@0.002-1", "sweep_l2@0.002-2", "report"]
    report = json.loads((study.folder / "metrics/report.json").read_text())
    assert set(report["sweep"]) == {"factor_1e-06", "factor_0.002"}


def test_comment_in_fetch(study):
    with (study.folder / "stages" / "fetch.py").open("a") as script:
        script.write("# A comment.\n")
    assert study.repro() == ["fetch"]


@pytest.mark.parametrize("module", COMMON)
def test_a_changed_common_module_concerns_its_importers(study, module):
    path = f"stages/common/{module}.py"
    with (study.folder / path).open("a") as file:
        file.write("# A comment.\n")
    changed = json.loads(study.run("dvc", "status", "--json").stdout)
    importers = {stage for stage in PIPELINE if path in code_of(stage)}
    assert {name.split("@")[0] for name in changed} == importers
    assert all(entry == {"changed deps": {path: "modified"}} for [entry] in changed.values())


def test_blast_radius_of_common_modules():
    """A change to the look of figures, or to how networks are saved, must not train the sweep."""
    trains = {"train_mlp", "sweep_l2", "train_cnn", "train_ae"}
    radius = {
        module: {stage for stage in PIPELINE if f"stages/common/{module}.py" in code_of(stage)}
        for module in COMMON
    }
    assert radius["idx"] == {"fetch", "preprocess"}
    assert radius["noise"] == {"train_ae", "eval_noise"}
    assert radius["figures"] == {"eval_noise", "report"}
    assert radius["training"] == trains
    assert radius["models"] & trains == trains - {"sweep_l2"}


def test_one_at_a_time_and_under_load_the_bytes_are_the_same(study):
    """As those of the study's first run, which had two stages at a time."""
    stages = ["train_mlp", "sweep_l2@0.001-1", "train_cnn", "train_ae", "eval_noise"]
    load = subprocess.Popen([sys.executable, "-c", "while True: pass"])
    try:
        ran = study.repro("--force", "--single-item", "--no-run-cache", *stages)
    finally:
        load.kill()
        load.wait()
    assert ran == stages
    assert study.run("git", "status", "--porcelain").stdout == ""


def test_a_bad_parameter_stops_its_stage_and_costs_nothing(study):
    parameters = study.parameters
    parameters["train_cnn"]["epochs"] = "many"
    study.parameters = parameters
    before = study.lock()
    done = study.run("dvc", "repro", "train_cnn", check=False)
    assert done.returncode != 0
    assert "error: train_cnn.epochs = many: passes over the training images" in done.stderr
    assert study.lock() == before
    parameters["train_cnn"]["epochs"] = 2
    study.parameters = parameters
    assert study.repro() == []


def test_branches_compare_on_a_clone_without_cache(study, tmp_path):
    study.run("git", "switch", "--quiet", "--create", "other")
    parameters = study.parameters
    parameters["train_mlp"]["learning_rate"] = 0.05
    study.parameters = parameters
    assert study.repro() == ["train_mlp", "report"]
    study.commit("Slower")
    study.run("git", "switch", "--quiet", "main")
    study.run("git", "clone", "--quiet", "--no-local", ".", str(tmp_path / "clone"))
    clone = Project(tmp_path / "clone")
    clone.run("git", "branch", "other", "origin/other")
    metrics = json.loads(clone.run("dvc", "metrics", "diff", "--json", "main", "other").stdout)
    assert metrics["metrics/train_mlp.json"]["loss"]["diff"] > 0
    assert "metrics/train_cnn.json" not in metrics
    changes = json.loads(clone.run("dvc", "params", "diff", "--json", "main", "other").stdout)
    assert changes["params.yaml"]["train_mlp.learning_rate"] == {
        "old": 0.1,
        "new": 0.05,
        "diff": pytest.approx(-0.05),
    }
    clone.run("dvc", "plots", "diff", "main", "other")
    page = (clone.folder / "dvc_plots" / "index.html").read_text()
    for name in ("perceptron_accuracy", "figure_01_perceptron.png"):
        assert name in page or name.replace("_", " ") in page


def test_an_experiment_trains_what_its_parameter_concerns(study):
    ran = study.run("dvc", "exp", "run", "--name", "slow", "-S", "train_mlp.learning_rate=0.05")
    assert re.findall(r"Running stage '(.+)'", ran.stdout) == ["train_mlp", "report"]
    shown = study.run("dvc", "exp", "show", "--only-changed", "--csv").stdout
    assert "slow" in shown
    study.run("dvc", "exp", "branch", "slow", "slower")
    changes = json.loads(study.run("dvc", "params", "diff", "--json", "main", "slower").stdout)
    assert set(changes["params.yaml"]) == {"train_mlp.learning_rate"}


def test_plots_show_draws_every_chart_and_figure(study):
    shown = json.loads(study.run("dvc", "plots", "show", "--json").stdout)
    assert shown.get("errors", []) == []
    charts = {name for name, plots in shown["data"].items() if plots}
    assert {
        "perceptron_accuracy",
        "cnn_accuracy",
        "autoencoder_loss",
        "weight_decay_sweep",
        "noise_rates",
        "plots/train_cnn/predictions.csv",
    } <= {name.split("::")[-1] for name in charts}
    study.run("dvc", "plots", "show")
    images = {path.name for path in (study.folder / "dvc_plots" / "static").iterdir()}
    pngs = list((study.folder / "plots").rglob("*.png"))
    assert len(images) == len(pngs)
    shutil.rmtree(study.folder / "dvc_plots")


def test_held_out_validation_runs_too(study):
    parameters = study.parameters
    parameters["preprocess"]["validation"] = 100
    study.parameters = parameters
    study.repro("train_mlp")
    metrics = json.loads((study.folder / "metrics" / "train_mlp.json").read_text())
    assert metrics["validation_accuracy"] != metrics["test_accuracy"]

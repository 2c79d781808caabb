"""The cache is exactly right: dvc.yaml names what the code imports, and DVC reruns that."""

import ast
import json
import re
import subprocess
import sys

import pytest
from conftest import ROOT, Project, read_yaml

PIPELINE = read_yaml(ROOT / "dvc.yaml")["stages"]
MODULES = sorted(path.stem for path in (ROOT / "stages" / "common").glob("[a-z]*.py"))
CELLS = ["1e-06-1", "1e-06-2", "0.001-1", "0.001-2"]
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


def test_deps_of_the_report_hold_all_files_of_the_page():
    page = {str(path.relative_to(ROOT)) for path in (ROOT / "stages/page").glob("*.*")}
    assert page <= set(PIPELINE["report"]["deps"])


def test_no_import_stands_inside_a_function():
    """Then the head of a script is its list of deps. ruff checks the same (PLC0415)."""
    for path in (ROOT / "stages").rglob("*.py"):
        tree = ast.parse(path.read_text())
        nested = [node for node in ast.walk(tree) if isinstance(node, ast.Import | ast.ImportFrom)]
        assert set(nested) == {node for node in tree.body if node in nested}, path


def stages_that_import(module):
    return {stage for stage in PIPELINE if f"stages/common/{module}.py" in find_code(stage)}


def test_table_of_what_a_change_reruns():
    """The table in docs/design.md."""
    assert stages_that_import("idx") == {"fetch", "preprocess"}
    assert stages_that_import("cells") == {"sweep_l2", "report"}
    assert stages_that_import("noise") == {"train_cnn", "train_ae", "eval_noise"}
    assert stages_that_import("training") == TRAININGS
    assert stages_that_import("classifier") == TRAININGS - {"train_ae"}
    assert stages_that_import("models") == TRAININGS - {"sweep_l2"}
    assert stages_that_import("runtime") == TRAININGS | {"eval_noise"}
    assert stages_that_import("parameters") == set(PIPELINE)


@pytest.mark.parametrize("module", MODULES)
def test_changed_common_module_concerns_its_importers(finished_study, study, module):
    path = f"stages/common/{module}.py"
    with (study.folder / path).open("a") as file:
        file.write("# A comment.\n")
    changed = json.loads(study.run("dvc", "status", "--json").stdout)
    assert {name.split("@")[0] for name in changed} == stages_that_import(module)
    assert all(entry == {"changed deps": {path: "modified"}} for [entry] in changed.values())


def test_changed_style_of_figures_reruns_the_report_alone(study):
    with (study.folder / "stages/page/figures.py").open("a") as file:
        file.write("# A comment.\n")
    assert study.repro() == ["report"]


@pytest.mark.parametrize("stage", PIPELINE)
def test_help_explains_every_parameter(finished_study, stage):
    name = "sweep_l2@0.001-1" if stage == "sweep_l2" else stage
    options = [word for word in finished_study.command(name) if word.startswith("--")]
    assert options
    text = finished_study.run("python", f"stages/{stage}.py", "--help").stdout
    assert all(f"{option} [" in text for option in options)


def test_everything_is_produced(finished_study):
    for path in (
        *(f"models/{name}.keras" for name in ("mlp", "cnn", "autoencoder")),
        *(f"metrics/sweep_l2/{cell}.json" for cell in CELLS),
        *(f"plots/sweep_l2/{cell}.csv" for cell in CELLS),
        "plots/report/figure_01_perceptron.png",
        "plots/report/figure_02_sweep.png",
        "plots/report/figure_03_autoencoder.png",
        *(f"plots/report/figures_04-14_noise_{level}.png" for level in (0.0, 0.5, 1.0)),
        "plots/report/figure_15_rates.png",
        "report.html",
    ):
        assert (finished_study.folder / path).is_file(), path


def test_metrics_hold_what_they_should(finished_study):
    shown = finished_study.run("dvc", "metrics", "show", "--json").stdout
    files = {path: entry["data"] for path, entry in json.loads(shown)[""]["data"].items()}
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


def test_second_repro_runs_nothing(finished_study):
    before = finished_study.lock()
    assert finished_study.repro() == []
    assert finished_study.lock() == before


def test_changed_parameter_reruns_what_depends_on_it(study):
    study.change(train_cnn__learning_rate=0.05)
    assert study.repro() == ["train_cnn", "eval_noise", "report"]


@pytest.mark.parametrize("stage", [stage for stage in PIPELINE if stage != "report"])
def test_dvc_keeps_the_outputs_of_each_stage_in_its_run_cache(stage):
    """As it does for outputs in its cache, and for uncached ones that are metrics or plots."""
    outs = PIPELINE[stage].get("outs", [])
    assert all(isinstance(out, str) or list(*out.values()) == ["push"] for out in outs)


def test_values_tried_before_are_not_trained_again(study):
    stages = ["train_mlp", "sweep_l2@0.001-1"]
    before = study.lock()
    study.change(train_mlp__learning_rate=0.05, sweep_l2__training__learning_rate=0.05)
    assert study.repro("--single-item", *stages) == stages
    study.run("git", "restore", "params.yaml")
    assert study.repro("--single-item", *stages) == []
    assert study.lock() == before
    assert study.run("git", "status", "--porcelain").stdout == ""


def test_comment_in_fetch_reruns_fetch_alone(study):
    with (study.folder / "stages" / "fetch.py").open("a") as script:
        script.write("# A comment.\n")
    assert study.repro() == ["fetch"]


def test_same_bytes_one_at_a_time_and_under_load(study):
    """The study's first run had two stages at a time."""
    stages = ["train_mlp", "sweep_l2@0.001-1", "train_cnn", "train_ae", "eval_noise"]
    load = subprocess.Popen([sys.executable, "-c", "while True: pass"])
    try:
        ran = study.repro("--force", "--single-item", "--no-run-cache", *stages)
    finally:
        load.kill()
        load.wait()
    assert ran == stages
    assert study.run("git", "status", "--porcelain").stdout == ""


def test_refused_parameter_stops_its_stage_and_costs_nothing(study):
    study.change(train_cnn__epochs="many")
    before = study.lock()
    done = study.run("dvc", "repro", "train_cnn", check=False)
    assert done.returncode != 0
    assert "error: train_cnn.epochs = many: passes over the training images" in done.stderr
    assert study.lock() == before
    study.change(train_cnn__epochs=2)
    assert study.repro() == []


def test_branches_compare_in_a_clone_without_cache(study, tmp_path):
    study.run("git", "switch", "--quiet", "--create", "other")
    study.change(train_mlp__learning_rate=0.05)
    assert study.repro() == ["train_mlp", "eval_noise", "report"]
    study.commit("Slower")
    study.run("git", "switch", "--quiet", "main")
    study.run("git", "clone", "--quiet", "--no-local", ".", str(tmp_path / "clone"))
    clone = Project(tmp_path / "clone")
    clone.run("git", "branch", "other", "origin/other")
    metrics = json.loads(clone.run("dvc", "metrics", "diff", "--json", "main", "other").stdout)
    assert metrics["metrics/train_mlp.json"]["loss"]["diff"] > 0
    assert "metrics/train_cnn.json" not in metrics
    changes = json.loads(clone.run("dvc", "params", "diff", "--json", "main", "other").stdout)
    change = {"old": 0.1, "new": 0.05, "diff": pytest.approx(-0.05)}
    assert changes["params.yaml"]["train_mlp.learning_rate"] == change
    clone.run("dvc", "plots", "diff", "main", "other")
    page = (clone.folder / "dvc_plots" / "index.html").read_text()
    assert '"rev": "other"' in page


def test_experiment_trains_what_its_parameter_concerns(study):
    ran = study.run("dvc", "exp", "run", "--name", "slow", "-S", "train_mlp.learning_rate=0.05")
    stages = re.findall(r"Running stage '(.+)'", ran.stdout)
    assert stages == ["train_mlp", "eval_noise", "report"]
    assert "slow" in study.run("dvc", "exp", "show", "--only-changed", "--csv").stdout


def test_held_out_validation_differs_from_the_test(study):
    study.change(preprocess__validation=100)
    study.repro("train_mlp")
    metrics = json.loads((study.folder / "metrics" / "train_mlp.json").read_text())
    assert metrics["validation_accuracy"] != metrics["test_accuracy"]

"""The cache is exactly right: dvc.yaml names what the code imports and reads, and no more."""

import importlib
import modulefinder
from pathlib import Path

import pytest
from conftest import ROOT, read_yaml

from check_params import find_classes

STAGES = ROOT / "stages"
PIPELINE = read_yaml(ROOT / "dvc.yaml")["stages"]
PARAMS = read_yaml(ROOT / "params.yaml")
REPORTING = "stages/reporting"


def find_code(stage: str) -> set[str]:
    """Return a stage's script and what it imports of stages/, directly or not."""
    finder = modulefinder.ModuleFinder([str(STAGES)])
    finder.run_script(str(STAGES / f"{stage}.py"))
    paths = [module.__file__ for module in finder.modules.values() if module.__file__]
    return {Path(path).relative_to(ROOT).as_posix() for path in paths}


def find_params(stage: str) -> set[str]:
    """Return what the parameter classes of a stage's script read of params.yaml."""
    importlib.import_module(stage)
    classes = [found for found in find_classes() if found.__module__ == stage]
    return {word for found in classes for word in (found.section, *found.shared)}


@pytest.mark.parametrize("stage", PIPELINE)
def test_deps_are_what_the_code_imports(stage):
    """The folder stages/reporting is one dependency."""
    deps, code = set(PIPELINE[stage]["deps"]), find_code(stage)
    files = {path for path in code if not path.startswith(f"{REPORTING}/")}
    assert {path for path in deps if path.endswith(".py")} == files
    assert (REPORTING in deps) == (files != code)
    assert ("versions.txt" in deps) == ("stages/common/runtime.py" in files)


@pytest.mark.parametrize(
    "stage", [name for name in PIPELINE if "stages/common/params.py" in PIPELINE[name]["deps"]]
)
def test_params_are_what_the_script_reads(stage):
    """The report states the whole file, but for where the images come from."""
    declared, read = set(PIPELINE[stage]["params"]), find_params(stage)
    if stage == "report":
        assert declared == PARAMS.keys() - {"fetch"}
        assert {word.split(".")[0] for word in read} <= declared
    else:
        assert declared == read


def test_eval_noise_depends_on_the_networks_that_it_loads():
    deps = {path for path in PIPELINE["eval_noise"]["deps"] if path.startswith("models/")}
    assert deps == {"models/autoencoder.keras", "models/${eval_noise.classifier}.keras"}

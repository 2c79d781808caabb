"""Settings from outside, and other package versions, change no result silently."""

import hashlib
import os

import pytest
from conftest import ROOT, Project

from common import environment

# Each of these once changed bytes, or ended a stage with a traceback.
DROPPED = {
    "DNNL_MAX_CPU_ISA": "SSE41",
    "KERAS_BACKEND": "jax",
    "ONEDNN_DEFAULT_FPMATH_MODE": "BF16",
    "ONEDNN_MAX_CPU_ISA": "SSE41",
    "TF2_BEHAVIOR": "0",
    "TF_ENABLE_ONEDNN_OPTS": "0",
    "TF_USE_LEGACY_KERAS": "1",
    "TF_XLA_FLAGS": "--tf_xla_auto_jit=2",
    "XLA_FLAGS": "--xla_cpu_enable_fast_math=true --xla_cpu_use_onednn=false",
}
IGNORED = {
    "CUDA_VISIBLE_DEVICES": "0",
    "LC_ALL": "C",
    "OMP_NUM_THREADS": "3",
    "PYTHONHASHSEED": "1",
    "PYTHONOPTIMIZE": "2",
    "PYTHONSAFEPATH": "1",
    "PYTHONUTF8": "0",
    "PYTHONWARNINGS": "error",
    "TZ": "Pacific/Kiritimati",
}
HOME = {
    ".keras/keras.json": '{"floatx": "float16", "backend": "torch"}',
    "modules/common/__init__.py": "raise SystemExit('wrong module')",
    "modules/page.py": "raise SystemExit('wrong module')",
}


@pytest.fixture
def hostile(tmp_path):
    """Return the settings of a user whose every file and variable is in the way."""
    for name, text in HOME.items():
        path = tmp_path / "home" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    folders = {"HOME": str(tmp_path / "home"), "PYTHONPATH": str(tmp_path / "home" / "modules")}
    return DROPPED | IGNORED | folders


def hash_outputs(study: Project) -> dict:
    files = [path for name in ("models", "plots") for path in (study.folder / name).rglob("*.*")]
    return {path: hashlib.md5(path.read_bytes()).hexdigest() for path in files}


@pytest.mark.parametrize("stage", ["train_mlp", "train_cnn", "report"])
def test_hostile_settings_change_no_byte(study, hostile, stage):
    """XLA compiles the perceptron, oneDNN computes the convolutions."""
    before = hash_outputs(study)
    settings = [f"{name}={value}" for name, value in hostile.items()]
    study.run("env", *settings, *study.command(stage))
    assert hash_outputs(study) == before


def test_settings_are_dropped_before_a_library_reads_them():
    settings = [f"{name}={value}" for name, value in DROPPED.items()]
    script = "from common import environment; import os; print(*os.environ)"
    command = ["env", "PYTHONPATH=stages", *settings, "python", "-c", script]
    assert set(DROPPED).isdisjoint(Project(ROOT).run(*command).stdout.split())


@pytest.mark.parametrize("name", ["NPY_DISABLE_CPU_FEATURES", "OPENBLAS_CORETYPE"])
def test_setting_that_numpy_has_read_is_refused(monkeypatch, name):
    monkeypatch.setitem(os.environ, name, "AVX2")
    with pytest.raises(SystemExit, match=f"^error: the environment variable {name} can change"):
        environment.check()


@pytest.mark.parametrize(
    ("text", "said"),
    [("numpy==0.1", r"numpy [\d.]+ is installed"), ("no-such==1.0", "no-such none is installed")],
)
def test_other_package_versions_are_refused(tmp_path, monkeypatch, text, said):
    (tmp_path / "versions.txt").write_text(text)
    monkeypatch.setattr(environment, "VERSIONS", tmp_path / "versions.txt")
    with pytest.raises(SystemExit, match=f"^error: {said}, but .*make environment"):
        environment.check()


def test_changed_version_reruns_every_stage_that_computes(study):
    with (study.folder / "versions.txt").open("a") as versions:
        versions.write("dvc==0.1\n")
    done = study.run("dvc", "repro", "train_mlp", check=False)
    assert "error: dvc 3." in done.stderr
    assert "Traceback" not in done.stderr


def test_versions_are_those_of_the_full_set():
    pinned = environment.VERSIONS.with_name("requirements.lock").read_text()
    for line in environment.VERSIONS.read_text().split():
        assert f"\n{line} " in pinned

"""Settings from outside, and other package versions, change no result silently."""

import importlib
import os
import re

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
IGNORED = """
    CUDA_VISIBLE_DEVICES=0 LC_ALL=C OMP_NUM_THREADS=3 PYTHONHASHSEED=1 PYTHONOPTIMIZE=2
    PYTHONSAFEPATH=1 PYTHONUTF8=0 PYTHONWARNINGS=error TZ=Pacific/Kiritimati
"""
HOME = {
    ".keras/keras.json": '{"floatx": "float16", "backend": "torch"}',
    "modules/common/__init__.py": "raise SystemExit('wrong module')",
    "modules/page.py": "raise SystemExit('wrong module')",
}
# XLA compiles the perceptrons and the autoencoder, oneDNN computes the convolutions.
STAGES = ("preprocess", "sweep_l2@0.001-1", "train_cnn", "train_ae", "eval_noise", "report")


def test_hostile_settings_and_one_stage_at_a_time_change_no_byte(study: Project, tmp_path):
    """The study's first run had two stages at a time."""
    for name, text in HOME.items():
        path = tmp_path / "home" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    home = {"HOME": tmp_path / "home", "PYTHONPATH": tmp_path / "home/modules"}
    settings = IGNORED.split() + [f"{name}={value}" for name, value in (DROPPED | home).items()]
    before = study.folder.stat().st_ctime
    for stage in STAGES:
        study.run("env", *settings, *study.command(stage))
    assert study.status() == {}
    made = [study.folder / path for path in ("models/cnn.keras", "report.html")]
    assert all(path.stat().st_mtime > before for path in made)


def test_settings_are_dropped_before_a_library_reads_them(monkeypatch):
    for name, value in DROPPED.items():
        monkeypatch.setenv(name, value)
    importlib.reload(environment)
    assert DROPPED.keys().isdisjoint(os.environ)


@pytest.mark.parametrize("name", ["NPY_DISABLE_CPU_FEATURES", "OPENBLAS_CORETYPE"])
def test_setting_that_numpy_has_read_is_refused(monkeypatch, name):
    monkeypatch.setenv(name, "AVX2")
    with pytest.raises(SystemExit, match=f"^error: the environment variable {name} can change"):
        environment.check()


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("dvc==0.1", r"dvc 3\.[\d.]+ is installed, but versions.txt says 0.1; "),
        ("no-such==1.0", "no-such none is installed, but versions.txt says 1.0; "),
    ],
)
def test_other_package_versions_are_refused(module_study, line, said):
    versions = module_study.folder / "versions.txt"
    before = versions.read_text()
    versions.write_text(before + line)
    done = module_study.run(*module_study.command("preprocess"), check=False)
    versions.write_text(before)
    assert re.fullmatch(f"error: {said}install it with make environment, or .*\n", done.stderr)


def test_versions_are_those_of_the_full_set():
    pinned = (ROOT / "requirements.lock").read_text()
    for line in (ROOT / "versions.txt").read_text().split():
        assert f"\n{line} " in pinned

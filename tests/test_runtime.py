"""Settings from outside, and other package versions, change no result silently."""

from pathlib import Path

import pytest
from conftest import ROOT

from common import runtime

# Each of these once changed bytes, or ended a stage with a traceback.
HOSTILE = {
    "CUDA_VISIBLE_DEVICES": "0",
    "DNNL_MAX_CPU_ISA": "SSE41",
    "KERAS_BACKEND": "jax",
    "LC_ALL": "C",
    "MPLBACKEND": "module://matplotlib_inline.backend_inline",
    "OMP_NUM_THREADS": "3",
    "ONEDNN_DEFAULT_FPMATH_MODE": "BF16",
    "OPENBLAS_CORETYPE": "Haswell",
    "OPENBLAS_NUM_THREADS": "1",
    "PYTHONHASHSEED": "1",
    "PYTHONUTF8": "0",
    "TF_ENABLE_ONEDNN_OPTS": "0",
    "TF_USE_LEGACY_KERAS": "1",
    "TF_XLA_FLAGS": "--tf_xla_auto_jit=2",
    "TZ": "Pacific/Kiritimati",
    "XLA_FLAGS": "--xla_cpu_enable_fast_math=true --xla_cpu_use_onednn=false",
}


def test_no_setting_changes_a_byte(study, tmp_path):
    """Of a network that XLA computes, one that oneDNN computes, and what is made of them."""
    (tmp_path / ".keras").mkdir()
    settings = '{"floatx": "float16", "backend": "torch"}'
    (tmp_path / ".keras/keras.json").write_text(settings, encoding="utf-8")
    home = {"HOME": str(tmp_path), "USERPROFILE": str(tmp_path)}
    before = study.folder.stat().st_ctime
    for stage in "train_mlp", "train_cnn", "eval_noise", "report":
        study.run("python", f"stages/{stage}.py", env=HOSTILE | home)
    assert study.status() == {}
    assert (study.folder / "models/cnn.keras").stat().st_mtime > before


def test_other_package_versions_are_refused(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    committed = (ROOT / "versions.txt").read_text(encoding="utf-8")
    Path("versions.txt").write_text(committed, encoding="utf-8")
    runtime.check_versions()
    Path("versions.txt").write_text(committed + "dvc==0.1", encoding="utf-8")
    said = r"error: dvc 3\.[\d.]+ is installed, but versions.txt says 0.1; install it with make env"
    with pytest.raises(SystemExit, match=said):
        runtime.check_versions()

"""What users, disks and machines do wrong costs one line, and nothing that was finished."""

import os
import shlex
import shutil
import subprocess
import sys

import pytest
from conftest import ROOT, Project, copy_finished

from preprocess import PreprocessParameters


def one_line(done: subprocess.CompletedProcess) -> str:
    """Return the only line that a command printed about its failure."""
    assert done.returncode != 0
    [line] = [line for line in done.stderr.splitlines() if line.startswith("error: ")]
    assert "Traceback" not in done.stderr
    return line


def test_interrupted_stage_says_so(monkeypatch, finished_study):
    def interrupt(_):
        raise KeyboardInterrupt

    monkeypatch.chdir(finished_study.folder)
    monkeypatch.setattr(sys, "argv", finished_study.command("preprocess")[2:])
    with pytest.raises(SystemExit, match=r"^error: preprocess: interrupted; repeat"):
        PreprocessParameters.run(interrupt, "")


@pytest.mark.parametrize(
    ("stage", "before", "said"),
    [
        ("train_mlp", "ulimit -f 200", "File too large"),  # blocks of 1024 bytes
        ("report", "ln -sf /dev/full metrics/report.json", "No space left on device"),
        ("report", "rm -r plots/report; touch plots/report", "plots/report: File exists"),
    ],
)
def test_output_that_cannot_be_written_costs_one_line(study, stage, before, said):
    networks = sorted((study.folder / "models").iterdir())
    command = f"{before}; exec {shlex.join(study.command(stage))}"
    line = one_line(study.run("bash", "-c", command, check=False))
    assert line == f"error: {stage}: {said}; put that right, then repeat the command"
    assert sorted((study.folder / "models").iterdir()) == networks


def test_any_folder_owner_and_locale_without_a_display(finished_study, tmp_path):
    """A name that needs quoting and is not ASCII; another working directory, no terminal."""
    folder = tmp_path / "Größe & Maß" / "my study"
    elsewhere = copy_finished(finished_study, folder)
    elsewhere.change(eval_noise__seed=1)
    if os.geteuid() == 0:  # only root can give files to another user
        for path in (folder, *folder.rglob("*")):
            os.chown(path, 65534, 65534, follow_symlinks=False)
    without = ("--unset", "DISPLAY", "--unset", "WAYLAND_DISPLAY", "--unset", "LANG", "LC_ALL=C")
    elsewhere.run("env", "--chdir", "/", *without, "python", folder / "tools" / "repro.py")
    assert elsewhere.status() == {}
    report = (folder / "report.md").read_text(encoding="utf-8")
    assert not report.isascii()
    assert report != (finished_study.folder / "report.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("version", [(3, 9), (3, 14)])
def test_unsupported_python_is_refused(tmp_path, version):
    """The check of the Makefile, on a stand-in that says it is another version."""
    fake = tmp_path / "python"
    pretend = f"import sys\nsys.version_info = {version}\nexec(sys.argv[2])\n"
    fake.write_text(f"#!{sys.executable}\n{pretend}")
    fake.chmod(0o755)
    for name in ("Makefile", "requirements.lock"):
        shutil.copy(ROOT / name, tmp_path)
    done = Project(tmp_path).run("make", "environment", f"PYTHON={fake}", check=False)
    said = "error: Python 3.10 to 3.13 is needed; name one: make PYTHON=python3.12"
    assert one_line(done) == said
    assert not (tmp_path / ".venv").exists()


FAILURES = {
    "train_cnn": (
        {"train_cnn__epochs": "many"},
        "train_cnn.epochs = many: passes over the training images",
    ),
    "sweep_l2": (
        {"sweep_l2__grid__factors": ["0.001$(touch ran)"]},
        "sweep_l2.grid.factors = 0.001$(touch ran): ",
    ),
    "sweep_l2@1.0-1": (
        {"sweep_l2__grid__factors": [1.0], "sweep_l2__training__learning_rate": 100},
        "the loss is no longer finite in epoch 1: training diverges. "
        "Nothing is saved; choose a smaller learning_rate",
    ),
}


def test_stage_that_fails_costs_one_line_and_nothing_else(study):
    lock, parameters = study.lock(), study.parameters
    for stage, (change, said) in FAILURES.items():
        study.change(**change)
        done = study.run("dvc", "repro", "--single-item", stage, check=False)
        assert one_line(done).startswith(f"error: {said}")
        study.parameters = parameters
    made = study.run("git", "ls-files", "--others").stdout.splitlines()
    assert not [path for path in made if path == "ran" or "sweep_l2/1.0" in path]
    assert study.repro() == []
    assert study.lock() == lock


def test_damaged_outputs_and_cache_are_restored(study):
    lock = study.lock()
    metrics, model = study.folder / "metrics/train_cnn.json", study.folder / "models/mlp.keras"
    honest = [path.read_bytes() for path in (metrics, model)]
    metrics.write_bytes(honest[0].replace(b'"accuracy": 0', b'"accuracy": 9'))
    changed = study.status()["train_cnn"]
    assert {"changed outs": {"metrics/train_cnn.json": "modified"}} in changed

    digest = lock.split("path: models/mlp.keras")[1].split("md5: ")[1][:32]
    cached = study.folder / ".dvc/cache/files/md5" / digest[:2] / digest[2:]
    cached.chmod(0o644)
    cached.write_bytes(honest[1][:-1000])
    model.unlink()
    # What is in the cache is restored without training.
    assert study.repro() == ["train_mlp"]
    assert [path.read_bytes() for path in (metrics, model)] == honest
    assert cached.read_bytes() == honest[1]
    assert study.lock() == lock

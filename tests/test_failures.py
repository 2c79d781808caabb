"""What users, disks and machines do wrong costs one line, and nothing that was finished."""

import os
import shlex
import shutil
import subprocess
import sys

import pytest
from conftest import ROOT, Project, copy_finished

from common.parameters import Parameters


def one_line(done: subprocess.CompletedProcess) -> str:
    """Return the only line that a command printed about its failure."""
    assert done.returncode != 0
    [line] = [line for line in done.stderr.splitlines() if line.startswith("error: ")]
    assert "Traceback" not in done.stderr
    return line


class Nothing(Parameters, section="nothing"):
    pass


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (OSError(28, "No space left on device"), "No space left on device; put that right, then"),
        (PermissionError(13, "Permission denied", "metrics/x"), "metrics/x: Permission denied; "),
        (KeyboardInterrupt(), "interrupted; nothing of this stage was saved"),
    ],
)
def test_failure_of_the_machine_is_one_line(monkeypatch, error, said):
    def main(_):
        raise error

    monkeypatch.setattr(Nothing, "parse", lambda *_: None)
    monkeypatch.setattr(sys, "argv", [f"{ROOT}/stages/train_mlp.py", "--some"])
    monkeypatch.chdir(ROOT)
    with pytest.raises(SystemExit) as stop:
        Nothing.run(main, "")
    assert stop.value.code.startswith(f"error: train_mlp: {said}")


@pytest.mark.parametrize(
    ("before", "said"),
    [
        ("ulimit -f 200", "File too large"),  # blocks of 1024 bytes; the network has more
        ("ln -sf /dev/full metrics/train_mlp.json", "No space left on device"),
        ("rm -r plots/train_mlp; touch plots/train_mlp", "plots/train_mlp: File exists; "),
    ],
)
def test_output_that_cannot_be_written_costs_one_line(study, before, said):
    networks = sorted((study.folder / "models").iterdir())
    command = f"{before}; exec {shlex.join(study.command('train_mlp'))}"
    line = one_line(study.run("bash", "-c", command, check=False))
    assert line.startswith("error: train_mlp: ")
    assert said in line
    assert sorted((study.folder / "models").iterdir()) == networks


def test_any_folder_owner_and_locale_without_a_display(finished_study, tmp_path):
    """A name that needs quoting and is not ASCII; another working directory, no terminal."""
    folder = tmp_path / "Größe & Maß" / "my study"
    elsewhere = copy_finished(finished_study, folder)
    elsewhere.change(train_mlp__learning_rate=0.05)
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
    fake.write_text(
        f"#!{sys.executable}\nimport sys\nsys.version_info = {version}\nexec(sys.argv[2])\n"
    )
    fake.chmod(0o755)
    for name in ("Makefile", "requirements.lock"):
        shutil.copyfile(ROOT / name, tmp_path / name)
    done = Project(tmp_path).run("make", "environment", f"PYTHON={fake}", check=False)
    said = "error: Python 3.10 to 3.13 is needed; name one: make PYTHON=python3.12"
    assert one_line(done) == said
    assert not (tmp_path / ".venv").exists()


@pytest.mark.parametrize(
    ("stage", "change", "said"),
    [
        (
            "train_cnn",
            {"train_cnn__epochs": "many"},
            "train_cnn.epochs = many: passes over the training images",
        ),
        (
            "sweep_l2",
            {"sweep_l2__grid__factors": ["0.001$(touch ran)"]},
            "sweep_l2.grid.factors = 0.001$(touch ran): ",
        ),
        (
            "sweep_l2@1.0-1",
            {"sweep_l2__grid__factors": [1.0], "sweep_l2__training__learning_rate": 100},
            "the loss is no longer finite in epoch 1: training diverges. "
            "Nothing is saved; choose a smaller learning_rate",
        ),
    ],
)
def test_stage_that_fails_costs_one_line_and_nothing_else(study, stage, change, said):
    before = study.lock()
    study.change(**change)
    done = study.run("dvc", "repro", stage, check=False)
    assert one_line(done).startswith(f"error: {said}")
    assert study.lock() == before
    made = study.run("git", "ls-files", "--others").stdout.splitlines()
    assert not [path for path in made if path == "ran" or "sweep_l2/1.0" in path]
    study.run("git", "restore", "params.yaml")
    assert study.repro(stage.split("@")[0]) == []


def test_output_edited_by_hand_is_noticed_and_restored(study):
    path = study.folder / "metrics" / "train_mlp.json"
    honest = path.read_text()
    path.write_text(honest.replace('"accuracy": 0', '"accuracy": 9'))
    changed = study.status()["train_mlp"]
    assert {"changed outs": {"metrics/train_mlp.json": "modified"}} in changed
    assert study.repro() == []
    assert path.read_text() == honest


def test_corrupted_cache_object_is_made_again(study):
    lock = study.lock()
    model = study.folder / "models" / "mlp.keras"
    honest = model.read_bytes()
    digest = lock.split("path: models/mlp.keras")[1].split("md5: ")[1][:32]
    cached = study.folder / ".dvc/cache/files/md5" / digest[:2] / digest[2:]
    cached.chmod(0o644)
    cached.write_bytes(honest[:-1000])
    model.unlink()
    assert study.repro() == ["train_mlp"]
    assert model.read_bytes() == cached.read_bytes() == honest
    assert study.lock() == lock

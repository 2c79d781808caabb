"""What users, disks and machines do wrong costs one line, and nothing that was finished."""

import json
import os
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


# The machine


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


@pytest.mark.parametrize("path", ["models/mlp.keras", "metrics/train_mlp.json"])
def test_no_space_for_an_output(study, path):
    """Of the device that is always full, and of the largest file that the system allows."""
    before = sorted((study.folder / "models").iterdir())
    limit = ""
    if path.startswith("models"):
        limit = "ulimit -f 200;"  # blocks of 1024 bytes; the network has more
    else:
        (study.folder / path).unlink()
        (study.folder / path).symlink_to("/dev/full")
    shell = f"{limit} exec {' '.join(study.command('train_mlp'))}"
    line = one_line(study.run("bash", "-c", shell, check=False))
    assert line.startswith("error: train_mlp: ")
    assert "No space left on device" in line or "File too large" in line
    assert sorted((study.folder / "models").iterdir()) == before


def test_file_in_place_of_a_folder_is_named(study):
    shutil.rmtree(study.folder / "plots" / "train_mlp")
    (study.folder / "plots" / "train_mlp").write_text("in the way")
    line = one_line(study.run(*study.command("train_mlp"), check=False))
    assert line.startswith("error: train_mlp: plots/train_mlp: File exists; ")


def test_any_folder_locale_and_no_display(finished_study, tmp_path):
    """A name that needs quoting and is not ASCII; another working directory, no terminal."""
    folder = tmp_path / "Größe & Maß" / "my study"
    copy_finished(finished_study, folder)
    elsewhere = Project(folder)
    elsewhere.change(train_mlp__learning_rate=0.05)
    without = ("--unset", "DISPLAY", "--unset", "WAYLAND_DISPLAY", "--unset", "LANG", "LC_ALL=C")
    elsewhere.run("env", "--chdir", "/", *without, "python", folder / "tools" / "repro.py")
    assert elsewhere.run("dvc", "status").stdout == "Data and pipelines are up to date.\n"


def test_report_is_utf8_where_the_locale_is_not(study):
    before = (study.folder / "report.md").read_bytes()
    assert not before.isascii()
    (study.folder / "report.md").unlink()
    ascii_only = ("LC_ALL=C", "PYTHONUTF8=0", "PYTHONCOERCECLOCALE=0")
    study.run("env", *ascii_only, *study.command("report"))
    assert (study.folder / "report.md").read_bytes() == before


def test_clone_of_another_user_runs(study):
    if os.geteuid():
        pytest.skip("only root can give files to another user")
    for path in (study.folder, *study.folder.rglob("*")):
        os.chown(path, 65534, 65534, follow_symlinks=False)
    study.run("python", "tools/repro.py")


@pytest.mark.parametrize("version", [(3, 9), (3, 14)])
def test_unsupported_python_is_refused(tmp_path, version):
    """The check of the Makefile, on a stand-in that says it is another version."""
    fake = tmp_path / "python"
    fake.write_text(
        f"#!{sys.executable}\nimport sys\nsys.version_info = {version}\nexec(sys.argv[2])\n"
    )
    fake.chmod(0o755)
    folder = tmp_path / "study"
    folder.mkdir()
    for name in ("Makefile", "requirements.lock"):
        shutil.copyfile(ROOT / name, folder / name)
    done = Project(folder).run("make", "environment", f"PYTHON={fake}", check=False)
    said = "error: Python 3.10 to 3.13 is needed; name one: make PYTHON=python3.12"
    assert one_line(done) == said
    assert not (folder / ".venv").exists()


# Training


def test_diverging_training_leaves_nothing(study):
    study.change(sweep_l2__grid__factors=[1.0], sweep_l2__training__learning_rate=100)
    done = study.run("dvc", "repro", "sweep_l2@1.0-1", check=False)
    assert one_line(done) == (
        "error: the loss is no longer finite in epoch 1: training diverges. "
        "Nothing is saved; choose a smaller learning_rate"
    )
    assert not (study.folder / "metrics/sweep_l2/1.0-1.json").exists()
    assert not (study.folder / "plots/sweep_l2/1.0-1.csv").exists()


def test_shell_text_in_a_factor_is_not_run(study):
    study.change(sweep_l2__grid__factors=["0.001$(touch ran)"])
    done = study.run("dvc", "repro", "sweep_l2", check=False)
    assert one_line(done).startswith("error: sweep_l2.grid.factors = 0.001$(touch ran): ")
    assert not (study.folder / "ran").exists()


# DVC


def test_output_edited_by_hand_is_noticed_and_restored(study):
    path = study.folder / "metrics" / "train_mlp.json"
    honest = path.read_text()
    path.write_text(honest.replace('"accuracy": 0', '"accuracy": 9'))
    status = json.loads(study.run("dvc", "status", "--json").stdout)
    assert {"changed outs": {"metrics/train_mlp.json": "modified"}} in status["train_mlp"]
    assert study.repro() == []
    assert path.read_text() == honest


def test_corrupted_cache_object_is_made_again(study):
    lock = study.lock()
    model = study.folder / "models" / "cnn.keras"
    honest = model.read_bytes()
    digest = lock.split("path: models/cnn.keras")[1].split("md5: ")[1][:32]
    cached = study.folder / ".dvc/cache/files/md5" / digest[:2] / digest[2:]
    cached.chmod(0o644)
    cached.write_bytes(honest[:-1000])
    model.unlink()
    assert study.repro() == ["train_cnn"]
    assert model.read_bytes() == cached.read_bytes() == honest
    assert study.lock() == lock

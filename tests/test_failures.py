"""What users, disks and machines do wrong costs one line, and nothing that was finished.

docs/failures.md lists every case with the test that provokes it.
"""

import json
import os
import shutil
import subprocess
import sys

import numpy as np
import pytest
from conftest import ROOT, Project, copy_finished

from common import dataset
from common.parameters import Parameters

RATES = "--learning_rate 0.1 --momentum 0 --schedule constant"
TRAINING = f"{RATES} --batch_size 128 --epochs 1 --seed 0 --threads 1"


def one_line(done: subprocess.CompletedProcess) -> str:
    """The only line that a command printed about its failure."""
    assert done.returncode != 0
    [line] = [line for line in done.stderr.splitlines() if line.startswith("error: ")]
    assert "Traceback" not in done.stderr
    return line


# Inputs


def damage_truncate(folder):
    path = folder / "images.npy"
    path.write_bytes(path.read_bytes()[:-100])


def damage_empty(folder):
    (folder / "labels.npy").write_bytes(b"")


def damage_swap(folder):
    (folder / "images.npy").rename(folder / "other")
    (folder / "labels.npy").rename(folder / "images.npy")
    (folder / "other").rename(folder / "labels.npy")


def damage_type(folder):
    np.save(folder / "images.npy", np.load(folder / "images.npy").astype(np.float64))


def damage_length(folder):
    np.save(folder / "labels.npy", np.load(folder / "labels.npy")[:-1])


def damage_pickle(folder):
    np.save(folder / "images.npy", np.array([{}], dtype=object), allow_pickle=True)


def damage_delete(folder):
    (folder / "images.npy").unlink()


@pytest.mark.parametrize(
    "damage",
    [
        damage_truncate,
        damage_empty,
        damage_swap,
        damage_type,
        damage_length,
        damage_pickle,
        damage_delete,
    ],
)
def test_other_files_than_the_processed_images(tmp_path, monkeypatch, damage):
    folder = tmp_path / dataset.FOLDER / "train"
    folder.mkdir(parents=True)
    np.save(folder / "images.npy", np.zeros((5, 28, 28, 1), np.float32))
    np.save(folder / "labels.npy", np.zeros((5, 10), np.float32))
    monkeypatch.chdir(tmp_path)
    assert len(dataset.load("train")[0]) == 5
    damage(folder)
    with pytest.raises(SystemExit, match=r"^error: data/processed/train: .*dvc repro preprocess$"):
        dataset.load("train")


def test_damaged_original_files(study):
    path = study.folder / "data" / "raw" / "train-images-idx3-ubyte"
    path.chmod(0o644)
    path.write_bytes(path.read_bytes()[:-1])
    command = "stages/preprocess.py --validation test --limit None --seed 0"
    done = study.run("python", *command.split(), check=False)
    assert one_line(done) == (
        "error: preprocess: data/raw/train-images-idx3-ubyte: 47040015 bytes, "
        "but its header says 47040016; restore it: dvc repro fetch"
    )


def test_an_autoencoder_where_the_classifier_should_be(study):
    shutil.copyfile(study.folder / "models/autoencoder.keras", study.folder / "models/cnn.keras")
    command = "stages/eval_noise.py --noise_levels 0.5 --draws 1 --examples 0 --seed 0 --threads 1"
    line = one_line(study.run("python", *command.split(), check=False))
    assert line.startswith("error: models/cnn.keras: a network from (None, 784) to (None, 784); ")
    assert study.repro() == []  # DVC has the right one


# The machine


class Nothing(Parameters, section="nothing"):
    pass


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (OSError(28, "No space left on device"), "No space left on device"),
        (PermissionError(13, "Permission denied", "metrics/x"), "metrics/x: Permission denied"),
    ],
)
def test_files_that_cannot_be_written(monkeypatch, error, said):
    def main(_):
        raise error

    monkeypatch.setattr(sys, "argv", ["stages/train_mlp.py"])
    with pytest.raises(SystemExit) as stop:
        Nothing.run(main, "")
    assert stop.value.code == f"error: train_mlp: {said}; put that right, then repeat the command"


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
    shell = f"{limit} exec python stages/train_mlp.py {TRAINING}"
    line = one_line(study.run("bash", "-c", shell, check=False))
    assert line.startswith("error: train_mlp: ")
    assert "No space left on device" in line or "File too large" in line
    assert sorted((study.folder / "models").iterdir()) == before


def test_a_folder_in_whose_place_a_file_is(study):
    shutil.rmtree(study.folder / "plots" / "train_mlp")
    (study.folder / "plots" / "train_mlp").write_text("in the way")
    line = one_line(study.run("python", "stages/train_mlp.py", *TRAINING.split(), check=False))
    assert line.startswith("error: train_mlp: plots/train_mlp: File exists; ")


@pytest.fixture
def elsewhere(finished_study, tmp_path):
    """The small study in a folder whose name needs quoting and is not ASCII."""
    folder = tmp_path / "Größe & Maß" / "my study"
    copy_finished(finished_study, folder)
    return Project(folder)


def test_any_folder_locale_and_no_display(elsewhere):
    """All at once: another working directory too, and no terminal, as everywhere in tests."""
    parameters = elsewhere.parameters
    parameters["train_mlp"]["learning_rate"] = 0.05
    elsewhere.parameters = parameters
    repro = elsewhere.folder / "tools" / "repro.py"
    without = ("--unset", "DISPLAY", "--unset", "WAYLAND_DISPLAY", "--unset", "LANG", "LC_ALL=C")
    done = elsewhere.run("env", "--chdir", "/", *without, "python", repro)
    for stage in ("train_mlp", "report"):
        assert f"{stage} done" in done.stdout
    assert elsewhere.run("dvc", "status").stdout == "Data and pipelines are up to date.\n"


def test_the_report_is_utf8_where_the_locale_is_not(study):
    before = (study.folder / "report.md").read_bytes()
    assert not before.isascii()
    (study.folder / "report.md").unlink()
    command = study.lock().split("cmd: python stages/report.py ")[1].split("\n    deps:")[0].split()
    ascii_only = ("LC_ALL=C", "PYTHONUTF8=0", "PYTHONCOERCECLOCALE=0")
    study.run("env", *ascii_only, "python", "stages/report.py", *command)
    assert (study.folder / "report.md").read_bytes() == before


def test_without_onednn(study):
    done = study.run(
        "env", "TF_ENABLE_ONEDNN_OPTS=0", "python", "stages/train_cnn.py",
        *TRAINING.split(), "--dropout", "0.5", "--shift", "0",
    )  # fmt: skip
    assert "epoch 1/1  loss " in done.stdout


# Training


def test_a_training_that_diverges_leaves_nothing(study):
    parameters = study.parameters
    parameters["sweep_l2"]["grid"]["factors"] = [1.0]
    parameters["sweep_l2"]["training"]["learning_rate"] = 100
    study.parameters = parameters
    done = study.run("dvc", "repro", "sweep_l2@1.0-1", check=False)
    assert one_line(done) == (
        "error: the loss is no longer finite in epoch 1: training diverges. "
        "Nothing is saved; choose a smaller learning_rate"
    )
    assert not (study.folder / "metrics/sweep_l2/1.0-1.json").exists()
    assert not (study.folder / "plots/sweep_l2/1.0-1.csv").exists()


# DVC


def test_an_output_edited_by_hand_is_noticed_and_restored(study):
    path = study.folder / "metrics" / "train_mlp.json"
    honest = path.read_text()
    path.write_text(honest.replace('"accuracy": 0', '"accuracy": 9'))
    status = json.loads(study.run("dvc", "status", "--json").stdout)
    assert {"changed outs": {"metrics/train_mlp.json": "modified"}} in status["train_mlp"]
    assert study.repro() == []
    assert path.read_text() == honest


def test_a_corrupted_cache_object_is_made_again(study):
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


def test_a_clone_of_another_user(study):
    if os.geteuid():
        pytest.skip("only root can give files to another user")
    for path in (study.folder, *study.folder.rglob("*")):
        os.chown(path, 65534, 65534, follow_symlinks=False)
    done = study.run("python", "tools/repro.py", check=False)
    assert done.returncode == 0, done.stderr


# make


@pytest.mark.parametrize("version", [(3, 9), (3, 14)])
def test_a_python_that_does_not_fit_is_refused(tmp_path, version):
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
    assert (
        one_line(done) == "error: Python 3.10 to 3.13 is needed; name one: make PYTHON=python3.12"
    )
    assert not (folder / ".venv").exists()

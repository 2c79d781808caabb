"""Results travel: with the repository, by DVC remote, and into the summaries of CI."""

import json
import shutil

import boto3
import pytest
from conftest import ROOT, Project
from moto.server import ThreadedMotoServer

from common import dataset
from common.noise import add_noise
from common.runtime import keras
from common.training import evaluate
from train_ae import AutoencoderParameters, load_pixels


@pytest.fixture
def s3(monkeypatch):
    """An S3 server on loopback with the bucket `study`; its address."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "test")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    address = f"http://{host}:{port}"
    boto3.client("s3", endpoint_url=address).create_bucket(Bucket="study")
    yield address
    server.stop()


@pytest.fixture(params=["folder", "s3"])
def shared_study(request, study, tmp_path):
    """The finished small study with a default remote that is empty."""
    if request.param == "folder":
        study.run("dvc", "remote", "add", "--default", "storage", str(tmp_path / "storage"))
    else:
        address = request.getfixturevalue("s3")
        study.run("dvc", "remote", "add", "--default", "storage", "s3://study/results")
        study.run("dvc", "remote", "modify", "storage", "endpointurl", address)
    study.commit("Add a remote")
    return study


@pytest.fixture(scope="module")
def released(finished_study, tmp_path_factory) -> Project:
    """The finished small study after `make release`, committed. Tests leave it as it is."""
    folder = tmp_path_factory.mktemp("released") / "study"
    shutil.copytree(finished_study.folder, folder, ignore=shutil.ignore_patterns("tmp"))
    study = Project(folder)
    old = folder / "remote/files/md5/00/old"
    old.parent.mkdir(parents=True, exist_ok=True)
    old.touch()
    study.run("make", "--old-file", "environment", "release")
    assert not old.exists()
    study.commit("Release")
    return study


def clone(study: Project, folder) -> Project:
    study.run("git", "clone", "--quiet", "--no-local", ".", str(folder))
    return Project(folder)


def test_what_one_machine_trained_no_other_trains_again(shared_study, tmp_path):
    # One machine tries another factor, goes back to the first ones, and pushes both.
    grid = {"factors": [0.002], "replicates": [1]}
    shared_study.change(sweep_l2__grid=grid)
    assert shared_study.repro("sweep_l2") == ["sweep_l2@0.002-1"]
    shared_study.run("dvc", "push", "--run-cache")
    shared_study.run("git", "restore", "params.yaml", "dvc.lock")
    assert shared_study.repro("sweep_l2") == []
    shared_study.run("dvc", "push", "--run-cache")

    # Another one has all but the data, without training anything, ...
    pulled = clone(shared_study, tmp_path / "pulled")
    pulled.run("dvc", "pull", "--run-cache", "--allow-missing")
    assert pulled.repro() == ["fetch", "preprocess"]
    # ... and gets what was tried besides when it comes to the same factor.
    pulled.change(sweep_l2__grid=grid)
    assert pulled.repro("--pull", "sweep_l2") == []
    assert "0.002" in pulled.lock()


def test_a_clone_has_networks_and_page_without_training(
    released, tmp_path, tensorflow, monkeypatch
):
    cloned = clone(released, tmp_path / "clone")
    cloned.run("dvc", "pull", "--allow-missing")
    for path in ("models/mlp.keras", "models/cnn.keras", "models/autoencoder.keras", "report.html"):
        assert (cloned.folder / path).read_bytes() == (released.folder / path).read_bytes()
    changed = json.loads(cloned.run("dvc", "status", "--json").stdout)
    states = [kind for stage in changed.values() for kind in stage]
    paths = {path for kind in states for state in kind.values() for path in state}
    assert all(path.startswith("data/") for path in paths)
    assert cloned.repro() == ["fetch", "preprocess"]
    assert cloned.run("git", "status", "--porcelain").stdout == ""
    assert cloned.run("dvc", "status").stdout == "Data and pipelines are up to date.\n"

    # Evaluated, the networks give the committed metrics.
    monkeypatch.chdir(cloned.folder)
    cnn = keras.models.load_model("models/cnn.keras")
    loss = keras.losses.CategoricalCrossentropy()
    committed = json.loads((cloned.folder / "metrics/train_cnn.json").read_text())
    for name, value in evaluate(cnn, loss, dataset.load("test")).items():
        assert float(f"{value:.6g}") == committed[f"test_{name}"]
    autoencoder = keras.models.load_model("models/autoencoder.keras")
    parameters = AutoencoderParameters.parse(cloned.command("train_ae")[3:])
    clean = load_pixels("validation")
    pairs = add_noise(clean, parameters, "validation"), clean
    [value] = evaluate(autoencoder, keras.losses.BinaryCrossentropy(), pairs).values()
    committed = json.loads((cloned.folder / "metrics/train_ae.json").read_text())
    assert float(f"{value:.6g}") == committed["validation_loss"]


def test_other_projects_get_a_network_by_path(released, tmp_path):
    cloned = clone(released, tmp_path / "clone")
    (tmp_path / "elsewhere").mkdir()
    Project(tmp_path / "elsewhere").run("dvc", "get", str(cloned.folder), "models/cnn.keras")
    expected = (released.folder / "models/cnn.keras").read_bytes()
    assert (tmp_path / "elsewhere" / "cnn.keras").read_bytes() == expected


def test_a_release_of_old_results_is_refused(study):
    study.change(train_mlp__seed=1)
    done = study.run("make", "--old-file", "environment", "release", check=False)
    assert done.stderr.startswith("error: results are out of date: make repro\n")
    assert not (study.folder / "remote").exists()


def test_a_pull_request_shows_what_it_changes(study, tmp_path, monkeypatch):
    study.change(train_mlp__learning_rate=0.05)
    study.repro("train_mlp")
    study.run("git", "switch", "--quiet", "--create", "slower")
    study.commit("Train the perceptron slower")
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(tmp_path / "summary.md"))
    study.run(".ci/compare", "main")
    summary = (tmp_path / "summary.md").read_text()
    assert "| metrics/train_mlp.json | test_loss " in summary
    assert "| params.yaml | train_mlp.learning_rate | 0.1    | 0.05   |" in summary
    assert '"rev": "main"' in (study.folder / "dvc_plots" / "index.html").read_text()


@pytest.mark.slow
def test_the_full_run_shows_its_table_and_its_page(study, tmp_path, monkeypatch):
    (study.folder / "measured").mkdir(exist_ok=True)
    table = study.run("python", "tools/verify.py", "--seeds", "main").stdout
    (study.folder / "measured/seeds.csv").write_text(table)
    study.commit("Measure seeds")
    (study.folder / ".venv").symlink_to(ROOT / ".venv")
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(tmp_path / "summary.md"))
    study.run(".ci/full")
    summary = (tmp_path / "summary.md").read_text()
    assert summary.startswith("| output | verdict | largest difference |\n")
    assert summary.endswith("\nsame bytes\n")
    page = (study.folder / "site" / "index.html").read_bytes()
    assert page == (study.folder / "report.html").read_bytes()

"""Results travel: with the repository, by DVC remote, and into the summaries of CI."""

import json
import re
from pathlib import Path

import boto3
import pytest
from conftest import Project, copy_project, link_environment
from moto.server import ThreadedMotoServer

from common import dataset
from common.noise import add_noise
from common.runtime import keras
from common.training import evaluate
from train_ae import AutoencoderParameters


@pytest.fixture
def s3(monkeypatch):
    """Start an S3 server on loopback with the bucket `study`; give its address."""
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


def test_what_one_machine_trained_no_other_trains_again(study, s3, tmp_path):
    """Here by S3. A folder as a remote: `released`."""
    config = study.folder / ".dvc/config"
    remote = f"    url = s3://study/results\n    endpointurl = {s3}\n"
    config.write_text(config.read_text().replace("    url = ../remote\n", remote))
    study.commit("Move the remote")
    # One machine pushes its results, tries another factor, and pushes that too.
    study.run("dvc", "push")
    grid = {"factors": [0.002], "replicates": [1]}
    study.change(sweep_l2__grid=grid)
    assert study.repro("sweep_l2") == ["sweep_l2@0.002-1"]
    study.run("dvc", "push", "--run-cache")

    # Another one has all but the data, without training anything, ...
    pulled = study.clone(tmp_path / "pulled")
    pulled.run("dvc", "pull", "--run-cache", "--allow-missing")
    assert pulled.repro() == ["fetch", "preprocess"]
    # ... and gets what was tried besides when it comes to the same factor.
    pulled.change(sweep_l2__grid=grid)
    assert pulled.repro("--pull", "sweep_l2") == []
    assert "0.002" in pulled.lock()


def test_pulled_results_belong_to_the_code(tensorflow, finished_study, tmp_path, monkeypatch):
    """The whole study, in a copy without DVC's cache; only the data are made."""
    copy = copy_project(tmp_path / "copy")
    copy.run("dvc", "pull", "--allow-missing")
    monkeypatch.setenv("MNIST_FOLDER", str(finished_study.folder / "data/raw"))
    assert copy.repro("preprocess") == ["fetch", "preprocess"]
    assert copy.status() == {}, "make repro; make release; commit what comes out"
    monkeypatch.chdir(copy.folder)
    cnn = keras.models.load_model("models/cnn.keras")
    found = evaluate(cnn, keras.losses.CategoricalCrossentropy(), dataset.load("test"))
    committed = json.loads(Path("metrics/train_cnn.json").read_text())
    assert found["accuracy"] == pytest.approx(committed["test_accuracy"], abs=1e-6)
    # Other processors round differently in the last digits.
    assert found["loss"] == pytest.approx(committed["test_loss"], rel=1e-4)
    autoencoder = keras.models.load_model("models/autoencoder.keras")
    parameters = AutoencoderParameters.parse(copy.command("train_ae")[3:])
    clean = dataset.load("validation")[0].reshape(-1, 784)
    pairs = add_noise(clean, parameters, "validation"), clean
    [value] = evaluate(autoencoder, keras.losses.BinaryCrossentropy(), pairs).values()
    committed = json.loads(Path("metrics/train_ae.json").read_text())
    assert value == pytest.approx(committed["validation_loss"], rel=1e-4)


def test_other_projects_get_a_network_by_path(released, tmp_path):
    cloned = released.clone(tmp_path / "clone")
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
    """In a clone that has trained nothing, and has no cache."""
    study.run("git", "switch", "--quiet", "--create", "slower")
    study.change(train_mlp__learning_rate=0.05)
    metrics = study.folder / "metrics/train_mlp.json"
    values = json.loads(metrics.read_text())
    metrics.write_text(json.dumps(values | {"test_loss": 9.9}))
    study.commit("Train the perceptron slower")
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(tmp_path / "summary.md"))
    cloned = study.clone(tmp_path / "clone")
    cloned.run(".ci/compare", "origin/main")
    summary = (tmp_path / "summary.md").read_text()
    assert "| metrics/train_mlp.json | test_loss " in summary
    assert "train_cnn" not in summary
    assert re.search(r"\| params.yaml +\| train_mlp.learning_rate +\| 0.1 +\| 0.05 +\|", summary)
    assert '"rev": "origin/main"' in (cloned.folder / "dvc_plots/index.html").read_text()


@pytest.mark.slow
def test_the_full_run_shows_its_table_and_its_page(study, tmp_path, monkeypatch):
    link_environment(study)
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(tmp_path / "summary.md"))
    study.run(".ci/full")
    summary = (tmp_path / "summary.md").read_text()
    assert summary.startswith("| output | verdict | largest difference |\n")
    assert summary.endswith("\nsame bytes\n")
    page = (study.folder / "site/index.html").read_bytes()
    assert page == (study.folder / "report.html").read_bytes()

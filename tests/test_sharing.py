"""Results travel: by DVC remote from machine to machine, by experiment from value to value."""

import json
import re
import time

import boto3
import pytest
from conftest import Project
from moto.server import ThreadedMotoServer

RAN = re.compile(r"Running stage '(.+)'")


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


def clone(study: Project, folder) -> Project:
    study.run("git", "clone", "--quiet", "--no-local", ".", str(folder))
    return Project(folder)


def test_what_one_machine_trained_no_other_trains_again(shared_study, tmp_path):
    # One machine tries another factor, goes back to the first ones, and pushes both.
    parameters = shared_study.parameters
    parameters["sweep_l2"]["grid"] = {"factors": [0.002], "replicates": [1]}
    shared_study.parameters = parameters
    assert shared_study.repro("sweep_l2") == ["sweep_l2@0.002-1"]
    shared_study.run("dvc", "push", "--run-cache")
    shared_study.run("git", "restore", "params.yaml")
    assert shared_study.repro("sweep_l2") == []
    shared_study.run("dvc", "push", "--run-cache")

    # Another one has it all, without running anything, ...
    pulled = clone(shared_study, tmp_path / "pulled")
    pulled.run("dvc", "pull", "--run-cache")
    done = pulled.run("python", "tools/repro.py")
    assert done.stdout == "Data and pipelines are up to date.\n"
    # ... and fetches what was tried besides when it comes to the same factor.
    pulled.parameters = parameters
    assert pulled.repro("--pull", "sweep_l2") == []
    assert "--factor 0.002" in pulled.lock()

    # A third leaves it to `dvc repro` to bring what it needs.
    lazy = clone(shared_study, tmp_path / "lazy")
    assert lazy.repro("--pull") == []
    for name in ("mlp", "cnn", "autoencoder"):
        path = f"models/{name}.keras"
        assert (lazy.folder / path).read_bytes() == (shared_study.folder / path).read_bytes()


def test_experiments_can_queue_up_and_run_side_by_side(study):
    rates = {"slow": 0.05, "slower": 0.02}
    for name, rate in rates.items():
        change = f"train_mlp.learning_rate={rate}"
        study.run("dvc", "exp", "run", "--queue", "--name", name, "--set-param", change)
    study.run("dvc", "queue", "start", "--jobs", "2")
    deadline = time.monotonic() + 120
    # An experiment that succeeded is a commit; to ask DVC again and again would keep it waiting.
    while study.run("git", "for-each-ref", "refs/exps/*/*/slow*").stdout.count("\n") < len(rates):
        assert time.monotonic() < deadline, study.run("dvc", "queue", "status").stdout
        time.sleep(0.2)
    shown = json.loads(study.run("dvc", "exp", "show", "--json").stdout)
    [experiments] = [rev["experiments"] for rev in shown if rev.get("experiments")]
    measured = {
        revision["name"]: revision["data"]
        for experiment in experiments
        for revision in experiment["revs"]
    }
    assert {
        name: data["params"]["params.yaml"]["data"]["train_mlp"]["learning_rate"]
        for name, data in measured.items()
    } == rates

    study.run("dvc", "exp", "apply", "slow")
    loss = json.loads((study.folder / "metrics/train_mlp.json").read_text())["loss"]
    assert loss == measured["slow"]["metrics"]["metrics/train_mlp.json"]["data"]["loss"]
    assert study.run("dvc", "status").stdout == "Data and pipelines are up to date.\n"
    study.run("dvc", "exp", "branch", "slower", "slower")
    diff = json.loads(study.run("dvc", "metrics", "diff", "--json", "main", "slower").stdout)
    assert diff["metrics/train_mlp.json"]["loss"]["new"] > loss
    log = study.run("dvc", "queue", "logs", "slow").stdout
    assert RAN.findall(log) == ["train_mlp", "report"]

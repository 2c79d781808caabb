"""Results travel: with the repository, by DVC remote, and into the summaries of CI."""

import json
import re
from pathlib import Path

import pytest
from conftest import Project, copy_finished, copy_project, link_environment

DATA = ["fetch", "preprocess"]


@pytest.fixture(params=["folder", "s3"])
def remote(request, tmp_path, monkeypatch):
    """Give a remote's settings: a folder, or S3 on loopback where its packages are installed."""
    if request.param == "folder":
        yield {"url": str(tmp_path / "remote")}
        return
    pytest.importorskip("dvc_s3", reason="S3 is an extra")
    moto = pytest.importorskip("moto.server", reason="moto stands in for S3")
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "test")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    server = moto.ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    address = "http://{}:{}".format(*server.get_host_and_port())
    client = pytest.importorskip("boto3").client("s3", endpoint_url=address)
    client.create_bucket(Bucket="study")
    yield {"url": "s3://study/results", "endpointurl": address}
    server.stop()


def use(project: Project, remote: dict[str, str]) -> None:
    """Add the remote as docs/running.md says."""
    project.run("dvc", "remote", "add", "--local", "storage", remote["url"])
    if "endpointurl" in remote:
        words = ("endpointurl", remote["endpointurl"])
        project.run("dvc", "remote", "modify", "--local", "storage", *words)


def test_what_one_machine_trained_no_other_trains_again(study, remote, tmp_path):
    use(study, remote)
    study.run("dvc", "push", "--remote", "storage")
    # It tries another factor, and pushes that too.
    grid = {"factors": [0.002], "replicates": [1]}
    study.change(sweep_l2__grid=grid)
    assert study.repro("sweep_l2") == ["sweep_l2@0.002-1"]
    study.run("dvc", "push", "--remote", "storage", "--run-cache")

    # Another machine has all but the data, without training anything, ...
    pulled = study.clone(tmp_path / "pulled")
    use(pulled, remote)
    pulled.run("dvc", "pull", "--remote", "storage", "--run-cache")
    assert pulled.repro() == DATA
    # ... and gets what was tried besides when it comes to the same factor.
    pulled.change(sweep_l2__grid=grid)
    pulled.run("dvc", "config", "--local", "core.remote", "storage")
    assert pulled.repro("--pull", "sweep_l2") == []
    assert "0.002" in pulled.lock()


def test_a_clone_pulls_and_trains_nothing(released, tmp_path):
    clone = released.clone(tmp_path / "clone")
    clone.run("dvc", "pull")
    for path in "models/mlp.keras", "models/cnn.keras", "models/autoencoder.keras", "report.html":
        assert (clone.folder / path).read_bytes() == (released.folder / path).read_bytes()
    assert clone.repro("--allow-missing") == []
    assert clone.repro() == DATA
    assert clone.status() == {}
    # Without `dvc pull`, DVC brings what it needs by itself.
    other = released.clone(tmp_path / "other")
    assert other.repro("--allow-missing") == []
    assert other.repro("--pull") == []
    assert other.repro() == DATA
    assert other.status() == {}


def test_other_projects_get_a_network_by_path(released, tmp_path):
    clone = released.clone(tmp_path / "clone")
    elsewhere = Project(tmp_path / "elsewhere")
    elsewhere.folder.mkdir()
    elsewhere.run("dvc", "get", clone.folder, "models/cnn.keras")
    expected = (released.folder / "models/cnn.keras").read_bytes()
    assert (elsewhere.folder / "cnn.keras").read_bytes() == expected


def test_a_push_leaves_nothing_for_git(released, tmp_path):
    study = copy_finished(released, tmp_path / "study")
    before = {*(study.folder / "remote").rglob("*")}
    (study.folder / "models/mlp.keras").write_text("another network", encoding="utf-8")
    study.run("dvc", "commit", "--force", "train_mlp")
    study.run("dvc", "push", "train_mlp")
    assert {*(study.folder / "remote").rglob("*")} > before
    assert study.run("git", "status", "--porcelain").stdout == " M dvc.lock\n"


def test_a_release_of_old_results_is_refused(study):
    study.change(train_mlp__seed=1)
    done = study.run("make", "--old-file", "environment", "release", check=False)
    assert done.stderr.startswith("error: results are out of date: make repro\n")
    assert not (study.folder / "remote").exists()


def test_committed_results_belong_to_the_committed_code(tmp_path):
    """The whole study, in a copy without DVC's cache: the networks come from remote/."""
    copy = copy_project(tmp_path / "copy")
    copy.run("dvc", "pull")
    assert copy.repro("--allow-missing", "--dry") == [], "make repro; make release; commit"
    changes = [change for found in copy.status().values() for change in found]
    files = [file for change in changes for states in change.values() for file in states.items()]
    assert {Path(name).parts[0] for name, _ in files} == {"data"}
    assert {state for _, state in files} == {"deleted"}


def test_a_pull_request_shows_what_it_changes(study, tmp_path):
    """In a clone that has trained nothing, and has no cache."""
    study.run("git", "switch", "--quiet", "--create", "slower")
    study.change(train_mlp__learning_rate=0.05)
    metrics = study.folder / "metrics/train_mlp.json"
    values = json.loads(metrics.read_text(encoding="utf-8"))
    metrics.write_text(json.dumps(values | {"test_loss": 9.9}), encoding="utf-8")
    study.commit("Train the perceptron slower")
    cloned = study.clone(tmp_path / "clone")
    cloned.run(".ci/compare", "origin/main", env={"GITHUB_STEP_SUMMARY": tmp_path / "summary.md"})
    summary = (tmp_path / "summary.md").read_text(encoding="utf-8")
    assert "| metrics/train_mlp.json | test_loss " in summary
    assert "train_cnn" not in summary
    assert re.search(r"\| params.yaml +\| train_mlp.learning_rate +\| 0.1 +\| 0.05 +\|", summary)
    page = (cloned.folder / "dvc_plots/index.html").read_text(encoding="utf-8")
    assert '"rev": "origin/main"' in page


@pytest.mark.slow
def test_the_full_run_shows_its_table_and_its_page(study, tmp_path):
    link_environment(study)
    study.run(".ci/full", env={"GITHUB_STEP_SUMMARY": tmp_path / "summary.md"})
    summary = (tmp_path / "summary.md").read_text(encoding="utf-8")
    assert summary.startswith("| output | verdict | largest difference |\n")
    assert summary.endswith("\nsame bytes\n")
    page = (study.folder / "site/index.html").read_bytes()
    assert page == (study.folder / "report.html").read_bytes()

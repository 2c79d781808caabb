"""Results travel: with the repository, by DVC remote, and into the summaries of CI."""

import json
import re
from pathlib import Path

import pytest
from conftest import ADD_REMOTE, ROOT, Project
from published import only_published
from test_readme import find_run, read_blocks

DATA = ["fetch", "preprocess"]
SHARE = read_blocks(ROOT / "docs/running.md", "Share results")


@pytest.fixture
def s3(monkeypatch):
    """Give the address and the settings of a remote in S3 on loopback."""
    pytest.importorskip("dvc_s3")
    server = pytest.importorskip("moto.server").ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "test")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    server.start()
    address = "http://{}:{}".format(*server.get_host_and_port())
    client = pytest.importorskip("boto3").client("s3", endpoint_url=address)
    client.create_bucket(Bucket="study")
    yield "s3://study/results", {"endpointurl": address}
    server.stop()


def use(project: Project, remote: tuple[str, dict]) -> None:
    """Add the remote as docs/running.md says."""
    address, settings = remote
    *command, _ = SHARE[1].split("#")[0].split()
    project.run(*command, address)
    for name, value in settings.items():
        project.run("dvc", "remote", "modify", "--local", "storage", name, value)


def test_what_one_machine_trained_no_other_trains_again(study, s3, tmp_path):
    use(study, s3)
    study.run("dvc", "push", "--run-cache")
    # It tries another factor, and pushes that too.
    grid = {"factors": [0.002], "replicates": [1]}
    study.change(sweep_l2__grid=grid)
    assert study.repro("sweep_l2") == ["sweep_l2@0.002-1"]
    study.run("dvc", "push", "--run-cache")

    # Another machine has all but the data, without training anything, ...
    pulled = study.clone(tmp_path / "pulled")
    use(pulled, s3)
    pulled.run("dvc", "pull", "--run-cache")
    assert pulled.repro() == DATA
    # ... and gets what was tried besides when it comes to the same factor.
    pulled.change(sweep_l2__grid=grid)
    assert pulled.repro("--pull", "sweep_l2") == []
    assert "0.002" in pulled.lock()


def test_an_experiment_is_shared_through_a_remote_of_ones_own(study, tmp_path):
    """Nothing appears at the root of the disk, where DVC would look for a folder of .dvc/config."""
    origin = study.clone(tmp_path / "origin")
    origin.run("git", "config", "receive.denyCurrentBranch", "ignore")
    study.run("git", "remote", "add", "origin", origin.folder)
    study.run(*ADD_REMOTE)
    use(study, (str(tmp_path / "storage"), {}))
    change = ("--set-param", "train_mlp.seed=1", "train_mlp")
    study.run("dvc", "exp", "run", "--name", "other", *change)
    made = (study.folder / "models/mlp.keras").read_bytes()
    push, pull = re.findall(r"`(dvc exp pu.*?)`", (ROOT / "docs/running.md").read_text("utf-8"))
    study.run(*push.replace("NAME", "other").split())
    study.run("dvc", "push", "--all-branches")
    assert not Path(study.folder.anchor, "remote").exists()

    colleague = origin.clone(tmp_path / "colleague")
    use(colleague, (str(tmp_path / "storage"), {}))
    colleague.run(*pull.replace("NAME", "other").split())
    colleague.run("dvc", "exp", "apply", "other")
    assert (colleague.folder / "models/mlp.keras").read_bytes() == made


def test_a_clone_pulls_trains_nothing_and_gives_its_networks(study, tmp_path):
    study.run(*ADD_REMOTE)
    old = study.folder / "remote/files/md5/00/old"
    old.parent.mkdir(parents=True)
    old.touch()
    study.run("make", "--old-file", "environment", "release")
    assert not old.exists(), "it holds the results of one run only"
    study.commit("Release")
    clone = study.clone(tmp_path / "clone")
    clone.run("bash", "-e", "-c", SHARE[0])
    for path in "models/mlp.keras", "models/cnn.keras", "models/autoencoder.keras", "report.html":
        assert (clone.folder / path).read_bytes() == (study.folder / path).read_bytes()
    assert clone.repro("--allow-missing") == []
    clone.run("dvc", "get", clone.folder, "models/cnn.keras", "--out", "got.keras")
    expected = (study.folder / "models/cnn.keras").read_bytes()
    assert (clone.folder / "got.keras").read_bytes() == expected
    (clone.folder / "got.keras").unlink()
    # What is deleted or edited comes from DVC's cache, though that has no metrics here.
    (clone.folder / "models/mlp.keras").write_text("edited", encoding="utf-8")
    (clone.folder / "models/cnn.keras").unlink()
    assert find_run(clone.run("python", "tools/repro.py").stdout) == DATA
    assert clone.status() == {}
    (clone.folder / "models/mlp.keras").write_text("edited", encoding="utf-8")
    assert "type `dvc checkout --force`" in (ROOT / "docs/running.md").read_text("utf-8")
    clone.run("dvc", "checkout", "--force")
    assert clone.repro() == []


def test_a_release_of_old_results_is_refused(study):
    study.change(train_mlp__seed=1)
    done = study.run("make", "--old-file", "environment", "release", check=False)
    assert done.stderr.startswith("error: results are out of date: make repro\n")
    assert not (study.folder / "remote").exists()


@only_published
def test_committed_networks_belong_to_the_committed_code(project_copy):
    """In a copy without DVC's cache, they come from remote/."""
    networks = [out for out in read_outputs(project_copy) if out.startswith("models/")]
    project_copy.run(*ADD_REMOTE)
    done = project_copy.run("dvc", "pull", *networks, check=False)
    if done.returncode:
        pytest.skip("these networks are not released: make release")
    assert all((project_copy.folder / network).is_file() for network in networks)


def read_outputs(project: Project) -> list[str]:
    return re.findall(r"^ *- path: (\S+)$", project.lock().replace("outs:", ""), re.M)


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

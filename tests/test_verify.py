"""`make verify`: the same bytes, like another seed, or something else."""

import io
import json
import shutil
import sys

import pandas as pd
import pytest
from conftest import Project

import verify
from common import results

METRICS = "metrics/train_mlp.json"
OUTPUTS = ["models/mlp.keras", "plots/train_mlp/history.csv", METRICS]


def list_values(values: dict[str, list[float]]) -> pd.DataFrame:
    """List the values that metrics have with several seeds, as in measured/seeds.csv."""
    return pd.DataFrame(values).melt(var_name="metric")


@pytest.fixture
def verified(study, monkeypatch) -> Project:
    """The small study with a table of seeds: their spread is 0.01 in everything."""
    metrics = json.loads((study.folder / METRICS).read_text())
    values = {f"{METRICS}:{name}": [v - 0.01, v, v + 0.01] for name, v in metrics.items()}
    list_values(values).to_csv(study.folder / "measured/seeds.csv", index=False)
    study.commit("Measure seeds")
    monkeypatch.setattr(verify, "ROOT", study.folder)
    return study


@pytest.fixture
def call(monkeypatch, capsys):
    """Return a function that calls the tool in this process, and returns exit code and output."""

    def call(*words):
        monkeypatch.setattr(sys, "argv", ["verify.py", *words])
        try:
            code = verify.main()
        except SystemExit as end:
            code = end.code
        return code, capsys.readouterr().out

    return call


def rows(output: str) -> dict[str, list[str]]:
    """Verdict and detail of each output in the table."""
    lines = [line.strip("| ").split(" | ") for line in output.splitlines() if line[:1] == "|"]
    return {line[0]: line[1:] for line in lines[2:]}


def test_distances_are_counted_in_deviations_between_seeds():
    seeds = list_values(
        {
            "metrics/sweep_l2/1e-06.json:loss": [0.1, 0.3],
            "metrics/eval_noise.json:cnn.level_0.0.noisy": [0.9, 0.9],
            "metrics/eval_noise.json:cnn.level_0.5.noisy": [0.1, 0.2],
        }
    )
    before = pd.Series(
        {
            "metrics/sweep_l2/1e-06-1.json:loss": 0.1,
            "metrics/eval_noise.json:cnn.level_0.0.noisy": 0.9,
            "metrics/train_cnn.json:loss": 0.1,
            "metrics/train_cnn.json:gone": 0.1,
            "metrics/report.json:best": 0.1,
        }
    )
    after = before.drop("metrics/train_cnn.json:gone") + 0.1
    distances = verify.measure_distances(before, after, seeds)
    assert [round(distance, 3) for distance in distances] == [0.707, 1.414, 200, float("inf")]


def test_honest_results_have_the_same_bytes(verified, tmp_path, monkeypatch):
    # Results that a user's settings offer, and those of Git, do not count as computed.
    (tmp_path / "config").write_text(f"[cache]\ndir = {verified.folder}/.dvc/cache\n")
    monkeypatch.setenv("DVC_GLOBAL_CONFIG_DIR", str(tmp_path))
    command = ("python", "tools/verify.py", "--stage", "train_mlp")
    done = verified.run(*command, "--keep", str(tmp_path / "clone"))
    assert rows(done.stdout) == {path: ["same bytes"] for path in OUTPUTS}
    assert done.stdout.splitlines()[-1] == "same bytes"
    for stage in "fetch", "preprocess", "train_mlp":
        log = (tmp_path / "clone" / "logs" / f"{stage}.log").read_text()
        assert "Running stage" in log
        assert "cached" not in log
    assert not (tmp_path / "clone" / "metrics" / "train_cnn.json").exists()


@pytest.mark.parametrize(
    ("path", "column", "change", "verdict", "total"),
    [
        (METRICS, "test_accuracy", 0.05, "like another seed", "like another seed"),
        (METRICS, "test_accuracy", 9, "differs", "differs"),
        # Where no number differs, it is not the processor's doing.
        ("plots/train_mlp/history.csv", "epoch", 1, "other bytes", "differs"),
    ],
)
def test_committed_results_that_the_code_does_not_give(
    verified, finished_study, monkeypatch, call, path, column, change, verdict, total
):
    def run_study(folder, *_):
        """Stand in for the retraining, with what it gives."""
        for part in "dvc.lock", METRICS, "plots/train_mlp/history.csv":
            (folder / part).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(finished_study.folder / part, folder / part)

    monkeypatch.setattr(verify, "run_study", run_study)
    if path == METRICS:
        values = json.loads((verified.folder / path).read_text())
        values[column] += change
        results.write_json(verified.folder / path, values)
    else:
        table = pd.read_csv(verified.folder / path)
        table[column] += change
        results.write_csv(verified.folder / path, table)
    with verified.repo() as repo:
        repo.commit("train_mlp", force=True)  # what nobody should do
    verified.commit("Cheat")
    code, output = call("--stage", "train_mlp")
    assert code == (total == "differs")
    assert rows(output)[path][0] == verdict
    assert rows(output)["models/mlp.keras"] == ["same bytes"]
    assert output.splitlines()[-1] == total
    if code == 0:
        assert rows(output)[path][1].endswith(" computed (5 deviations)")


def test_seeds_are_listed_with_replicates_as_seeds_of_the_sweep(finished_study, monkeypatch, call):
    monkeypatch.setattr(verify, "ROOT", finished_study.folder)
    _, output = call("--seeds", "main", "HEAD")
    table = pd.read_csv(io.StringIO(output)).set_index(["metric", "seed"]).value
    cell = json.loads((finished_study.folder / "metrics/sweep_l2/1e-06-2.json").read_text())
    assert table["metrics/sweep_l2/1e-06.json:test_accuracy", 2] == cell["test_accuracy"]
    assert list(table["metrics/train_cnn.json:test_accuracy"].index) == [0, 1]
    assert not any("report" in metric for metric, _ in table.index)
    assert table.index.is_unique


def test_an_unknown_stage_is_named(verified, call):
    code, _ = call("--stage", "train_rnn")
    assert code == "error: STAGE=train_rnn: no such stage; `dvc stage list` names them"

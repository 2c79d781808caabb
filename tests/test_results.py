"""The committed results belong to the committed code, and are good enough."""

import itertools
import json
import re

import pandas as pd
import pytest
from conftest import ROOT, Project, read_yaml

SWEEP = ("metrics/sweep_l2", "plots/sweep_l2")
CACHED = ("data/", "models/", "plots/eval_noise", "report.html", *SWEEP)
LOCK = read_yaml(ROOT / "dvc.lock")["stages"]
PARAMETERS = read_yaml(ROOT / "params.yaml")


def read_metrics(stage):
    return json.loads((ROOT / "metrics" / f"{stage}.json").read_text())


def test_nothing_has_changed_since_the_committed_run():
    status = json.loads(Project(ROOT).run("dvc", "status", "--json").stdout)
    # Of what DVC caches, a clone that has run nothing knows only the hashes.
    unknown = () if (ROOT / ".dvc" / "cache").exists() else CACHED
    changed = {}
    for stage, entries in status.items():
        for entry in entries:
            # An entry is {kind of change: {path: state}}, or a word such as "changed command".
            for kind, paths in entry.items() if isinstance(entry, dict) else [(entry, {})]:
                left = [path for path in paths if not path.startswith(unknown)]
                if left or not paths:
                    changed.setdefault(stage, []).append({kind: left})
    assert changed == {}, "rerun these stages, and commit what comes out"


def test_lock_holds_one_run_of_the_whole_study():
    """Every stage was run on the outputs, as they are now, of the stages before it."""
    grid = PARAMETERS["sweep_l2"]["grid"]
    pairs = itertools.product(grid["factors"], grid["replicates"])
    cells = {f"sweep_l2@{factor}-{replicate}" for factor, replicate in pairs}
    others = set(read_yaml(ROOT / "dvc.yaml")["stages"]) - {"sweep_l2"}
    assert set(LOCK) == cells | others
    made = {out["path"]: out["md5"] for stage in LOCK.values() for out in stage["outs"]}
    for name, stage in LOCK.items():
        for dep in stage["deps"]:
            if dep["path"] in made:
                assert dep["md5"] == made[dep["path"]], f"{name}: {dep['path']}"


def test_networks_are_as_good_as_published():
    assert read_metrics("train_mlp")["test_accuracy"] >= 0.968
    assert read_metrics("report")["best"]["test_accuracy"] >= 0.981
    assert read_metrics("train_cnn")["test_accuracy"] >= 0.988
    assert read_metrics("train_ae")["validation_loss"] <= 0.122


def test_sweep_counts_all_replicates():
    cells = pd.read_csv(ROOT / "plots/report/sweep_cells.csv")
    accuracies = cells.groupby("factor").validation_accuracy
    assert set(accuracies.count()) == {len(PARAMETERS["sweep_l2"]["grid"]["replicates"])} == {3}
    for factor, group in accuracies:
        reported = read_metrics("report")["sweep"][f"factor_{factor}"]
        assert reported["mean"] == pytest.approx(group.mean(), abs=1e-6)
        assert reported["std"] == pytest.approx(group.std(ddof=1), abs=1e-6)


def test_denoising_helps_where_published():
    levels = read_metrics("eval_noise")["cnn"]
    for tenth in range(2, 9):
        level = levels[f"level_{tenth / 10}"]
        assert level["denoised"] > level["noisy"]


def test_readme_shows_the_committed_results():
    rows = re.findall(
        r"^\| (.+) \| (\S+) \| (\S+) \| (\S+) \|$", (ROOT / "README.md").read_text(), re.M
    )
    numbers = pd.read_csv(ROOT / "plots/report/published_numbers.csv")
    expected = {
        row.description: (f"{row.published:g}", f"{row.this_run:.4g}", f"{row.difference:+.4f}")
        for row in numbers.itertuples()
    }
    shown = {name: rest for name, *rest in rows if name in expected}
    assert len(shown) >= 6
    assert all(tuple(rest) == expected[name] for name, rest in shown.items())

"""The committed results are one run of the whole study, and are good enough."""

import itertools
import json
import re

import pandas as pd
from conftest import ROOT, read_yaml


def read_metrics(stage):
    return json.loads((ROOT / "metrics" / f"{stage}.json").read_text())


def test_lock_holds_the_stages_of_the_graph():
    """That each has run on what is there: `test_pulled_results_belong_to_the_code`."""
    grid = read_yaml(ROOT / "params.yaml")["sweep_l2"]["grid"]
    pairs = itertools.product(grid["factors"], grid["replicates"])
    cells = {f"sweep_l2@{factor}-{replicate}" for factor, replicate in pairs}
    stages = cells | set(read_yaml(ROOT / "dvc.yaml")["stages"]) - {"sweep_l2"}
    assert set(read_yaml(ROOT / "dvc.lock")["stages"]) == stages


def test_results_are_as_good_as_published():
    assert read_metrics("train_mlp")["test_accuracy"] >= 0.968
    assert read_metrics("report")["best"]["test_accuracy"] >= 0.981
    assert read_metrics("train_cnn")["test_accuracy"] >= 0.988
    assert read_metrics("train_ae")["validation_loss"] <= 0.122
    levels = read_metrics("eval_noise")["cnn"]
    for tenth in range(2, 9):
        level = levels[f"level_{tenth / 10}"]
        assert level["denoised"] > level["noisy"]


def test_readme_shows_the_committed_results():
    readme = (ROOT / "README.md").read_text()
    shown = re.findall(r"^\| (.+) \| (\d\S*) \| (\S+) \| (\S+) \|$", readme, re.M)
    numbers = pd.read_csv(ROOT / "plots/report/published_numbers.csv")
    committed = {
        (row.description, f"{row.published:g}", f"{row.this_run:.4g}", f"{row.difference:+.4f}")
        for row in numbers.itertuples()
    }
    assert len(shown) >= 6
    assert committed.issuperset(shown)

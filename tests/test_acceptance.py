"""The committed results of the published recipe are as good as the study's."""

import json

import pytest
from conftest import ROOT
from published import only_published

# Least and most: about five deviations of ten seeds (measured/runs.csv) around their mean.
BOUNDS = {
    "train_mlp": {"test_accuracy": (0.965, 0.977)},
    "sweep_l2": {"test_accuracy": (0.981, 0.986)},
    "train_cnn": {"test_accuracy": (0.987, 0.995)},
    "train_ae": {"validation_loss": (0.117, 0.122)},
    "eval_noise": {"helps_from": (0.1, 0.4), "helps_to": (0.8, 0.9), "half_at": (0.65, 0.78)},
}


@only_published
@pytest.mark.parametrize("name", BOUNDS)
def test_results_are_as_good_as_published(name):
    metrics = json.loads((ROOT / f"metrics/{name}.json").read_text(encoding="utf-8"))
    for measure, (least, most) in BOUNDS[name].items():
        assert least <= metrics[measure] <= most

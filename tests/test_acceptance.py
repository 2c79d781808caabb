"""The published recipe alone: who changes the study expects to change this file.

The committed results are one run of the whole study, of the published networks, and as good as
the study's.
"""

import json

from conftest import ROOT

import sweep_l2
import train_ae
import train_cnn
import train_mlp

SHAPE = (28, 28, 1)


def read_metrics(name):
    return json.loads((ROOT / "metrics" / f"{name}.json").read_text("utf-8"))


def test_networks_have_the_published_numbers_of_parameters(tensorflow):
    networks = {
        train_mlp.build(SHAPE, 10): 55_050,
        sweep_l2.build(SHAPE, 10, 0.001): 545_810,
        train_cnn.build(SHAPE, 10, 0.5): 93_322,
        train_ae.build(SHAPE): 226_416,
    }
    for network, published in networks.items():
        assert network.count_params() == published


def test_results_are_as_good_as_published():
    assert read_metrics("train_mlp")["test_accuracy"] >= 0.968
    assert read_metrics("sweep_l2")["test_accuracy"] >= 0.981
    assert read_metrics("train_cnn")["test_accuracy"] >= 0.988
    assert read_metrics("train_ae")["validation_loss"] <= 0.122
    noise = read_metrics("eval_noise")
    assert noise["helps_from"] <= 0.2
    assert noise["helps_to"] >= 0.8

import io
import math

import pandas as pd
import pytest

import bench
import sweep_l2
import train_ae
import train_cnn


def test_operations_are_those_of_the_networks(tensorflow):
    builders = {
        "mlp_500_300": lambda: sweep_l2.build(0.0).layers,
        "autoencoder": lambda: [part for half in train_ae.build().layers for part in half.layers],
        "cnn": lambda: train_cnn.build(0.5).layers,
    }
    for name, build in builders.items():
        layers = [layer for layer in build() if layer.weights]
        places = [math.prod(layer.output.shape[1:-1]) for layer in layers]
        products = [math.prod(layer.kernel.shape) for layer in layers]
        forward = [2 * place * product for place, product in zip(places, products, strict=True)]
        assert bench.count_operations(name) == 3 * sum(forward) - forward[0]


def test_bench_measures_every_way(finished_study):
    """At the smallest size; no test fails on a time."""
    options = ["--networks", "mlp", "--images", "300", "--epochs", "2", "--repeats", "1"]
    table = finished_study.run("python", "tools/bench.py", *options).stdout
    rows = pd.read_csv(io.StringIO(table), sep=r"\s+", index_col="way")
    assert {"fit", "ours", "ours_all_cores"} <= set(rows.index)
    assert rows.times_as_fast["fit"] == 1
    assert (rows[["seconds", "limit", "share_of_limit"]] > 0).all(axis=None)
    assert rows.validation.between(0, 1).all()
    assert rows.validation["ours"] == pytest.approx(rows.validation["ours_all_cores"], abs=0.02)

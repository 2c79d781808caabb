import json

import pytest

import bench
import sweep_l2
import train_ae
import train_cnn


def test_operations_of_each_network(tensorflow):
    dense = 784 * 500 + 500 * 300 + 300 * 10
    assert bench.flop(sweep_l2.build(0.0)) == 6 * dense - 2 * 784 * 500
    coder = 784 * 128 + 128 * 96
    assert bench.flop(train_ae.build()) == 6 * 2 * coder - 2 * 784 * 128
    first = 26 * 26 * 9 * 32
    others = 11 * 11 * 9 * 32 * 64 + 3 * 3 * 9 * 64 * 64 + 576 * 64 + 64 * 10
    assert bench.flop(train_cnn.build(0.5)) == 6 * (first + others) - 2 * first


def test_bench_measures_every_way(finished_study):
    """At the smallest size; no test fails on a time."""
    options = ["--networks", "mlp", "--images", "300", "--epochs", "2", "--repeats", "1", "--json"]
    rows = json.loads(finished_study.run("python", "tools/bench.py", *options).stdout)
    by_way = {row["way"]: row for row in rows}
    assert {"fit", "ours", "ours, all cores"} <= set(by_way)
    assert by_way["fit"]["times as fast as fit"] == 1
    assert by_way["ours"]["threads"] == 1
    for row in rows:
        assert row["seconds per epoch"] > 0
        assert row["share of limit"] > 0
        assert row["memory in MiB"] > 100
        assert 0 <= row["validation"] <= 1
    assert by_way["ours"]["validation"] == pytest.approx(
        by_way["ours, all cores"]["validation"], abs=0.02
    )


def test_scale_measures_every_way(finished_study):
    """Three cells that do nothing; no test fails on a time."""
    lines = finished_study.run("python", "tools/scale.py", "--cells", "3").stdout.splitlines()
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[2:]]
    assert [row[:2] for row in rows] == [
        ["3", way] for way in ("`dvc repro`", "1 worker", "2 workers")
    ]
    assert all(float(cell) > 0 for row in rows for cell in row[2:])

"""The numbers of the report, worked out from small tables by hand."""

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from reporting import results


def runs(*rows) -> pd.DataFrame:
    return pd.DataFrame(rows, columns=["stage", "seed", "measure", "level", "value"])


def test_sweeps_are_compared_by_their_bests_and_factors_by_their_means():
    rows = []
    for seed in range(1, 8):
        rows.append(("sweep_l2", seed, "validation_accuracy", 0.1, 0.5))
        rows.append(("sweep_l2", seed, "test_accuracy", 0.1, 0.5))
        rows.append(("sweep_l2", seed, "validation_accuracy", 0.2, seed / 10))
        rows.append(("sweep_l2", seed, "test_accuracy", 0.2, seed / 20))
    parameters = {"sweep_l2": {"grid": {"replicates": [1, 2]}}}
    study = SimpleNamespace(runs=runs(*rows), parameters=parameters, recipe=parameters)
    # Own replicates and the incomplete sweep of 7 are left out. Of 3 and 4, factor 0.1 has the
    # highest validation accuracy; of 5 and 6, factor 0.2 and seed 6.
    assert results.further_bests(study) == [0.5, 0.3]
    found = results.factors(study)
    assert (found["runs"], found["lowest"], found["apart"]) == (7, 0.2, pytest.approx(0.3))
    assert found["deviation"] == pytest.approx((28 / 6) ** 0.5 / 20)


def test_answers_are_counted_by_level_and_rates_by_class():
    """The third class has no images, so no rate."""
    rows = [
        (0.0, 0, "noisy", 0, 6, 6, 6),
        (0.0, 0, "noisy", 1, 4, 3, 4),
        (1.0, 0, "noisy", 0, 6, 0, 1),
        (1.0, 0, "noisy", 1, 4, 4, 9),
        (1.0, 0, "noisy", 2, 0, 0, 0),
    ]
    columns = ["noise_level", "draw", "kind", "label", "images", "recognised", "answered"]
    counts = pd.DataFrame(rows, columns=columns)
    rates = results.class_rates(counts).noisy.to_dict()
    assert rates == {(0, 0.0): 1, (0, 1.0): 0, (1, 0.0): 0.75, (1, 1.0): 1}
    found = results.answers(counts)
    assert found["answer"] == {0.0: 0, 1.0: 1}
    assert found["share"] == {0.0: 0.6, 1.0: 0.9}
    assert (found["most_level"], found["most_answer"], found["most_share"]) == (1, 1, 0.9)


def test_published_number_lies_so_many_deviations_above_the_mean_of_seeds():
    columns = ["name", "published", "network", "measure"]
    numbers = [("a", 0.99, "cnn", "test_accuracy"), ("b", 100, "cnn", "parameters")]
    rows = [("train_cnn", s, "test_accuracy", None, v) for s, v in enumerate([0.96, 0.97, 0.98])]
    study = SimpleNamespace(
        numbers=pd.DataFrame(numbers, columns=columns),
        runs=runs(*rows),
        scores={"cnn": {"test_accuracy": 0.95}},
        models={"cnn": SimpleNamespace(count_params=lambda: 90)},
        histories={"cnn": pd.DataFrame({"loss": [1.0]})},
    )
    found = results.compare(study).set_index("name")
    assert found.difference.tolist() == pytest.approx([-0.04, -10])
    assert found.distance["a"] == pytest.approx(2)
    assert np.isnan(found.distance["b"])

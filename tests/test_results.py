"""The numbers of the report, worked out from small tables by hand."""

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from reporting import results


def runs(*rows) -> pd.DataFrame:
    return pd.DataFrame(rows, columns=["stage", "seed", "measure", "level", "value"])


def sweep_runs(accuracies: dict) -> pd.DataFrame:
    """Make measured runs from pairs of accuracies, validation and test, by factor and seed."""
    rows = []
    for (factor, seed), (validation, test) in accuracies.items():
        rows.append(("sweep_l2", seed, "validation_accuracy", factor, validation))
        rows.append(("sweep_l2", seed, "test_accuracy", factor, test))
    return runs(*rows)


def grid(*replicates) -> dict:
    return {"sweep_l2": {"grid": {"replicates": list(replicates)}}}


def counts(*rows) -> pd.DataFrame:
    columns = ["noise_level", "draw", "kind", "label", "images", "recognised", "answered"]
    return pd.DataFrame(rows, columns=columns)


def test_flat_names_and_no_number_for_what_is_unknown():
    numbers = {"noise": {"rate": {0.4: np.float64(0.5)}, "half": None, "gain": np.nan, "n": 3}}
    flat = results.flatten(numbers)
    assert flat == {"noise.rate.0.4": 0.5, "noise.half": None, "noise.gain": None, "noise.n": 3}
    assert results.flatten({"psnr": np.inf}) == {"psnr": None}


def test_spread_of_several_values_of_one_and_of_none():
    several = results.spread(pd.Series([1.0, 2.0, 3.0]))
    assert several == {"runs": 3, "mean": 2, "deviation": 1, "least": 1, "most": 3}
    one = results.flatten(results.spread(pd.Series([2.0])))
    assert one == {"runs": 1, "mean": 2, "deviation": None, "least": 2, "most": 2}
    none = results.flatten(results.spread(pd.Series(dtype=float)))
    assert none == {"runs": 0, "mean": None, "deviation": None, "least": None, "most": None}


def test_best_run_is_chosen_by_validation():
    columns = ["validation_accuracy", "test_accuracy"]
    cells = pd.DataFrame([(0.8, 0.95), (0.9, 0.7), (0.9, 0.8)], columns=columns)
    assert results.best_run(cells).test_accuracy == 0.7


def test_further_bests_leave_out_own_replicates_and_incomplete_sweeps():
    measured = {(0.1, seed): (0.5, 0.5) for seed in range(1, 8)}
    measured |= {(0.2, seed): (seed / 10, seed / 20) for seed in range(1, 8)}
    study = SimpleNamespace(runs=sweep_runs(measured), parameters=grid(1, 2), recipe=grid(1, 2))
    # Of 3 and 4, factor 0.1 has the highest validation accuracy; of 5 and 6, factor 0.2 and seed 6.
    assert results.further_bests(study) == [0.5, 0.3]
    study.runs = runs()
    assert results.further_bests(study) == []


def test_factors_are_compared_with_the_spread_within_one():
    measured = {(0.1, 1): (0, 0.90), (0.1, 2): (0, 0.94), (0.2, 1): (0, 0.95), (0.2, 2): (0, 0.95)}
    found = results.factors(SimpleNamespace(runs=sweep_runs(measured)))
    assert found["runs"] == 2
    assert found["apart"] == pytest.approx(0.03)
    assert found["deviation"] == pytest.approx(0.04 / 2**0.5)


def test_most_frequent_answer_and_where_it_is_most_frequent():
    table = counts(
        (0.0, 0, "noisy", 0, 6, 6, 6),
        (0.0, 0, "noisy", 1, 4, 4, 4),
        (1.0, 0, "noisy", 0, 6, 1, 1),
        (1.0, 0, "noisy", 1, 4, 4, 9),
        (1.0, 1, "noisy", 0, 6, 0, 1),
        (1.0, 1, "noisy", 1, 4, 3, 9),
    )
    found = results.answers(table)
    assert found["answer"] == {0.0: 0, 1.0: 1}
    assert found["share"] == {0.0: 0.6, 1.0: 0.9}
    assert (found["most_level"], found["most_answer"], found["most_share"]) == (1, 1, 0.9)


def test_class_without_images_has_no_rate():
    table = counts(
        (0.5, 0, "denoised", 0, 4, 2, 2),
        (0.5, 1, "denoised", 0, 4, 3, 4),
        (0.5, 0, "denoised", 1, 0, 0, 2),
        (0.5, 1, "denoised", 1, 0, 0, 0),
    )
    rates = results.class_rates(table)
    assert list(rates.index) == [(0, 0.5)]
    assert rates.denoised.tolist() == [5 / 8]
    assert rates.noisy.isna().all()


def test_leads_are_counted_by_level():
    rows = []
    for seed, (noisy, denoised) in enumerate([(0.5, 0.6), (0.5, 0.4), (0.5, 0.5)]):
        rows.append(("eval_noise", seed, "noisy", 0.2, noisy))
        rows.append(("eval_noise", seed, "denoised", 0.2, denoised))
    study = SimpleNamespace(runs=runs(*rows))
    assert results.seeds(study) == {"runs": 3, "denoising_leads": {0.2: 1}}
    assert results.seeds(SimpleNamespace(runs=runs())) == {"runs": 0, "denoising_leads": {}}


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
    study.numbers = study.numbers[:0]
    assert results.compare(study).empty

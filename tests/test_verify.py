import json

from verify import largest_difference, numbers


def test_numbers_of_nested_metrics():
    assert numbers({"a": 1, "b": {"c": 0.5, "d": "word", "e": None}}) == {"a": 1, "b.c": 0.5}


def test_largest_difference():
    before, after = {"a": 1.0, "b": {"c": 0.5}}, {"a": 1.1, "b": {"c": 0.1}}
    words = largest_difference(json.dumps(before), json.dumps(after))
    assert words == "most in b.c: 0.5 committed, 0.1 computed"
    assert largest_difference("{}", "{}") == "no numbers"
    assert largest_difference("{}", json.dumps(after)) == "other metrics"


def test_honest_results_are_the_same_and_typed_ones_differ(study):
    done = study.run("python", "tools/verify.py", "--stage", "train_mlp")
    lines = done.stdout.splitlines()
    expected = ["models/mlp.keras", "plots/train_mlp/history.csv", "metrics/train_mlp.json"]
    compared = [line for line in lines if line.startswith(("same", "differs"))]
    assert sorted(compared) == sorted(f"same     {path}" for path in expected)

    path = study.folder / "metrics" / "train_mlp.json"
    path.write_text(path.read_text().replace('"accuracy": 0', '"accuracy": 9'))
    study.run("dvc", "commit", "--force", "train_mlp")  # what nobody should do
    study.commit("Cheat")
    done = study.run("python", "tools/verify.py", "--stage", "train_mlp", check=False)
    assert done.returncode == 1
    assert "differs  metrics/train_mlp.json  most in accuracy: 9." in done.stdout
    assert "same     models/mlp.keras" in done.stdout


def test_a_stage_that_is_none_is_named(study):
    done = study.run("python", "tools/verify.py", "--stage", "train_rnn", check=False)
    assert done.returncode == 1
    assert done.stderr.strip().startswith("error: verify: train_rnn is no stage")

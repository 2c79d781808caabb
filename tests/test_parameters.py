"""Every parameter is taken exactly, or refused with its key in params.yaml."""

import importlib
import math
import re
import shlex
import typing

import pytest
from conftest import ROOT, read_yaml
from hypothesis import given
from hypothesis import strategies as st

from common.parameters import ParameterError

LOCK = read_yaml(ROOT / "dvc.lock")["stages"]
STAGES = list(read_yaml(ROOT / "dvc.yaml")["stages"])


def kind_of(stage):
    """Return the class of the parameters of `stage`."""
    kind, *_ = typing.get_type_hints(importlib.import_module(stage).main).values()
    return kind


def command_of(stage):
    """Return the options in the committed command of `stage`; of a matrix, the first cell's."""
    commands = (entry["cmd"] for name, entry in LOCK.items() if name.split("@")[0] == stage)
    words = shlex.split(next(commands))
    return words[words.index(f"stages/{stage}.py") + 1 :]


def parse(stage, *words):
    """Parse the committed command of `stage` with other values: the last of an option counts."""
    return kind_of(stage).parse([*command_of(stage), *words])


def refused(stage, *words):
    """Return the lines with which other values are refused."""
    with pytest.raises(ParameterError) as problem:
        parse(stage, *words)
    return problem.value.args


def test_keys_are_those_of_params_yaml():
    lines = refused("sweep_l2", "--epochs=0", "--factor=2", "--replicate=1.0", "--threads=0")
    keys = [line.split(" = ")[0] for line in lines]
    assert set(keys) == {
        "sweep_l2.training.epochs",
        "sweep_l2.grid.factors",
        "sweep_l2.grid.replicates",
        "threads",
    }
    for key in keys:
        place = read_yaml(ROOT / "params.yaml")
        for name in key.split("."):
            place = place[name]


def test_missing_unknown_and_empty_parameters_are_named():
    words = shlex.join(command_of("train_mlp")).replace("--epochs", "--epoch").split()
    with pytest.raises(ParameterError) as problem:
        kind_of("train_mlp").parse(["many", *words])
    unknown, missing = problem.value.args
    assert unknown.startswith("train_mlp: many --epoch 10: no parameter of this stage (learning_")
    assert missing.startswith("train_mlp.epochs is missing: passes over the training images")
    [line] = refused("fetch", "--sources")
    assert line.startswith("fetch.sources = empty: ")


@pytest.mark.parametrize("word", ["0", "0.0", "1", "1e-06", "0.00025075", "0.1"])
def test_factor_is_written_again_as_dvc_wrote_it(word):
    """The names of a cell's files hold it."""
    assert str(parse("sweep_l2", "--factor", word).factor) == word


@pytest.mark.parametrize("word", ["-0", "0_1", "0.001 ", "1e-6", "0.10", "1e-1", "$(date)"])
def test_other_spellings_of_a_factor_are_refused(word):
    [line] = refused("sweep_l2", f"--factor={word}")
    assert line.startswith("sweep_l2.grid.factors = ")


def check_number(name, word, value, low, high):
    """Give `word` to the perceptron's stage: it is taken as `value`, or refused by its key."""
    if low <= value <= high:
        assert getattr(parse("train_mlp", f"--{name}={word}"), name) == value
    else:
        [line] = refused("train_mlp", f"--{name}={word}")
        assert line.startswith(f"train_mlp.{name} = ")


@given(st.floats(), st.integers())
def test_number_is_taken_exactly_or_refused(rate, epochs):
    check_number("learning_rate", rate, rate, math.ulp(0), 100)
    check_number("epochs", epochs, epochs, 1, 10_000)


@given(st.text(st.characters(codec="utf-8", exclude_categories=["Z", "C"]), min_size=1))
def test_words_that_are_no_numbers_are_refused(word):
    try:
        value = float(word)
    except ValueError:
        value = math.nan
    if not 0 < value <= 100:
        check_number("learning_rate", word, value, math.ulp(0), 100)


@given(st.lists(st.floats().map(abs), max_size=5))
def test_noise_levels_are_taken_exactly_or_refused(levels):
    words = ["--noise_levels", *map(repr, levels)]
    if levels and all(level <= 1 for level in levels) and len(set(levels)) == len(levels):
        assert parse("eval_noise", *words).noise_levels == levels
    else:
        [line] = refused("eval_noise", *words)
        assert line.startswith("eval_noise.noise_levels = ")


# Stage and parameter, values that are taken, others that are not, and what is said about these.
RANGES = [
    ("fetch", "sources", "/a /b", "/a /b /a", "a value stands twice"),
    ("preprocess", "limit", "100 50", "100", "null for all images; or"),
    ("preprocess", "limit", "10 10", "9 10", "null for all images; or"),
    ("preprocess", "limit", "60000 10", "60001 10", "null for all images; or"),
    ("preprocess", "limit", "None", "100 10001", "null for all images; or"),
    ("preprocess", "validation", "10", "9", "what later stages validate on: test"),
    ("preprocess", "validation", "50000", "50001", "what later stages validate on: test"),
    ("preprocess", "validation", "test", "train", "what later stages validate on: test"),
    ("preprocess", "validation", "99 --limit 100 50", "100 --limit 100 50", "limit allows 100 "),
    ("train_mlp", "epochs", "1", "0", "passes over the training images: a whole number from 1 to "),
    ("train_mlp", "epochs", "10000", "1.5", "passes over"),
    ("train_mlp", "epochs", "10", "1 2", "passes over"),
    ("train_mlp", "epochs", "10", "99999999999999999999", "passes over"),
    ("train_mlp", "epochs", "10", "", "passes over"),
    ("train_mlp", "learning_rate", "100", "0", "step size of the optimizer: above 0, at most 100"),
    ("train_mlp", "batch_size", "60000", "60001", "images in each step"),
    ("train_mlp", "momentum", "0", "1", "share of each step"),
    ("train_mlp", "schedule", "cosine", "linear", "the learning rate over the epochs"),
    ("train_cnn", "dropout", "0", "1", "share of the last"),
    ("train_cnn", "shift", "14", "15", "pixels"),
    ("train_ae", "noise_level", "0", "1.1", "share of a training image's pixels"),
    ("train_ae", "noise_level", "0.2 0.2", "-0.1", "share of a training image's pixels"),
    ("train_ae", "noise_level", "0 0.8", "0 0.4 0.8", "share of a training image's pixels"),
    ("train_ae", "noise_level", "0.4 0.5", "0.5 0.4", "the range ends before it starts"),
    ("train_ae", "noise_skew", "1", "0.5", "1 draws"),
    ("train_cnn", "noise_drawn", "every_epoch", "never", "when the noise"),
    ("eval_noise", "noise_levels", "0 0.1", "0 0.0", "a value stands twice"),
    ("sweep_l2.grid", "factors", "0.1 0.2", "0.1 0.1", "a value stands twice"),
    ("sweep_l2.grid", "replicates", "1 2", "1 1", "a value stands twice"),
]


@pytest.mark.parametrize(("section", "name", "good", "bad", "said"), RANGES)
def test_value_stays_in_its_range(section, name, good, bad, said):
    stage = section.replace("sweep_l2.grid", "report")
    parse(stage, f"--{name}", *good.split())
    [line] = refused(stage, f"--{name}", *bad.split())
    value = bad.partition(" --")[0] or "true"
    assert line.startswith(f"{section}.{name} = {value}: {said}")


@pytest.mark.parametrize("stage", STAGES)
def test_every_parameter_of_every_stage_is_checked(stage):
    parse(stage)  # as committed
    with pytest.raises(ParameterError) as problem:
        kind_of(stage).parse([])
    names = list(kind_of(stage).model_fields)
    for name, line in zip(names, problem.value.args, strict=True):
        assert re.match(rf"([\w.]+\.)?{name}s? is missing: ", line)
        # Anything may be the name of a source; of no number, share, or list of them.
        wrong = ["many", "nan", "inf", "-1", "1e400", "1e9 1e9 1e9"] if name != "sources" else []
        for value in ("", *wrong):
            [refusal] = refused(stage, f"--{name}", *value.split())
            assert name.rstrip("s") in refusal.split(" = ")[0]


def test_stage_by_hand_runs_in_any_folder_or_says_how(study):
    script = study.folder / "stages" / "train_mlp.py"
    none = study.run("python", script, check=False)
    assert none.returncode == 1
    assert none.stderr == (
        "error: train_mlp: no parameters given; run it as DVC does: "
        "dvc repro --single-item train_mlp (--help explains the parameters)\n"
    )
    study.run("env", "--chdir", "/", "python", script, *command_of("train_mlp"), "--epochs=1")
    assert len((study.folder / "plots/train_mlp/history.csv").read_text().splitlines()) == 2

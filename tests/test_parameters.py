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


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("epochs", "0", "train_mlp.epochs = 0: passes over the training images: a whole number"),
        ("epochs", "1.5", "train_mlp.epochs = 1.5: "),
        ("epochs", "1 2", "train_mlp.epochs = 1 2: "),
        ("epochs", "99999999999999999999", "train_mlp.epochs = 99999999999999999999: "),
        ("epochs", "", "train_mlp.epochs = true: "),
        ("learning_rate", "0", "train_mlp.learning_rate = 0: step size of the optimizer: above 0"),
        ("learning_rate", "None", "train_mlp.learning_rate = None: "),
        ("batch_size", "60001", "train_mlp.batch_size = 60001: "),
        ("threads", "0", "threads = 0: threads of TensorFlow"),
    ],
)
def test_refused_value_is_named_with_its_key_and_range(name, value, said):
    [line] = refused("train_mlp", f"--{name}", *value.split())
    assert line.startswith(said)


def test_keys_are_those_of_params_yaml():
    lines = refused("sweep_l2", "--epochs=0", "--factor=2", "--replicate=1.0")
    keys = {line.split(" = ")[0] for line in lines}
    assert keys == {"sweep_l2.training.epochs", "sweep_l2.grid.factors", "sweep_l2.grid.replicates"}
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


@pytest.mark.parametrize(
    ("stage", "name", "good", "bad"),
    [
        ("fetch", "sources", "/a /b", "/a /b /a"),
        ("train_mlp", "momentum", "0", "1"),
        ("train_mlp", "schedule", "cosine", "linear"),
        ("train_cnn", "dropout", "0", "1"),
        ("train_cnn", "shift", "14", "15"),
        ("train_ae", "noise_level", "0", "1.1"),
        ("train_ae", "noise_level", "0.2 0.2", "-0.1"),
        ("train_cnn", "noise_level", "0 1", "0.5 0.4"),
        ("train_ae", "noise_level", "0 0.8", "0 0.4 0.8"),
        ("train_ae", "noise_skew", "1", "0.5"),
        ("train_cnn", "noise_drawn", "every_epoch", "never"),
        ("eval_noise", "noise_levels", "0 0.1", "0 0.0"),
        ("report", "factors", "0.1 0.2", "0.1 0.1"),
        ("report", "replicates", "1 2", "1 1"),
        ("preprocess", "validation", "5000", "x"),
        ("preprocess", "validation", "test", "9"),
        ("preprocess", "limit", "100 50", "100"),
    ],
)
def test_value_stays_in_its_range(stage, name, good, bad):
    parse(stage, f"--{name}", *good.split())
    [line] = refused(stage, f"--{name}", *bad.split())
    assert f"{name} = {bad}: " in line


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


def test_stage_by_hand_says_how_to_run_it(study):
    script = study.folder / "stages" / "train_mlp.py"
    none = study.run("python", script, check=False)
    command = ("env", "--chdir", "/", "python", script, *command_of("train_mlp"))
    elsewhere = study.run(*command, check=False)
    assert none.stderr == (
        "error: train_mlp: no parameters given; run it as DVC does: "
        "dvc repro --single-item train_mlp (--help explains the parameters)\n"
    )
    said = f"this is not the project's folder; first: cd {study.folder}"
    assert elsewhere.stderr == f"error: train_mlp: {said}\n"
    assert elsewhere.returncode == none.returncode == 1

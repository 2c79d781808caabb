import math
import shlex

import pytest
import yaml
from conftest import ROOT
from hypothesis import given
from hypothesis import strategies as st

from common.parameters import ParameterError
from eval_noise import NoiseParameters
from fetch import FetchParameters
from preprocess import PreprocessParameters
from report import GridParameters
from sweep_l2 import CellParameters
from train_ae import AutoencoderParameters
from train_cnn import CnnParameters
from train_mlp import MlpParameters

RATES = "--learning_rate 0.1 --momentum 0.0 --schedule constant"
GOOD = f"{RATES} --batch_size 128 --epochs 10 --seed 0 --threads 1"


def parse(parameters, line):
    return parameters.parse(line.split())


def refused(parameters, line):
    """The lines with which `line` is refused."""
    with pytest.raises(ParameterError) as problem:
        parse(parameters, line)
    return problem.value.args


def test_words_become_typed_values():
    parameters = parse(MlpParameters, GOOD)
    assert parameters.learning_rate == 0.1
    assert parameters.epochs == 10


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("epochs", "0"),
        ("epochs", "10001"),
        ("epochs", "ten"),
        ("epochs", "1.5"),
        ("epochs", "1 2"),
        ("epochs", "nan"),
        ("epochs", "99999999999999999999"),
        ("learning_rate", "0"),
        ("learning_rate", "-0.1"),
        ("learning_rate", "inf"),
        ("learning_rate", "nan"),
        ("learning_rate", "None"),
        ("batch_size", "60001"),
        ("seed", "-1"),
        ("seed", "4294967296"),
        ("threads", "0"),
    ],
)
def test_a_bad_value_is_named_with_what_is_allowed(name, value):
    words = GOOD.split()
    place = words.index(f"--{name}")
    words[place + 1 : place + 2] = value.split()
    allowed = MlpParameters.model_fields[name].description
    assert refused(MlpParameters, " ".join(words)) == (f"train_mlp.{name} = {value}: {allowed}",)


def test_missing_and_unknown_parameters_are_named():
    unknown, missing = refused(MlpParameters, GOOD.replace("--epochs 10", "--epoch 10"))
    assert unknown == (
        "train_mlp: --epoch 10: no parameter of this stage "
        "(learning_rate, momentum, schedule, batch_size, epochs, seed, threads)"
    )
    assert missing.startswith("train_mlp.epochs is missing: passes over the training images")


def test_a_word_too_many_is_named():
    assert refused(MlpParameters, f"many {GOOD}")[0].startswith("train_mlp: many: no parameter")


def test_a_list_may_not_be_empty():
    [line] = refused(FetchParameters, "--sources --timeout 10")
    assert line.startswith("fetch.sources = empty: where to look")


@pytest.mark.parametrize("word", ["0", "0.0", "1", "1e-06", "0.00025075", "0.1"])
def test_a_factor_is_written_again_as_dvc_wrote_it(word):
    """The names of a cell's files hold it."""
    cell = parse(CellParameters, f"{GOOD} --factor {word} --replicate 1")
    assert str(cell.factor) == word


@given(st.floats())
def test_a_learning_rate_is_taken_exactly_or_refused(value):
    line = GOOD.replace("--learning_rate 0.1", f"--learning_rate={value}")
    if 0 < value <= 100:
        assert parse(MlpParameters, line).learning_rate == value
    else:
        assert f"train_mlp.learning_rate = {value}: " in refused(MlpParameters, line)[0]


@given(st.integers())
def test_a_number_of_epochs_is_taken_exactly_or_refused(value):
    line = GOOD.replace("--epochs 10", f"--epochs={value}")
    if 1 <= value <= 10_000:
        assert parse(MlpParameters, line).epochs == value
    else:
        assert f"train_mlp.epochs = {value}: " in refused(MlpParameters, line)[0]


@given(st.text(st.characters(codec="utf-8", exclude_categories=["Z", "C"]), min_size=1))
def test_words_that_are_no_numbers_are_refused(word):
    try:
        number = float(word)
    except ValueError:
        number = math.nan
    line = GOOD.replace("--learning_rate 0.1", f"--learning_rate={word}")
    if not 0 < number <= 100:
        assert refused(MlpParameters, line)[0].startswith("train_mlp.learning_rate = ")


@given(st.lists(st.floats(), max_size=5))
def test_noise_levels_are_taken_exactly_or_refused(levels):
    words = ["--draws", "1", "--examples", "0", "--seed", "0", "--threads", "1"]
    words += ["--noise_levels", *map(repr, map(abs, levels))]
    levels = list(map(abs, levels))
    if levels and all(level <= 1 for level in levels) and len(set(levels)) == len(levels):
        assert NoiseParameters.parse(words).noise_levels == levels
    else:
        assert refused(NoiseParameters, " ".join(words))[0].startswith("eval_noise.noise_levels = ")


@pytest.mark.parametrize(
    ("parameters", "line", "section", "name"),
    [
        (FetchParameters, "--sources a b a --timeout 10", "fetch", "sources"),
        (GridParameters, "--factors 0.1 1e-1 --replicates 1", "sweep_l2.grid", "factors"),
        (GridParameters, "--factors 0.1 --replicates 1 1", "sweep_l2.grid", "replicates"),
        (
            NoiseParameters,
            "--noise_levels 0 0.0 --draws 1 --examples 0 --seed 0 --threads 1",
            "eval_noise",
            "noise_levels",
        ),
    ],
)
def test_no_value_may_stand_twice(parameters, line, section, name):
    assert refused(parameters, line)[0].startswith(f"{section}.{name} = ")


@pytest.mark.parametrize(
    ("line", "validation", "limit"),
    [
        ("--validation test --limit None --seed 0", "test", None),
        ("--validation 5000 --limit 100 50 --seed 0", 5000, [100, 50]),
    ],
)
def test_preprocess_parameters_as_dvc_writes_them(line, validation, limit):
    parameters = parse(PreprocessParameters, line)
    assert parameters.validation == validation
    assert parameters.limit == limit


@pytest.mark.parametrize(
    "line", ["--validation x --limit None", "--validation test --limit 100", "--validation 9"]
)
def test_other_preprocess_parameters_are_refused(line):
    assert refused(PreprocessParameters, f"{line} --seed 0")


@pytest.mark.parametrize(
    ("stage", "name", "good", "bad"),
    [
        ("train_mlp", "momentum", "0", "1"),
        ("train_mlp", "schedule", "cosine", "linear"),
        ("train_cnn", "dropout", "0", "1"),
        ("train_cnn", "shift", "14", "15"),
        ("train_ae", "noise_level", "0", "1.1"),
        ("train_ae", "noise_level", "0.2 0.2", "-0.1"),
        ("train_ae", "noise_level", "0 1", "0.5 0.4"),
        ("train_ae", "noise_level", "0 0.8", "0 0.4 0.8"),
        ("train_ae", "noise_skew", "1", "0.5"),
        ("train_ae", "noise_drawn", "every_epoch", "never"),
    ],
)
def test_a_value_stays_in_its_range(stage, name, good, bad):
    others = " ".join(without(name, command_of(stage)[1:]))
    parse(STAGES[stage], f"{others} --{name} {good}")
    [line] = refused(STAGES[stage], f"{others} --{name} {bad}")
    assert line.startswith(f"{stage}.{name} = {bad}: ")


def command_of(stage):
    """The words after `python` in the committed command of `stage`, the first cell of a matrix."""
    stages = yaml.safe_load((ROOT / "dvc.lock").read_text())["stages"]
    return shlex.split(
        next(entry["cmd"] for name, entry in stages.items() if name.split("@")[0] == stage)
    )[1:]


def without(name, words):
    """`words` of a command line without the option `name` and its values."""
    start = words.index(f"--{name}")
    end = start + 1
    while end < len(words) and not words[end].startswith("--"):
        end += 1
    return words[:start] + words[end:]


STAGES = {
    "fetch": FetchParameters,
    "preprocess": PreprocessParameters,
    "train_mlp": MlpParameters,
    "sweep_l2": CellParameters,
    "train_cnn": CnnParameters,
    "train_ae": AutoencoderParameters,
    "eval_noise": NoiseParameters,
    "report": GridParameters,
}


@pytest.mark.parametrize(
    ("stage", "name"),
    [(stage, name) for stage, parameters in STAGES.items() for name in parameters.model_fields],
)
def test_every_parameter_of_every_stage_is_checked(stage, name):
    parameters, (_, *words) = STAGES[stage], command_of(stage)
    parameters.parse(words)  # as committed
    others = shlex.join(without(name, words))
    assert f".{name} is missing: " in refused(parameters, others)[0]
    # Anything may be the name of a source; of no number, share, or list of them.
    bad = ["", *([] if name == "sources" else ["many", "nan", "inf", "-1", "1e400", "1e9 1e9 1e9"])]
    for value in bad:
        [line] = refused(parameters, f"{others} --{name} {value}")
        assert f".{name} = {value or 'empty'}: {parameters.model_fields[name].description}" in line

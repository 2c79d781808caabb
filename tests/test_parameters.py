import pytest

from eval_noise import NoiseParameters
from fetch import FetchParameters
from preprocess import PreprocessParameters
from report import GridParameters
from train_ae import AutoencoderParameters
from train_cnn import CnnParameters
from train_mlp import MlpParameters

GOOD = "--learning_rate 0.1 --batch_size 128 --epochs 10 --seed 0 --threads 1"


def parse(parameters, line):
    return parameters.parse("section", "Description.", line.split())


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
def test_a_bad_value_is_named_with_what_is_allowed(capsys, name, value):
    words = GOOD.split()
    place = words.index(f"--{name}")
    words[place + 1 : place + 2] = value.split()
    with pytest.raises(SystemExit) as stop:
        parse(MlpParameters, " ".join(words))
    assert stop.value.code == 2
    allowed = MlpParameters.model_fields[name].description
    assert capsys.readouterr().err == f"error: section.{name} = {value}: {allowed}\n"


def test_missing_and_unknown_parameters_are_named(capsys):
    with pytest.raises(SystemExit):
        parse(MlpParameters, GOOD.replace("--epochs 10", "--epoch 10"))
    message = capsys.readouterr().err
    assert "section: --epoch is not a parameter" in message
    assert "section.epochs = missing: passes over the training images" in message


def test_a_list_may_not_be_empty(capsys):
    with pytest.raises(SystemExit):
        parse(FetchParameters, "--sources --timeout 10")
    assert "section.sources = empty: where to look" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("parameters", "line", "name"),
    [
        (FetchParameters, "--sources a b a --timeout 10", "sources"),
        (GridParameters, "--factors 0.1 1e-1 --replicates 1", "factors"),
        (GridParameters, "--factors 0.1 --replicates 1 1", "replicates"),
        (
            NoiseParameters,
            "--noise_levels 0 0.0 --draws 1 --examples 0 --seed 0 --threads 1",
            "noise_levels",
        ),
    ],
)
def test_no_value_may_stand_twice(capsys, parameters, line, name):
    with pytest.raises(SystemExit):
        parse(parameters, line)
    assert f"section.{name} = " in capsys.readouterr().err


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
    with pytest.raises(SystemExit):
        parse(PreprocessParameters, f"{line} --seed 0")


@pytest.mark.parametrize(
    ("parameters", "option", "bad"),
    [
        (CnnParameters, "--dropout", "1"),
        (AutoencoderParameters, "--noise_level", "1.1"),
        (AutoencoderParameters, "--noise_level", "-0.1"),
    ],
)
def test_shares_stay_in_range(parameters, option, bad, capsys):
    parse(parameters, f"{GOOD} {option} 0")
    with pytest.raises(SystemExit):
        parse(parameters, f"{GOOD} {option} {bad}")
    assert f"section.{option[2:]} = {bad}" in capsys.readouterr().err

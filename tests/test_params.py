"""Every parameter is taken exactly, or refused in one line with its key in params.yaml."""

import re
import shutil
import sys
from pathlib import Path

import pytest
from conftest import ROOT, Project, read_yaml

import check_params
from common.params import ParamsError, read_file

list(check_params.check_stages())  # imports the stages
CLASSES = {found.section: found for found in check_params.find_classes()}


@pytest.fixture
def project(tmp_path, monkeypatch) -> Project:
    """Work in a folder with this project's params.yaml alone."""
    monkeypatch.chdir(tmp_path)
    shutil.copy2(ROOT / "params.yaml", tmp_path)
    return Project(tmp_path)


def refuse(section: str) -> str:
    """Return the one line with which a section of the working directory is refused."""
    with pytest.raises(ParamsError) as problem:
        CLASSES[section].read()
    [line] = problem.value.args
    assert "\n" not in line
    return line


@pytest.mark.parametrize("value", [[0, 0.8], 1])
def test_number_may_be_whole_and_stand_for_a_range(project, value):
    project.change(train_ae__noise_level=value)
    assert CLASSES["train_ae"].read().noise_level == value


@pytest.mark.parametrize(
    ("key", "value", "said"),
    [
        ("train_mlp.epochs", 0, "0: Input should be greater than or equal to 1"),
        ("train_mlp.epochs", 1.0, "1.0: Input should be a valid integer"),
        ("train_cnn.dropout", float("nan"), "NaN: Input should be a finite number"),
        ("preprocess.validation", 9, "9: Input should be 'test'; or: Input should be greater"),
        ("train_ae.noise_level", [0.5, 0.4], "[0.5, 0.4]: Value error, the range ends before it"),
        ("eval_noise.examples", [1, 1], "[1, 1]: Value error, a value stands twice"),
    ],
)
def test_wrong_value_is_refused_with_its_key(project, key, value, said):
    project.change(**{key.replace(".", "__"): value})
    assert refuse(key.partition(".")[0]).startswith(f"{key} = {said}")


@pytest.mark.parametrize(
    ("pattern", "new", "said"),
    [
        (r"(train_mlp:\n)(  .*\n)", r"\1", r"train_mlp\.\w+: Field required"),
        (r"(train_mlp:\n)", r"\1  rate: 1\n", "train_mlp.rate = 1: Extra inputs are"),
        (r"(train_mlp:\n)", r"\1  threads: 2\n", "train_mlp.threads: not in this section"),
        (r"train_mlp:", "train_mpl:", "train_mlp is missing: a section of params.yaml"),
        (r"\nthreads: .*", r"\nthreads: 010", 'threads = "010": Input should be a valid integer'),
        (r"train_mlp:", "train_mlp: [", r"params.yaml: .*did not find .* line \d"),
    ],
)
def test_wrong_key_section_or_file_is_named(project, pattern, new, said):
    path = project.folder / "params.yaml"
    text = path.read_text(encoding="utf-8")
    path.write_text(re.sub(pattern, new, f"\n{text}", count=1), encoding="utf-8")
    assert re.match(said, refuse("train_mlp"))


def test_missing_file_is_named(project):
    Path("params.yaml").unlink()
    assert re.match("params.yaml: .*No such file", refuse("train_mlp"))


def test_all_stages_are_checked_at_once(project, capsys):
    """Wrong values of several stages, one of which several share: a line for each."""
    check_params.main()
    project.change(threads=-1, train_cnn__shift=-1, sweep_l2__grid__factors=-1)
    with pytest.raises(SystemExit, match="2"):
        check_params.main()
    lines = capsys.readouterr().err.splitlines()
    found = [re.match(r"error: (\S+) = -1: Input should be ", line)[1] for line in lines]
    assert {"sweep_l2.grid.factors", "threads", "train_cnn.shift"} <= set(found)


def test_images_in_the_figures_must_be_within_the_limit(project):
    project.change(eval_noise__examples=[3, 12], preprocess__limit=[100, 13])
    assert list(check_params.check_limit(read_file())) == []
    project.change(preprocess__limit=[100, 12])
    [line] = check_params.check_limit(read_file())
    assert line.startswith("eval_noise.examples = 12: preprocess.limit allows 12 test images")


def test_help_lists_every_parameter(monkeypatch, capsys):
    """Those of the section, those on top of the file, and those of the command line."""
    monkeypatch.setattr(sys, "argv", ["stages/sweep_l2.py", "--help"])
    with pytest.raises(SystemExit, match="0"):
        CLASSES["sweep_l2.training"].load()
    listed = re.findall(r"^  (\S+): \S", capsys.readouterr().out.partition("parameters:")[2], re.M)
    names = read_yaml(ROOT / "params.yaml")["sweep_l2"]["training"]
    keys = [f"sweep_l2.training.{name}" for name in names]
    assert sorted(listed) == sorted([*keys, "threads", "--factor", "--replicate"])


def test_stage_with_wrong_parameters_ends_with_code_2(project, monkeypatch, capsys):
    project.change(preprocess__seed=-1)
    monkeypatch.setattr("common.params.PROJECT", project.folder)
    monkeypatch.setattr(sys, "argv", ["stages/preprocess.py"])
    with pytest.raises(SystemExit, match="2"):
        CLASSES["preprocess"].load()
    assert re.fullmatch(r"error: preprocess\.seed = -1: Input .*\n", capsys.readouterr().err)


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (KeyboardInterrupt(), "interrupted; repeat the command"),
        (FileNotFoundError(2, "No such file", "x"), "x: No such file; correct that, then repeat"),
    ],
)
def test_stage_that_a_user_stops_or_misleads_ends_in_one_line(monkeypatch, capsys, error, said):
    monkeypatch.setattr(sys, "argv", ["stages/preprocess.py"])
    sys.excepthook(type(error), error, None)
    assert re.fullmatch(f"error: preprocess: {said}.*\n", capsys.readouterr().err)


def test_a_stage_must_make_the_network_that_reads_noisy_images(project):
    project.change(eval_noise__classifier="mlp")
    assert list(check_params.check_classifier(read_file())) == []
    project.change(eval_noise__classifier="rnn")
    [line] = check_params.check_classifier(read_file())
    assert line.startswith('eval_noise.classifier = "rnn": no stage')

"""Every parameter is taken exactly, or refused in one line with its key in params.yaml."""

import re
import shutil
import sys

import pytest
from conftest import ROOT, Project, read_yaml

import check_params

list(check_params.check_stages())  # imports the stages
CLASSES = {found.section: found for found in check_params.find_classes()}


@pytest.fixture
def project(tmp_path, monkeypatch) -> Project:
    """Work in a folder with this project's params.yaml alone."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("common.params.PROJECT", tmp_path)
    monkeypatch.setattr(sys, "argv", ["stages/NAME.py"])
    shutil.copy2(ROOT / "params.yaml", tmp_path)
    return Project(tmp_path)


def refuse(command, capsys) -> list[str]:
    """Return the lines with which a stage, or the check of all, refuses params.yaml."""
    with pytest.raises(SystemExit, match="2"):
        command()
    return capsys.readouterr().err.splitlines()


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
def test_wrong_value_is_refused_with_its_key(project, capsys, key, value, said):
    project.change(**{key.replace(".", "__"): value})
    [line] = refuse(CLASSES[key.partition(".")[0]].load, capsys)
    assert line.startswith(f"error: {key} = {said}")


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
def test_wrong_key_section_or_file_is_named(project, capsys, pattern, new, said):
    path = project.folder / "params.yaml"
    text = path.read_text(encoding="utf-8")
    path.write_text(re.sub(pattern, new, f"\n{text}", count=1), encoding="utf-8")
    [line] = refuse(CLASSES["train_mlp"].load, capsys)
    assert re.match(f"error: {said}", line)


def test_all_stages_are_checked_at_once(project, capsys):
    check_params.main()
    project.change(threads=-1, train_cnn__shift=-1, sweep_l2__grid__factors=-1)
    lines = refuse(check_params.main, capsys)
    found = [re.match(r"error: (\S+) = -1: Input should be ", line)[1] for line in lines]
    assert {"sweep_l2.grid.factors", "threads", "train_cnn.shift"} <= set(found)


def test_values_that_do_not_belong_together_are_refused(project, capsys):
    limit = {"preprocess__validation": "test", "preprocess__limit": [100, 13]}
    project.change(**limit, eval_noise__examples=[3, 12], eval_noise__classifier="mlp")
    check_params.main()
    project.change(preprocess__limit=[100, 12], eval_noise__classifier="rnn")
    images, classifier = refuse(check_params.main, capsys)
    assert images.startswith("error: eval_noise.examples = 12: preprocess.limit allows 12 test")
    assert classifier.startswith('error: eval_noise.classifier = "rnn": no stage')


def test_help_lists_every_parameter(monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["stages/sweep_l2.py", "--help"])
    with pytest.raises(SystemExit, match="0"):
        CLASSES["sweep_l2.training"].load()
    listed = re.findall(r"^  (\S+): \S", capsys.readouterr().out.partition("parameters:")[2], re.M)
    names = read_yaml(ROOT / "params.yaml")["sweep_l2"]["training"]
    keys = [f"sweep_l2.training.{name}" for name in names]
    assert sorted(listed) == sorted([*keys, "threads", "--factor", "--replicate"])


def test_failures_that_a_user_causes_cost_one_line(capsys):
    too_small = ValueError("Computed output size would be negative")
    for error in KeyboardInterrupt(), FileNotFoundError(2, "No such file", "x"), too_small:
        sys.excepthook(type(error), error, None)
    stopped, missing, layers = capsys.readouterr().err.splitlines()
    assert stopped.endswith(": interrupted; repeat the command")
    assert missing.endswith(": x: No such file; correct that, then repeat the command")
    assert ": the images are too small for so many layers" in layers

"""Every parameter is taken exactly, or refused in one line with its key in params.yaml."""

import importlib
import re
import shutil
import sys
from pathlib import Path

import pytest
from conftest import ROOT, read_yaml
from ruamel.yaml import YAML

import check_params
from common.params import ParamsError, read_file

for path in (ROOT / "stages").glob("*.py"):
    importlib.import_module(path.stem)
CLASSES = {found.section: found for found in check_params.find_classes()}


def read(section: str):
    """Read a section of the params.yaml in the working directory, as its stage does."""
    arguments = dict.fromkeys(CLASSES[section].arguments, "1")
    return CLASSES[section].read(**arguments)


def refuse(section: str) -> str:
    """Return the one line with which a section is refused."""
    with pytest.raises(ParamsError) as problem:
        read(section)
    [line] = problem.value.args
    assert "\n" not in line
    return line


def find_holder(content: dict, key: str) -> tuple[dict, str]:
    """Return the mapping that holds a key such as train_mlp.epochs, and the key's last part."""
    *sections, last = key.split(".")
    for section in sections:
        content = content[section]
    return content, last


@pytest.fixture
def change(tmp_path, monkeypatch):
    """Write params.yaml with one key changed, and go to its folder."""
    monkeypatch.chdir(tmp_path)

    def write(key, value):
        content = read_yaml(ROOT / "params.yaml")
        holder, last = find_holder(content, key)
        holder[last] = value
        with Path("params.yaml").open("w", encoding="utf-8") as file:
            YAML(typ="safe").dump(content, file)

    return write


@pytest.mark.parametrize("value", [0.4, [0, 0.8], 1])
def test_right_value_is_taken(change, value):
    """A whole number is a number; a union has all of its types."""
    change("train_ae.noise_level", value)
    assert read("train_ae").noise_level == value


@pytest.mark.parametrize(
    ("key", "value", "said"),
    [
        ("train_mlp.epochs", 0, "0: Input should be greater than or equal to 1"),
        ("train_mlp.epochs", 1.0, "1.0: Input should be a valid integer"),
        ("train_mlp.epochs", "1", '"1": Input should be a valid integer'),
        ("train_mlp.epochs", None, "null: Input should be a valid integer"),
        ("train_cnn.dropout", 1.5, "1.5: Input should be less than 1"),
        ("train_cnn.dropout", float("nan"), "NaN: Input should be a finite number"),
        ("train_mlp.schedule", "linear", "\"linear\": Input should be 'constant' or 'cosine'"),
        (
            "preprocess.validation",
            9,
            "9: Input should be 'test'; or: Input should be greater than or equal to 10",
        ),
        ("train_ae.noise_level", [0.5, 0.4], "[0.5, 0.4]: Value error, the range ends before it"),
        ("sweep_l2.grid.factors", [0.1, 0.1], "[0.1, 0.1]: Value error, a value stands twice"),
        ("sweep_l2.grid.factors", [], "[]: List should have at least 1 item"),
        ("eval_noise.classifier", "../cnn", '"../cnn": String should match pattern'),
    ],
)
def test_wrong_value_is_refused_with_its_key(change, key, value, said):
    change(key, value)
    assert refuse(key.rpartition(".")[0]).startswith(f"{key} = {said}")


@pytest.mark.parametrize(
    ("pattern", "new", "section", "said"),
    [
        (
            r"(train_mlp:(?:.|\n)*?)  epochs: .*\n",
            r"\1",
            "train_mlp",
            "train_mlp.epochs: Field req",
        ),
        (r"epochs: .*", "epochs: 010", "train_mlp", 'train_mlp.epochs = "010": Input should be'),
        (r"(train_mlp:\n)", r"\1  rate: 1\n", "train_mlp", "train_mlp.rate = 1: Extra inputs are"),
        (r"train_mlp:", "train_mpl:", "train_mlp", "train_mlp is missing: a section of params.y"),
        (r"\nthreads: .*", "", "train_cnn", "threads: Field required"),
        (r"\nthreads: .*", r"\nthreads: 0", "train_cnn", "threads = 0: Input should be greater"),
        (r"\n(threads: .*)", r"\n\1\n\1", "preprocess", r"params.yaml: .*duplicate key"),
        (r"train_mlp:", "train_mlp: [", "preprocess", r"params.yaml: .*did not find .* line \d"),
        (r"(train_mlp:\n)", r"\1  threads: 2\n", "train_mlp", "train_mlp.threads: not in this sec"),
        (r"(?s).*", "", "preprocess", "preprocess is missing: a section of params.yaml"),
    ],
)
def test_wrong_key_section_or_file_is_named(tmp_path, monkeypatch, pattern, new, section, said):
    monkeypatch.chdir(tmp_path)
    text = (ROOT / "params.yaml").read_text(encoding="utf-8")
    changed = re.sub(pattern, new, f"\n{text}", count=1)
    assert changed != f"\n{text}"
    Path("params.yaml").write_text(changed, encoding="utf-8")
    assert re.match(said, refuse(section))
    Path("params.yaml").unlink()
    assert re.match("params.yaml: .*No such file", refuse(section))


def test_all_stages_are_checked_at_once(tmp_path, monkeypatch, capsys):
    """Wrong values of several stages, one of which several share: a line for each."""
    monkeypatch.chdir(tmp_path)
    shutil.copy(ROOT / "params.yaml", tmp_path)
    check_params.main()
    content = read_file()
    content["threads"] = content["train_cnn"]["shift"] = content["sweep_l2"]["grid"]["factors"] = -1
    with Path("params.yaml").open("w", encoding="utf-8") as file:
        YAML(typ="safe").dump(content, file)
    with pytest.raises(SystemExit, match="2"):
        check_params.main()
    lines = capsys.readouterr().err.splitlines()
    found = {re.match(r"error: (\S+) = -1: Input should be ", line)[1] for line in lines}
    assert found == {"threads", "train_cnn.shift", "sweep_l2.grid.factors"}
    assert len(lines) == len(found)


def test_images_in_the_figures_must_be_within_the_limit(change):
    last = max(read_yaml(ROOT / "params.yaml")["eval_noise"]["examples"])
    change("preprocess.limit", [100, max(10, last + 1)])
    assert list(check_params.check_limit(read_file())) == []
    change("preprocess.limit", [100, last])
    [line] = check_params.check_limit(read_file())
    assert line.startswith(f"eval_noise.examples = {last}: preprocess.limit allows {last} test")


@pytest.mark.parametrize("section", CLASSES)
def test_help_lists_every_parameter(section, monkeypatch, capsys):
    found = CLASSES[section]
    monkeypatch.chdir(ROOT)
    monkeypatch.setattr(sys, "argv", ["stage.py", "--help"])
    with pytest.raises(SystemExit, match="0"):
        found.load()
    listed = re.findall(r"^  (\S+): \S", capsys.readouterr().out.partition("parameters:")[2], re.M)
    content, last = find_holder(read_yaml(ROOT / "params.yaml"), section)
    keys = [f"{section}.{name}" for name in content[last]]
    keys += [*found.shared, *(f"--{name}" for name in found.arguments)]
    assert sorted(listed) == sorted(keys)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], r"error: preprocess\.seed = -1: Input should be .*\n"),
        (["--seed=1"], r"(?s)usage: .*unrecognized arguments: --seed=1\n"),
    ],
)
def test_stage_with_wrong_parameters_ends_with_code_2(
    change, monkeypatch, tmp_path, capsys, arguments, said
):
    change("preprocess.seed", -1)
    monkeypatch.setattr("common.params.PROJECT", tmp_path)
    monkeypatch.setattr(sys, "argv", ["stages/preprocess.py", *arguments])
    with pytest.raises(SystemExit, match="2"):
        CLASSES["preprocess"].load()
    assert re.fullmatch(said, capsys.readouterr().err)


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (KeyboardInterrupt(), "interrupted; repeat the command"),
        (
            FileNotFoundError(2, "No such file or directory", "data/raw/x"),
            "data/raw/x: No such file or directory; correct that, then repeat the command",
        ),
    ],
)
def test_stage_that_a_user_stops_or_misleads_ends_in_one_line(monkeypatch, capsys, error, said):
    monkeypatch.setattr(sys, "argv", ["stages/preprocess.py"])
    sys.excepthook(type(error), error, None)
    assert capsys.readouterr().err == f"error: preprocess: {said}\n"

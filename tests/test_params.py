"""Every parameter is taken exactly, or refused in one line with its key in params.yaml."""

import importlib
import math
import os
import re
import runpy
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from conftest import ROOT, read_yaml
from ruamel.yaml import YAML

import check_params
from common.params import ParamsError, read_file

STAGES = sorted(path.stem for path in (ROOT / "stages").glob("*.py"))


def read(section):
    """Read a section of the params.yaml in the working directory, as its stage does."""
    for stage in STAGES:
        for name, words, options in check_params.find_loads(ROOT / "stages" / f"{stage}.py"):
            if words[0] == section:
                cell = dict.fromkeys(options.get("arguments", ()), "1")
                return getattr(importlib.import_module(stage), name).read(*words, **cell)
    raise LookupError(section)


def refused(section) -> str:
    """Return the one line with which a section is refused."""
    with pytest.raises(ParamsError) as problem:
        read(section)
    [line] = problem.value.args
    assert "\n" not in line
    return line


@pytest.fixture
def change(tmp_path, monkeypatch):
    """Write params.yaml with one key changed, and go to its folder."""
    monkeypatch.chdir(tmp_path)

    def write(key, value):
        content = inner = read_yaml(ROOT / "params.yaml")
        *sections, last = key.split(".")
        for section in sections:
            inner = inner[section]
        inner[last] = value
        with (tmp_path / "params.yaml").open("w", encoding="utf-8") as file:
            YAML(typ="safe").dump(content, file)

    return write


@pytest.fixture
def edit(tmp_path, monkeypatch):
    """Write params.yaml with one piece of its text changed, and go to its folder."""
    monkeypatch.chdir(tmp_path)
    text = (ROOT / "params.yaml").read_text(encoding="utf-8")

    def write(old, new):
        assert old in text
        (tmp_path / "params.yaml").write_text(text.replace(old, new, 1), encoding="utf-8")

    return write


# Key, values that are taken, values that are not, what is said about these.
RANGES = [
    ("preprocess.limit", [None, [10, 10]], [[100], [9, 10], [10, 9.0]], "quick"),
    ("preprocess.validation", ["test", 10, 5000], ["train", 9, 10.0, None, True], "validate on"),
    (
        "train_mlp.epochs",
        [1, 10_000],
        [0, 10_001, 1.5, 1.0, "1", [1], True, None, {}],
        "passes over the training images: a whole number from 1 to 10,000",
    ),
    (
        "train_mlp.learning_rate",
        [1e-9, 1, 100],
        [0, -1, 100.5, math.nan, math.inf, "0.1", [0.1], True, None],
        "step size of the optimizer: a number above 0, at most 100",
    ),
    ("train_mlp.schedule", ["cosine"], ["linear", 1], "falls to 0: constant or cosine"),
    ("train_mlp.seed", [0, 2**32 - 1], [-1, 2**32], "random"),
    ("threads", [1, 256], [0, 257, "2"], "threads of TensorFlow"),
    (
        "train_ae.noise_level",
        [0, 0.4, [0, 0.8], [0.2, 0.2]],
        [1.1, [-0.1, 0.5], [0, 0.4, 0.8], [0.4], "0.4", math.nan],
        "a number from 0 to 1, or a list of 2, each a number from 0 to 1",
    ),
    ("train_ae.noise_level", [], [[0.5, 0.4]], "the range ends before it starts"),
    ("sweep_l2.grid.factors", [], [[0.1, 0.1]], "a value stands twice"),
    ("sweep_l2.grid.factors", [[0.1, 0]], [[], [2], ["0.1"], 0.1], "a number from 0 to 1"),
]


@pytest.mark.parametrize(("key", "good", "bad", "said"), RANGES)
def test_value_stays_in_its_range(change, key, good, bad, said):
    section = "train_mlp" if key == "threads" else key.rpartition(".")[0]
    for value in good:
        change(key, value)
        assert getattr(read(section), key.rpartition(".")[2]) == value
    for value in bad:
        change(key, value)
        line = refused(section)
        assert line.startswith(f"{key} = ")
        assert said in line


@pytest.mark.parametrize(
    ("old", "new", "section", "said"),
    [
        ("  epochs: 10\n", "", "train_mlp", r"train_mlp\.epochs is missing: passes over"),
        ("  epochs: 10\n", "  epochs: 010\n", "train_mlp", r'train_mlp\.epochs = "010": passes'),
        (
            "schedule",
            "schedul: 1\n  schedule",
            "train_mlp",
            r"train_mlp\.schedul: no such parameter; there are learning_rate, schedule, ",
        ),
        ("train_mlp:", "train_mpl:", "train_mlp", "train_mlp is missing: a section of params.yaml"),
        ("threads: 1", "", "train_cnn", "threads is missing: threads of TensorFlow"),
        ("threads: 1", "threads: 1\nthreads: 2", "preprocess", r"params\.yaml.*: .*duplicate key"),
        ("train_mlp:", "train_mlp: [", "preprocess", r"params\.yaml, line \d+: did not find"),
        ("  epochs: 10\n", "\tepochs: 10\n", "preprocess", r"params\.yaml, line \d+: found "),
    ],
)
def test_key_section_or_file_that_is_wrong_is_named(edit, old, new, section, said):
    edit(old, new)
    assert re.match(said, refused(section))
    Path("params.yaml").unlink()
    assert refused(section) == "params.yaml is missing; restore it: git checkout params.yaml"


def test_all_stages_are_checked_at_once(edit, change):
    edit("threads: 1", "threads: 1")
    assert list(check_params.check_stages()) == []
    edit("threads: 1", "threads: 0")
    [line] = set(check_params.check_stages())
    assert line.startswith("threads = 0: ")
    change("preprocess.limit", [100, 20])
    assert list(check_params.check_limit(read_file())) == []
    change("preprocess.limit", [100, 3])
    [line] = check_params.check_limit(read_file())
    assert line.startswith("eval_noise.examples = 3: preprocess.limit allows 3 test images")


def test_help_explains_every_parameter(monkeypatch, capsys):
    script = ROOT / "stages/train_cnn.py"
    monkeypatch.chdir("/")
    monkeypatch.setattr(sys, "argv", [str(script), "--help"])
    with pytest.raises(SystemExit, match="0"):
        runpy.run_path(str(script), run_name="__main__")
    text = capsys.readouterr().out
    section = read_yaml(ROOT / "params.yaml")["train_cnn"]
    assert all(f"  {name}: " in text for name in ["threads", *(f"train_cnn.{n}" for n in section)])


@pytest.fixture
def project(tmp_path):
    """Copy what a stage needs into a folder of its own; run `preprocess`, the quickest, there."""
    shutil.copytree(ROOT / "stages", tmp_path / "stages")
    shutil.copy(ROOT / "params.yaml", tmp_path)
    (tmp_path / "data").mkdir()

    def run(*arguments, change=("", ""), **options):
        params = tmp_path / "params.yaml"
        params.write_text(params.read_text(encoding="utf-8").replace(*change), encoding="utf-8")
        command = [sys.executable, tmp_path / "stages/preprocess.py", *arguments]
        return subprocess.run(command, capture_output=True, text=True, cwd="/", **options)

    return run


def test_stage_that_a_user_stops_or_misleads_ends_in_one_line(project, tmp_path):
    wrong = project(change=("validation: test", "validation: tset"))
    assert re.fullmatch(r'error: preprocess\.validation = "tset": .*\n', wrong.stderr)
    assert wrong.returncode == 2
    argument = project("--seed=1", change=("tset", "test"))
    said = "error: --seed=1: no argument of this script; values stand in params.yaml\n"
    assert (argument.returncode, argument.stderr) == (2, said)
    missing = project()
    assert missing.returncode == 1
    assert re.fullmatch(r"error: preprocess: data.raw.train-images-\S+: .*\n", missing.stderr)
    assert not (tmp_path / "data/processed").exists()


@pytest.mark.skipif(os.name == "nt", reason="Windows has no pipes with names")
def test_interrupted_stage_ends_in_one_line(project, tmp_path):
    """It waits for its file, which is a pipe that nobody writes into."""
    pipe = tmp_path / "data/raw/train-images-idx3-ubyte"
    pipe.parent.mkdir()
    os.mkfifo(pipe)
    command = [sys.executable, tmp_path / "stages/preprocess.py"]
    with (
        subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as waiting,
        pipe.open("wb"),
    ):
        time.sleep(1)  # the pipe is open, but Python may not read yet: it would miss the signal
        waiting.send_signal(signal.SIGINT)
        _, said = waiting.communicate(timeout=60)
    assert said == "error: preprocess: interrupted; repeat the command\n"
    assert waiting.returncode != 0

"""docs/networks.md, followed word for word, does what it says."""

import re

import pytest
from conftest import ROOT
from test_readme import edit, follow, read_blocks

PAGE = ROOT / "docs/networks.md"


@pytest.fixture
def committed(module_study):
    """A finished study whose files are put back after the test."""
    yield module_study
    module_study.run("git", "reset", "--quiet", "--hard")
    module_study.run("dvc", "checkout", "--quiet", "--force")


def test_networks_open_in_a_script_of_ones_own(committed):
    if 'name="encoder"' not in (ROOT / "stages/train_ae.py").read_text(encoding="utf-8"):
        pytest.skip("the autoencoder has no encoder")
    [script] = read_blocks(PAGE, "In a script of your own", "python")
    done = committed.run("python", "-c", script, env={"TF_CPP_MIN_LOG_LEVEL": "3"})
    assert re.match(r"recognised: 0\.\d+\na code has \d+ numbers; .* \(28, 28\)\n", done.stdout)
    assert "Warning" not in done.stderr


def test_loss_metric_and_layer_of_ones_own_work_to_the_end(committed):
    heading = "A loss, a metric and a layer of your own"
    [code] = read_blocks(PAGE, heading, "python")
    custom = committed.folder / "stages/common/custom.py"
    custom.write_text(custom.read_text("utf-8") + "\n" + code, encoding="utf-8")
    edit(committed, PAGE, heading, "stages/train_mlp.py")
    [commands] = read_blocks(PAGE, heading)
    assert "test_sure" in follow(committed, commands)
    load = "import sys; sys.path.append('stages'); from common import networks"
    look = f"{load}; model = networks.load('mlp'); print(model.loss.__name__, model.layers[1].name)"
    assert committed.run("python", "-c", look).stdout.split() == ["squared_error", "scale"]


def test_a_look_inside_a_training_step(committed):
    heading = "Stop inside a training step"
    edit(committed, PAGE, heading, "stages/common/training.py")
    [commands] = read_blocks(PAGE, heading)
    epochs = committed.parameters["train_mlp"]["epochs"]
    steps = -(-1000 // committed.parameters["train_mlp"]["batch_size"])
    assert len(re.findall("^batch loss ", follow(committed, commands), re.M)) == epochs * steps
    assert committed.status() == {}

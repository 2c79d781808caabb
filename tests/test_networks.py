"""Saved networks are plain Keras files that always have the same bytes, or are refused."""

import zipfile
from pathlib import Path

import numpy as np
import pytest
from test_any_network import residual

import eval_noise
from common import networks
from common.runtime import keras

layers = keras.layers
FILE = Path("models/net.keras")


@pytest.fixture(autouse=True)
def folder(tensorflow, tmp_path, monkeypatch):
    """Work in an empty folder."""
    monkeypatch.chdir(tmp_path)


def test_saved_network_has_the_same_bytes_twice_and_opens_in_plain_keras():
    images = np.ones((3, 28, 28, 1), np.float32)
    saved = []
    for _ in range(2):
        keras.utils.clear_session()  # which counts the layers without a name
        keras.utils.set_random_seed(0)
        model = residual((28, 28, 1), 10, dropout=0.5)
        model.compile(keras.optimizers.AdamW(0.01), "mse", metrics=["accuracy"])
        model.optimizer.build(model.trainable_variables)
        networks.save(model, "net")
        saved.append(FILE.read_bytes())
    assert saved[0] == saved[1]
    assert [*FILE.parent.iterdir()] == [FILE]
    with zipfile.ZipFile(FILE) as file:
        assert {member.date_time for member in file.infolist()} == {(1980, 1, 1, 0, 0, 0)}
        assert b"date" not in file.read("metadata.json")
    plain = keras.models.load_model(FILE, compile=False)
    loaded = networks.load("net")
    for network in loaded, plain:
        np.testing.assert_array_equal(network(images), model(images))
    assert (loaded.loss, type(loaded.optimizer).__name__) == ("mse", "AdamW")
    assert float(loaded.optimizer.learning_rate) == pytest.approx(0.01)
    assert len(model.optimizer.variables) == 2, "steps and learning rate alone: no averages"


@keras.saving.register_keras_serializable("project")
class Registered(layers.Layer):
    def call(self, inputs):
        return inputs * 2


def error(actual, predicted):
    return keras.ops.mean(actual - predicted, axis=-1)


def make(hidden, loss):
    model = keras.Sequential([keras.Input((4, 4, 1)), hidden, layers.Flatten(), layers.Dense(5)])
    model.compile("sgd", loss)
    return model


@pytest.mark.parametrize(
    ("hidden", "loss", "name"),
    [
        (Registered, "mse", "Registered"),
        (layers.ReLU, error, "error"),
        (lambda: layers.Lambda(lambda values: values * 2), "mse", "lambda"),
    ],
)
def test_what_later_stages_do_not_know_is_refused_in_one_line(hidden, loss, name):
    said = rf"^error: network net is not saved: .*{name}.*custom.py \(docs/networks.md\)$"
    with pytest.raises(SystemExit, match=said):
        networks.save(make(hidden(), loss), "net")
    assert [*FILE.parent.iterdir()] == []


def test_what_stands_in_custom_works_to_the_end(monkeypatch):
    for own in Registered, error:
        monkeypatch.setitem(networks.OWN, own.__name__, own)
    model, images = make(Registered(), error), np.ones((3, 4, 4, 1), np.float32)
    networks.save(model, "net")
    assert networks.load("net").loss == error
    infer = eval_noise.load_network("net", (4, 4, 1), (5,))
    np.testing.assert_allclose(infer(images), model(images), rtol=1e-6)


def test_damaged_file_is_refused_in_one_line():
    FILE.parent.mkdir()
    FILE.write_bytes(b"PK\3\4 damaged")
    with pytest.raises(SystemExit, match=r"^error: models/net.keras: .*; restore it: dvc checkout"):
        networks.load("net")

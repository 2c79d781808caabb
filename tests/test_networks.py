"""Saved networks are plain Keras files that always have the same bytes."""

import json
import zipfile
from pathlib import Path

import numpy as np
import pytest
from test_any_network import cnn_residual

from common import networks
from common.runtime import keras


@pytest.fixture
def study_folder(tensorflow, tmp_path, monkeypatch):
    """Work in an empty folder."""
    monkeypatch.chdir(tmp_path)


def test_saved_network_has_the_same_bytes_twice_and_opens_in_plain_keras(study_folder):
    path = Path("models/net.keras")
    saved = []
    for _ in range(2):
        keras.utils.clear_session()  # which counts the layers without a name
        keras.utils.set_random_seed(0)
        model = cnn_residual((28, 28, 1), 10, dropout=0.5)
        networks.save(model, "net", keras.optimizers.AdamW(), keras.losses.MeanSquaredError())
        saved.append(path.read_bytes())
    assert saved[0] == saved[1]
    assert set(path.parent.iterdir()) == {path, path.with_suffix(".json")}
    trained = json.loads(path.with_suffix(".json").read_text())
    assert trained == {"loss": "MeanSquaredError", "optimizer": "AdamW"}
    with zipfile.ZipFile(path) as file:
        assert {member.date_time for member in file.infolist()} == {(1980, 1, 1, 0, 0, 0)}
        assert b"date" not in file.read("metadata.json")
    images = np.random.default_rng(0).random((3, 28, 28, 1), np.float32)
    for loaded in networks.load("net"), keras.models.load_model(path):
        np.testing.assert_array_equal(loaded(images), model(images))


@pytest.mark.parametrize("content", [None, b"PK\3\4 damaged"])
def test_file_that_is_no_network_is_refused_in_one_line(study_folder, content):
    if content is not None:
        Path("models").mkdir()
        Path("models/cnn.keras").write_bytes(content)
    with pytest.raises(SystemExit, match=r"^error: models/cnn.keras: .*; restore it: dvc repro"):
        networks.load("cnn")

"""Saved networks are plain Keras files, but for their dates; test_dag.py repeats their bytes."""

import zipfile

import numpy as np
import pytest

import train_ae
import train_cnn
from common import models
from common.runtime import keras


@pytest.mark.parametrize("name", ["cnn", "autoencoder"])
def test_plain_keras_opens_a_saved_network_without_dates(tensorflow, tmp_path, name):
    model = train_cnn.build(0.5) if name == "cnn" else train_ae.build()
    path = tmp_path / "models" / f"{name}.keras"
    models.save(model, path)
    assert list(path.parent.iterdir()) == [path]
    images = np.random.default_rng(0).random((3, *model.input_shape[1:]), np.float32)
    np.testing.assert_array_equal(keras.models.load_model(path)(images), model(images))
    with zipfile.ZipFile(path) as file:
        assert {member.date_time for member in file.infolist()} == {(1980, 1, 1, 0, 0, 0)}
        assert b"date" not in file.read("metadata.json")

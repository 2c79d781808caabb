"""Saved networks repeat their bytes."""

import subprocess
import sys
import zipfile

import numpy as np
import pytest
from conftest import ROOT

import train_ae
import train_cnn
from common import models
from common.runtime import keras

SAVE = """
import sys
sys.path.insert(0, "stages")
from common import models
from common.runtime import set_up
import train_ae
set_up(seed=int(sys.argv[2]), threads=1)
models.save(train_ae.build(), sys.argv[1])
"""


def test_same_network_saved_by_other_processes_is_the_same_bytes(tmp_path):
    paths = [tmp_path / f"{name}.keras" for name in "abc"]
    for path, seed in zip(paths, "112", strict=True):
        subprocess.run([sys.executable, "-c", SAVE, path, seed], cwd=ROOT, check=True)
    first, second, other = (path.read_bytes() for path in paths)
    assert first == second != other
    assert sorted(tmp_path.iterdir()) == paths


@pytest.mark.parametrize("name", ["cnn", "autoencoder"])
def test_plain_keras_opens_a_saved_network_without_dates(tensorflow, tmp_path, name):
    model = train_cnn.build(0.5) if name == "cnn" else train_ae.build()
    path = tmp_path / f"{name}.keras"
    models.save(model, path)
    images = np.random.default_rng(0).random((3, *model.input_shape[1:]), np.float32)
    np.testing.assert_array_equal(keras.models.load_model(path)(images), model(images))
    with zipfile.ZipFile(path) as file:
        assert {member.date_time for member in file.infolist()} == {(1980, 1, 1, 0, 0, 0)}
        assert b"date" not in file.read("metadata.json")

"""Saved networks repeat their bytes."""

import subprocess
import sys
import zipfile

import numpy as np
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
    running = [
        subprocess.Popen([sys.executable, "-c", SAVE, path, seed], cwd=ROOT)
        for path, seed in zip(paths, "112", strict=True)
    ]
    assert [process.wait() for process in running] == [0, 0, 0]
    first, second, other = (path.read_bytes() for path in paths)
    assert first == second
    assert first != other
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.keras", "b.keras", "c.keras"]


def test_no_date_is_left_in_a_saved_network(tensorflow, tmp_path):
    models.save(train_cnn.build(0.5), tmp_path / "cnn.keras")
    with zipfile.ZipFile(tmp_path / "cnn.keras") as file:
        assert {member.date_time for member in file.infolist()} == {(1980, 1, 1, 0, 0, 0)}
        assert b"date" not in file.read("metadata.json")


def test_plain_keras_opens_a_saved_network(tensorflow, tmp_path):
    model = train_ae.build()
    models.save(model, tmp_path / "autoencoder.keras")
    opened = keras.models.load_model(tmp_path / "autoencoder.keras")
    images = np.random.default_rng(0).random((3, 784), np.float32)
    np.testing.assert_array_equal(opened(images), model(images))

import subprocess
import sys
import zipfile

import numpy as np
import pytest

import train_ae
import train_cnn

SAVE = """
import sys
sys.path.insert(0, {stages!r})
from common.runtime import set_up
set_up(seed=int(sys.argv[2]), threads=1)
from common import models
import train_ae
models.save(train_ae.build(), sys.argv[1])
"""


def test_same_network_saved_by_other_processes_is_the_same_bytes(tmp_path):
    script = SAVE.format(stages=str(train_ae.__file__).rsplit("/", 1)[0])
    paths = [tmp_path / f"{name}.keras" for name in "abc"]
    running = [
        subprocess.Popen([sys.executable, "-c", script, path, seed])
        for path, seed in zip(paths, "112", strict=True)
    ]
    assert [process.wait() for process in running] == [0, 0, 0]
    first, second, other = (path.read_bytes() for path in paths)
    assert first == second
    assert first != other
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.keras", "b.keras", "c.keras"]


def test_no_date_is_left_in_a_saved_network(tensorflow, tmp_path):
    from common import models

    models.save(train_cnn.build(0.5), tmp_path / "cnn.keras")
    with zipfile.ZipFile(tmp_path / "cnn.keras") as file:
        assert {member.date_time for member in file.infolist()} == {(1980, 1, 1, 0, 0, 0)}
        assert b"date" not in file.read("metadata.json")


def test_plain_keras_opens_a_saved_network(tensorflow, tmp_path):
    import keras

    from common import models

    model = train_ae.build()
    models.save(model, tmp_path / "autoencoder.keras")
    opened = keras.models.load_model(tmp_path / "autoencoder.keras")
    images = np.random.default_rng(0).random((3, 784), np.float32)
    np.testing.assert_array_equal(opened(images), model(images))


def test_load_refuses_what_is_no_network_or_another(tensorflow, tmp_path):
    from common import models

    path = tmp_path / "cnn.keras"
    models.save(train_ae.build(), path)
    with pytest.raises(SystemExit, match=r"cnn.keras: a network from \(None, 784\)"):
        models.load(path, (28, 28, 1), (10,))
    path.write_bytes(path.read_bytes()[:1000])
    with pytest.raises(SystemExit, match=r"cnn.keras: cannot be read as a network"):
        models.load(path, (28, 28, 1), (10,))
    with pytest.raises(SystemExit, match=r"missing.keras: cannot be read"):
        models.load(tmp_path / "missing.keras", (28, 28, 1), (10,))

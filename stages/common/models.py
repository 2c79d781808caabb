"""Saved networks: the same network always gives the same bytes."""

import json
import re
import sys
import tempfile
import zipfile
from pathlib import Path

from common.runtime import keras


def save(model: keras.Model, path) -> None:
    """Write `model` to `path`, a .keras file that `keras.models.load_model` opens.

    Keras notes the date in the file's metadata and memory addresses in its configuration, and
    zip the time of each member: the date and the times are left out, the addresses numbered.
    The file appears under its name only when it is complete.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(".partial", "", path.parent) as folder:
        dated, complete = Path(folder, "dated.keras"), Path(folder, "complete.keras")
        model.save(dated)
        with zipfile.ZipFile(dated) as source, zipfile.ZipFile(complete, "w") as target:
            for name in sorted(source.namelist()):
                content = source.read(name)
                if name == "metadata.json":
                    metadata = json.loads(content)
                    del metadata["date_saved"]
                    content = json.dumps(metadata).encode()
                elif name == "config.json":
                    content = _number_addresses(content)
                # A ZipInfo made by hand is dated 1980-01-01.
                target.writestr(zipfile.ZipInfo(name), content)
        complete.replace(path)


def _number_addresses(config: bytes) -> bytes:
    """`config` with each object's address replaced by its place among those that appear."""
    numbers = {}

    def number(match):
        return match[1] + str(numbers.setdefault(match[2], len(numbers))).encode()

    return re.sub(rb'("shared_object_id": )(\d+)', number, config)


def load(path, input_shape: tuple, output_shape: tuple) -> keras.Model:
    """The network saved at `path`, which must map (N, *input_shape) to (N, *output_shape).

    Ends the process with one line where it cannot be read or maps anything else.
    """
    restore = "restore it: dvc repro, or dvc checkout"
    try:
        model = keras.models.load_model(path)
    except Exception as error:  # Keras raises what its readers raise: zip, JSON, HDF5 errors
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        sys.exit(f"error: {path}: cannot be read as a network ({reason}); {restore}")
    shapes = (model.input_shape, model.output_shape)
    if shapes != ((None, *input_shape), (None, *output_shape)):
        sys.exit(f"error: {path}: a network from {shapes[0]} to {shapes[1]}; {restore}")
    return model

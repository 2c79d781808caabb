"""Saved networks: the same network always gives the same bytes."""

import re
import sys
import tempfile
import warnings
import zipfile
from pathlib import Path

from common import custom
from common.runtime import keras

FOLDER = Path("models")

OWN = {name: value for name, value in vars(custom).items() if callable(value)}


def save(model, name: str) -> None:
    """Write a compiled Keras network to models/NAME.keras.

    The file keeps layers, weights, loss, metrics and the optimizer's settings. It does not keep the
    optimizer's state, which `model` loses too: Adam's would treble the file. Keras writes the date,
    memory addresses and the time of each member into its file. Here the date and the times are left
    out, and the addresses numbered. The file appears under its name only when it is complete. Ends
    the process with one line where later stages could not load it.
    """
    FOLDER.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(".partial", "", FOLDER) as folder:
        dated, complete = Path(folder, "dated.keras"), Path(folder, "complete.keras")
        try:
            settings = model.optimizer.get_config()
            model.optimizer = model.optimizer.from_config(settings, custom_objects=OWN)
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", UserWarning)  # of a lambda, which is refused below
                model.save(dated)
            _read(dated)
        except (NotImplementedError, TypeError, ValueError) as error:
            sys.exit(
                f"error: network {name} is not saved: {_shorten(error)}. Put classes and functions "
                "of your own, each with a name, into stages/common/custom.py (docs/networks.md)"
            )
        with zipfile.ZipFile(dated) as source, zipfile.ZipFile(complete, "w") as target:
            for member in sorted(source.namelist()):
                # A ZipInfo made by hand is dated 1980-01-01.
                target.writestr(zipfile.ZipInfo(member), _undate(source.read(member)))
        complete.replace(FOLDER / f"{name}.keras")


def load(name: str, folder: Path = FOLDER):
    """Load NAME.keras of a folder, compiled.

    Ends the process with one line where that is no network.
    """
    path = folder / f"{name}.keras"
    try:
        return _read(path)
    except (KeyError, OSError, TypeError, ValueError, zipfile.BadZipFile) as error:
        sys.exit(
            f"error: {path.as_posix()}: {_shorten(error)}; restore it: dvc checkout, or dvc repro"
        )


def _read(path: Path):
    """Load a network that knows Keras's layers and those of custom.py, and no others."""
    registered = keras.saving.get_custom_objects()
    others = {name: value for name, value in registered.items() if value not in OWN.values()}
    for name in others:
        del registered[name]
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # that the optimizer has no state
            return keras.models.load_model(path, custom_objects=OWN)
    finally:
        registered.update(others)


def _shorten(error: Exception) -> str:
    """Return the first sentence of what went wrong first; Keras wraps errors in errors."""
    first = str(error).rpartition("Exception encountered: ")[2]
    return first.partition("\n")[0].partition(". ")[0].rstrip(".")


def _undate(content: bytes) -> bytes:
    """Remove the date, and number the objects' addresses as they appear."""
    numbers = {}

    def renumber(match):
        return match[1] + str(numbers.setdefault(match[2], len(numbers))).encode()

    content = re.sub(rb', "date_saved": "[^"]*"', b"", content)
    return re.sub(rb'("shared_object_id": )(\d+)', renumber, content)

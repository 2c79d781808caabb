"""`dvc repro`, with stages side by side.

DVC says what is out of date and runs each stage. What a stage prints is in logs/STAGE.log.
"""

import argparse
import contextlib
import importlib
import os
import re
import signal
import subprocess
import sys
import time
from concurrent.futures import Executor, ThreadPoolExecutor
from graphlib import TopologicalSorter
from pathlib import Path

try:
    # Private parts of DVC: its commands would take a second for each question, and none of them
    # says in which order `dvc repro` runs stages.
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
LOCK = Path("dvc.lock")
STOP = LOGS / "stop"  # a stop is asked for: the workers of a cluster see this file too
CHECK = "tools/check_params.py"
STOPPING = [getattr(signal, n) for n in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, n)]
PAUSE = 0.2  # seconds between two checks
PATIENCE = 3  # seconds that a stop leaves DVC to end by itself
HEARTBEAT = 30  # seconds of silence after which a file or pipe gets the status
TRAINING = 2 << 30  # bytes of memory that a training takes at most
BUSY = "is busy, it is being blocked by|Unable to acquire lock"
EPOCH = re.compile(r"^epoch (\d+)/(\d+)  (.*)  ([\d.]+) s$", re.M)
REASONS = {  # of the ends of stages that people meet
    "-4|132": "SIGILL: this processor lacks instructions (AVX) that TensorFlow needs",
    "-9|137": "SIGKILL, most likely since memory was full; take fewer at a time: --workers 1",
}


def end_stage(dvc: subprocess.Popen) -> None:
    """End what DVC runs, and wait until DVC, which may be writing dvc.lock, has ended too."""
    deadline = time.monotonic() + PATIENCE
    while dvc.poll() is None:
        with contextlib.suppress(psutil.NoSuchProcess):
            for process in psutil.Process(dvc.pid).children(recursive=True):
                process.kill()
        if time.monotonic() > deadline:
            dvc.kill()
        time.sleep(PAUSE)


def run_stage(name: str, folder: Path) -> int:
    """Run `dvc repro` of one stage in `folder`; return its exit code.

    Begins again while other commands use its files. Ends as soon as a stop is asked for.
    """
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath)])
    # DVC runs stages with the user's shell, which may be none (nologin), or not know `-c`.
    options = {"cwd": folder, "env": os.environ | {"PATH": path, "SHELL": "/bin/sh"}}
    # In a session of its own: Ctrl-C reaches only this runner.
    options |= {"stdin": subprocess.DEVNULL, "start_new_session": True}
    command = [sys.executable, "-m", "dvc", "--wait-for-lock", "repro", "--single-item", name]
    while not (folder / STOP).exists():
        with (folder / LOGS / f"{name}.log").open("w+b") as log:
            dvc = subprocess.Popen(command, **options, stdout=log, stderr=log)
            while dvc.poll() is None:
                if (folder / STOP).exists():
                    end_stage(dvc)
                time.sleep(PAUSE)
            log.seek(0)
            if not (dvc.returncode and re.search(BUSY.encode(), log.read())):
                return dvc.returncode
    return 1


def clock(seconds: float) -> str:
    return f"{round(seconds) // 60}:{round(seconds) % 60:02}"


def read_log(name: str) -> str:
    with contextlib.suppress(FileNotFoundError):
        return (LOGS / f"{name}.log").read_text(encoding="utf-8", errors="replace")
    return ""


def measure_chains(needs: dict[str, list[str]], seconds: dict[str, float]) -> dict[str, float]:
    """Return the seconds of each stage with the longest chain of stages that follows it."""
    chains = {}
    for name in reversed(needs):
        later = [chains[other] for other in chains if name in needs[other]]
        chains[name] = seconds[name] + max(later, default=0.0)
    return chains


class Progress:
    """Show how far a run is, and what became of each stage.

    `needs` maps a stage to those it waits for, in running order; `seconds` maps it to what it is
    expected to take.
    """

    def __init__(self, needs: dict[str, list[str]], seconds: dict[str, float], workers: int):
        self.needs, self.seconds, self.workers = needs, seconds, workers
        self.began, self.ended, self.failed = {}, [], []
        self.start = self.printed = time.monotonic()
        self.console = Console(soft_wrap=True, highlight=False, markup=False)

    def read_status(self, name: str) -> tuple[str, float]:
        """Return what a running stage does, and its seconds left."""
        left, log = self.seconds[name] - (time.monotonic() - self.began[name]), read_log(name)
        status = "waits for another DVC command" if re.search(BUSY, log) else "runs"
        if epochs := EPOCH.findall(log):
            done, total, metrics, seconds = epochs[-1]
            status = f"epoch {done}/{total}  {metrics.split('  ')[-1]}"
            left = (int(total) - int(done)) * float(seconds)
        return status, max(1.0, left)

    def describe(self) -> str:
        """Describe the run in a line, and each running stage in another."""
        running = {name: self.read_status(name) for name in self.began}
        left = self.seconds | {name: seconds for name, (_, seconds) in running.items()}
        left |= dict.fromkeys(self.ended, 0.0)
        total = max(sum(left.values()) / self.workers, *measure_chains(self.needs, left).values())
        lines = [f"{len(self.ended)} of {len(self.needs)} stages, about {clock(total)} left"]
        width = max(map(len, running), default=0)
        for name, (status, seconds) in running.items():
            lines.append(f"  {name:{width}}  {status}  {clock(seconds)} left")
        return "\n".join(lines)

    def __rich__(self) -> Text:
        passed = clock(time.monotonic() - self.start)
        return Text(f"{passed:>6}  {self.describe()}", no_wrap=True, overflow="ellipsis")

    def print(self, text: str) -> None:
        self.printed = time.monotonic()
        self.console.print(f"{clock(self.printed - self.start):>6}  {text}")

    def end(self, name: str, code: int) -> None:
        """Note that a stage has ended, and print what became of it."""
        took, log = time.monotonic() - self.began.pop(name), read_log(name)
        if code:
            self.failed.append(name)
            self.print(f"{name} failed")
            return
        self.ended.append(name)
        words = "from DVC's cache" if "is cached" in log else "unchanged"
        words = clock(took) if "Running stage" in log else words
        self.print(f"{name}, {words} ({len(self.ended)} of {len(self.needs)})")

    def conclude(self) -> int:
        """Print how the run ended, with logs; return the exit code."""
        for name in self.failed:
            log = read_log(name)
            lines = "\n  ".join(log.splitlines()[-12:])
            print(f"error: {name} failed; the end of logs/{name}.log:\n  {lines}", file=sys.stderr)
            for code, reason in REASONS.items():
                if re.search(f"exited with ({code})$", log, re.M):
                    print(f"error: {name} was ended by {reason}", file=sys.stderr)
        if skipped := [name for name in self.needs if name not in self.ended + self.failed]:
            print(f"skipped: {', '.join(skipped)}", file=sys.stderr)
        if not self.failed:
            self.print("done; open report.html" if "report" in self.ended else "done")
        return 1 if self.failed else 0


def find_cluster(scheduler: str) -> tuple[Executor, int]:
    """Return the executor of a Dask cluster, and how many stages it runs at once."""
    try:
        distributed = importlib.import_module("distributed")  # optional, and takes a second
        client = distributed.Client(scheduler, timeout=5)
    except ModuleNotFoundError:
        sys.exit(f"error: --scheduler: first {sys.executable} -m pip install distributed")
    except (OSError, ValueError):
        sys.exit(f"error: {scheduler}: no Dask cluster answers there")
    return client.get_executor(pure=False), max(1, sum(client.nthreads().values()))


def run(progress: Progress, executor: Executor) -> int:
    """Run the stages, the longest chains first; return the exit code."""
    chains = measure_chains(progress.needs, progress.seconds)
    order, ready, futures = TopologicalSorter(progress.needs), [], {}
    order.prepare()
    STOP.unlink(missing_ok=True)
    try:
        with Live(progress, console=progress.console, transient=True, auto_refresh=False) as live:
            while order.is_active():
                ready = sorted([*ready, *order.get_ready()], key=chains.get)
                while ready and len(futures) < progress.workers:
                    name = ready.pop()
                    progress.began[name] = time.monotonic()
                    futures[name] = executor.submit(run_stage, name, ROOT)
                if not futures:  # what is left needs a stage that failed
                    break
                time.sleep(PAUSE)
                for name in [name for name, future in futures.items() if future.done()]:
                    future = futures.pop(name)
                    if problem := future.exception():  # of a worker, not of the stage
                        progress.print(f"{name}: {problem!r}")
                    progress.end(name, 1 if problem else future.result())
                    if name in progress.ended:
                        order.done(name)
                live.refresh()
                if time.monotonic() - progress.printed > HEARTBEAT and not sys.stdout.isatty():
                    progress.print(progress.describe())
    finally:
        STOP.touch()
        executor.shutdown()  # waits until all stages have ended
        STOP.unlink()
    return progress.conclude()


def open_study(targets: list[str]) -> tuple[Repo, set[str]]:
    """Return DVC's repository, and the stages that are out of date.

    Waits while other commands use it. Results that were deleted or edited are brought back from
    DVC's cache: `dvc repro` does so only where the cache has the metrics too, unlike in a clone.
    """
    reason = ""
    while True:
        try:
            repo = Repo(str(ROOT), _wait_for_lock=True)  # as --wait-for-lock does
            changed = repo.status(targets, with_deps=True)
            edited = [n for n in changed if any("changed outs" in change for change in changed[n])]
            stages = [stage for stage in collect_stages(repo, edited) if not stage.frozen]
            known = [stage.addressing for stage in stages if all(o.hash_info for o in stage.outs)]
            if known:
                repo.checkout(known, force=True, allow_missing=True)
                changed = repo.status(targets, with_deps=True)
            return repo, set(changed)
        except LockError as error:
            if str(error) != reason:
                reason = str(error)
                print(f"another DVC command works here: {' '.join(reason.split())}", flush=True)
            time.sleep(1)


def order_lock(repo: Repo, names: list[str]) -> None:
    """Sort the stages in dvc.lock like `names`. DVC adds new ones as they end."""
    with repo.lock:
        lock = load_yaml(LOCK)
        stages = {name: lock["stages"][name] for name in names if name in lock["stages"]}
        if list(stages) != list(lock["stages"]):
            dump_yaml(LOCK, lock | {"stages": stages})


def count_workers() -> int:
    """Return how many stages this machine has cores and memory for."""
    process = psutil.Process()
    cores = len(process.cpu_affinity()) if hasattr(process, "cpu_affinity") else os.cpu_count()
    threads = load_yaml("params.yaml")["threads"]
    return max(1, min(cores // threads, psutil.virtual_memory().available // TRAINING))


def repro(targets: list[str], workers: int | None, scheduler: str | None) -> int:
    """Bring targets, or everything, up to date; return the exit code."""
    repo, changed = open_study(targets)
    graph, needs, seconds = repo.index.graph, {}, {}
    for stage in plan_repro(graph, collect_stages(repo, targets)):
        before = [other.addressing for other in graph[stage] if other.addressing in needs]
        if before or stage.addressing in changed:
            needs[stage.addressing] = before
            seconds[stage.addressing] = (stage.meta or {}).get("seconds", 1.0)
    if not needs:
        print("Data and pipelines are up to date.")
        return 0
    print(f"to bring up to date: {', '.join(needs)}", flush=True)
    # A single stage checks its own parameters.
    if len(needs) > 1 and (code := subprocess.run([sys.executable, CHECK]).returncode):
        return code
    if scheduler:
        executor, workers = find_cluster(scheduler)
    else:
        workers = workers or count_workers()
        executor = ThreadPoolExecutor(workers)
    before = list(load_yaml(LOCK)["stages"]) if LOCK.exists() else []
    try:
        return run(Progress(needs, seconds, workers), executor)
    finally:
        if LOCK.exists():
            order_lock(repo, [*before, *(stage.addressing for stage in plan_repro(graph))])


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
        mark = getattr(error.__cause__, "problem_mark", None)  # of broken YAML
        where = f"; line {mark.line + 1}" if mark else ""
        sys.exit(f"error: {' '.join(str(error).split())}{where}")
    except OSError as error:
        reason = f"{error.filename or ROOT}: {error.strerror or error}"
        sys.exit(f"error: {reason}; correct that, then repeat the command")


if __name__ == "__main__":
    sys.exit(main())

"""`dvc repro`, with the stages that do not depend on each other side by side.

DVC says what is out of date, runs every stage (logs/STAGE.log) and has the last word.
"""

import signal

if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # no traceback out of the imports below

import argparse
import concurrent.futures
import contextlib
import importlib
import json
import logging
import os
import re
import shlex
import subprocess
import sys
import time
import typing
import uuid
from pathlib import Path

try:
    import psutil

    # Private parts of DVC: its commands would take a second for each question, and none of them
    # says in which order `dvc repro` writes dvc.lock.
    from dvc.exceptions import DvcException
    from dvc.repo import Repo
    from dvc.repo.reproduce import collect_stages, get_active_graph, plan_repro
    from rich.console import Console, Group
    from rich.live import Live
    from rich.progress_bar import ProgressBar
    from rich.table import Table
    from ruamel.yaml import YAML, YAMLError

    from guard import BUSY, PAUSE, RUN, try_lock
except ModuleNotFoundError as error:
    sys.exit(f"error: {sys.executable} has no package {error.name}; use make repro")

ROOT = Path(__file__).resolve().parent.parent
LOGS = Path("logs")
LOCK = Path("dvc.lock")
DURATIONS = LOGS / "durations.json"  # seconds that each stage took
HEARTBEAT = 30  # seconds between two words in a log about what runs
TRAINING = 2 << 30  # bytes of memory that a training takes at most
LONGEST = (128 << 10) - 1  # bytes of a command, in Linux
STOPPING = signal.SIGINT, signal.SIGTERM, signal.SIGHUP
REPRO = "--wait-for-lock", "repro"
OURS = re.compile(rf"tools/repro\.py|dvc/__main__\.py {' '.join(REPRO)}")  # in DVC's notes
EPOCH = re.compile(r"epoch (\d+)/(\d+)  (.*)  ([\d.]+) s")
RESULTS = {
    "sweep_hinton": "Perceptron 500-300, best of the sweep",
    "cnn_test_accuracy": "Convolutional network",
    "autoencoder_validation_loss": "Autoencoder, validation loss",
}


def check_yaml(path: str) -> None:
    try:
        YAML(typ="safe").load(Path(path))
    except YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f"{path}, line {mark.line + 1}" if mark else path
        sys.exit(f"error: {where}: {getattr(error, 'problem', error)}")


def check(commands: dict[str, str]) -> list:
    """Return the parameters in the stages' commands, as objects of the stages' classes.

    Ends the process with exit code 2 and a line for each wrong one: nobody trains for long to
    fail in a later stage.
    """
    sys.path.insert(0, str(ROOT / "stages"))
    wrong = importlib.import_module("common.parameters").ParameterError
    parameters, problems = {}, []
    for stage, command in commands.items():
        unquoted = re.sub(r"'[^'\n]*'|\"'\"", "", command)
        if found := re.search(r"[^\w ./:=,@%+-]", unquoted):
            problems.append(f"params.yaml: {found[0]!r} would reach the shell that runs {stage}")
            continue
        if len(command.encode()) > LONGEST:
            problems.append(f"params.yaml: {stage} has lists too long for a command line")
            continue
        script, words = re.search(r"stages/(\w+)\.py(.*)", command).groups()
        kind, *_ = typing.get_type_hints(importlib.import_module(script).main).values()
        try:
            parameters[script] = kind.parse(shlex.split(words))
        except wrong as error:
            problems += error.args
    if {"preprocess", "eval_noise"} <= parameters.keys():
        last = max(parameters["eval_noise"].examples)
        _, test = parameters["preprocess"].limit or (0, 10_000)
        if last >= test:
            problems.append(f"eval_noise.examples = {last}: the test images are 0 to {test - 1}")
    for line in dict.fromkeys(problems):  # the cells of the sweep share theirs
        print(f"error: {line}", file=sys.stderr)
    if problems:
        sys.exit(2)
    return list(parameters.values())


def order_lock(repo, names: list[str]) -> None:
    """Bring dvc.lock, to which stages are added as they end, into the order of `names`.

    Other stages, such as cells that have left the grid, go.
    """
    if not LOCK.exists():  # the first stage failed
        return
    with repo.lock:
        text = LOCK.read_text()
        head, *entries = re.split(r"^(?=  \S)", text, flags=re.M)
        found = {entry.partition(":\n")[0].strip(" '\""): entry for entry in entries}
        ordered = head + "".join(found[name] for name in names if name in found)
        if ordered != text:
            partial = LOGS / "dvc.lock.partial"
            partial.write_text(ordered)
            partial.replace(LOCK)


def forget_dead(repo) -> None:
    """Remove DVC's notes of who uses which file, if all are of runs of this program: now over."""
    notes = Path(repo.tmp_dir, "rwlock")
    with repo.lock:
        users = re.findall(r'"cmd": "(.*?)"', notes.read_text()) if notes.exists() else [""]
        if all(OURS.search(user) for user in users):
            notes.unlink()


def clock(seconds: float) -> str:
    return f"{round(seconds) // 60}:{round(seconds) % 60:02}"


def read_log(name: str) -> str:
    with contextlib.suppress(FileNotFoundError):
        return Path(LOGS, f"{name}.log").read_text(errors="replace")
    return ""


def read_json(path: str | Path) -> dict:
    with contextlib.suppress(OSError, ValueError):
        return json.loads(Path(path).read_text())
    return {}


class Progress:
    """What a run has done and has left to do, shown live on a terminal, or in lines in a log."""

    def __init__(self, needs: dict[str, list[str]], slots: int):
        """`needs` has for each stage those that it waits for, which stand before it."""
        self.needs, self.slots = needs, slots
        self.durations = read_json(DURATIONS)
        self.urgency = {}  # seconds from a stage's start to the end of all
        for name in reversed(needs):
            later = [self.urgency[other] for other in self.urgency if name in needs[other]]
            self.urgency[name] = (self.expect(name) or 1.0) + max(later, default=0.0)
        self.waiting = sorted(needs, key=self.urgency.get, reverse=True)
        self.began, self.ended, self.failed = {}, [], []
        self.start = self.spoken = time.monotonic()
        self.console = Console(soft_wrap=True, highlight=False, markup=False)

    def expect(self, name: str) -> float:
        """Return the seconds that a stage, or another cell, took last time; 0: unknown."""
        return self.durations.get(name) or self.durations.get(name.split("@")[0], 0.0)

    def say(self, text: str) -> None:
        self.spoken = time.monotonic()
        self.console.print(f"{clock(self.spoken - self.start):>6}  {text}")

    def take_ready(self) -> list[str]:
        """Return the stages to be started now, the most urgent first."""
        ready = [name for name in self.waiting if {*self.needs[name]} <= {*self.ended}]
        ready = ready[: max(0, self.slots - len(self.began))]
        for name in ready:
            self.waiting.remove(name)
            self.began[name] = time.monotonic()
            if not self.console.is_terminal:
                self.say(f"{name} runs")
        return ready

    def end(self, name: str, failed: bool) -> None:
        """Say what became of a stage that has ended."""
        took = time.monotonic() - self.began.pop(name)
        if failed:
            self.failed.append(name)
            return self.say(f"{name} failed")
        self.ended.append(name)
        words = "from DVC's cache" if "is cached" in read_log(name) else "unchanged"
        if "Running stage" in read_log(name):
            words = clock(took)
            self.durations |= {name: took, name.split("@")[0]: took}
            DURATIONS.write_text(json.dumps(self.durations))
        metrics = read_json(f"metrics/{name.replace('@', '/')}.json")
        number = metrics.get("test_accuracy") or metrics.get("validation_loss")
        label = f"{name} {number:.4f}" if number else name
        return self.say(f"{label}, {words} ({len(self.ended)} of {len(self.needs)})")

    def look(self, name: str) -> tuple[str, float]:
        """Return how far a running stage is, in words, and the seconds it needs; 0: none known."""
        text = read_log(name)
        left = max(0.0, self.expect(name) - (time.monotonic() - self.began[name]))
        if "blocked by:" in text:
            return "waits for another DVC command", left
        *_, line = "runs", *re.findall(r"^(?:epoch|noise level) .*", text, re.M)
        if epoch := EPOCH.fullmatch(line):
            done, total, metrics, seconds = epoch.groups()
            left = (int(total) - int(done)) * float(seconds)
            return f"epoch {done}/{total}  {metrics.split('  ')[-1]}", left
        return line, left

    def time_left(self) -> str:
        """Return the time until the end, in words."""
        left = {name: self.look(name)[1] for name in self.began}
        chains = [self.urgency[name] - self.expect(name) + left[name] for name in left]
        chains += [self.urgency[name] for name in self.waiting]
        left |= {name: self.expect(name) for name in self.waiting}
        if not all(self.expect(name) for name in left):
            return "time left unknown"
        return f"about {clock(max([sum(left.values()) / max(1, self.slots), *chains]))} left"

    def __rich__(self) -> Group:
        head, table = Table.grid(padding=(0, 2)), Table.grid(padding=(0, 2))
        table.add_column(no_wrap=True)
        table.add_column(no_wrap=True)
        count = f"{len(self.ended)} of {len(self.needs)}"
        passed = clock(time.monotonic() - self.start)
        bar = ProgressBar(len(self.needs), len(self.ended), width=20)
        head.add_row(bar, count, passed, self.time_left())
        for name in self.began:
            words, left = self.look(name)
            table.add_row(f"  {name}", words, f"{clock(left)} left" if left else "")
        return Group(head, table)

    def report(self) -> None:
        """Say in a log, now and then, what runs."""
        if not self.console.is_terminal and time.monotonic() - self.spoken > HEARTBEAT:
            self.say(self.time_left())
            for name in self.began:
                self.say(f"  {name}: {self.look(name)[0]}")


def guard(root: str, job: dict) -> int:
    """Run tools/guard.py in `root` with the `python` that runs this; return its exit code."""
    # A Dask worker sets numbers of threads, some of which the stages refuse.
    environment = {k: v for k, v in os.environ.items() if not k.endswith("_NUM_THREADS")}
    environment["PATH"] = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    return subprocess.run(
        [sys.executable, "tools/guard.py", json.dumps(job)],
        cwd=root,
        env=environment,
        start_new_session=True,  # Ctrl-C reaches tools/repro.py only
    ).returncode


@contextlib.contextmanager
def workers(count: int, scheduler: str | None):
    """Yield what starts functions elsewhere, and a function that counts its workers."""
    if not scheduler:
        yield concurrent.futures.ThreadPoolExecutor(count), lambda: count
        return
    distributed = importlib.import_module("distributed")  # half a second, for clusters only
    logging.getLogger("distributed").setLevel(logging.CRITICAL)
    try:
        client = distributed.Client(scheduler, timeout=5)
        client.wait_for_workers(1, timeout=5)
    except (OSError, ValueError, TimeoutError):
        sys.exit(
            f"error: {scheduler}: no Dask cluster with a worker answers there; start one: "
            "dask scheduler, and on each machine, in this folder, dask worker ADDRESS"
        )
    with client:
        yield client.get_executor(), lambda: sum(client.nthreads().values())


def run_stages(progress: Progress, count_workers, submit) -> None:
    """Run each stage when a worker is free and what it needs has ended; then let DVC judge."""

    def has_failed(future) -> bool:
        return bool(future.exception() or future.result())

    futures = {}
    with Live(progress, console=progress.console, transient=True, auto_refresh=False) as live:
        then = "; then open report.html" if "report" in progress.needs else ""
        progress.say(f"{len(progress.needs)} stages to run, {progress.time_left()}{then}")
        while futures or progress.waiting:
            progress.slots = count_workers()
            futures |= {name: submit(name) for name in progress.take_ready()}
            if not futures and progress.slots:
                break  # what waits needs something that failed
            time.sleep(PAUSE)
            for name in [name for name, future in futures.items() if future.done()]:
                progress.end(name, has_failed(futures.pop(name)))
            progress.report()
            live.refresh()
        if not progress.failed and has_failed(submit("dvc")):
            progress.failed.append("dvc")


def wait_for_stages() -> None:
    """Wait until no stage of this folder runs, on any machine."""
    for log in LOGS.glob("*.log"):
        with log.open("a") as file:
            while not try_lock(file):
                time.sleep(PAUSE)


@contextlib.contextmanager
def hold_folder():
    """Hold this folder for a run, whose name is given; afterwards none of its stages runs."""
    with RUN.open("a+") as file:
        patience = time.monotonic() + 1
        while not try_lock(file):
            if time.monotonic() > patience:
                sys.exit("error: another make repro runs in this folder; wait until it has ended")
            time.sleep(PAUSE)
        name = uuid.uuid4().hex
        file.truncate(0)
        file.write(name)
        file.flush()
        try:
            wait_for_stages()  # of a run that was killed
            yield name
        finally:
            file.truncate(0)
            wait_for_stages()


def open_study(targets: list[str]) -> tuple:
    """Return DVC's repository, the graph of its stages, and the names of those that changed."""
    has_waited = False
    while True:
        repo = Repo(str(ROOT), _wait_for_lock=True)
        forget_dead(repo)
        try:
            return repo, get_active_graph(repo.index.graph), repo.status(targets, with_deps=True)
        except TypeError:  # from DVC, which says nothing more
            sys.exit("error: sweep_l2.grid: factors and replicates are lists: [0.001], not 0.001")
        except DvcException as error:
            if any(busy in str(error) for busy in BUSY):
                if not has_waited:
                    print("another DVC command works in this folder: this run waits", flush=True)
                has_waited = True
                time.sleep(1)
                continue
            if str(LOCK) not in str(error):
                raise
        if re.search("^<<<<<<<", LOCK.read_text(errors="replace"), re.M):
            sys.exit(f"error: {LOCK} has conflict markers; take a side: git checkout --ours {LOCK}")
        LOCK.replace(LOGS / LOCK)
        print(f"{LOCK} was cut off by a kill: moved to {LOGS}; DVC's cache restores its content")


def count_slots(parameters: list) -> int:
    """Return how many stages fit side by side into this machine's cores and memory."""
    system = importlib.import_module("distributed.system")
    threads = max(getattr(each, "threads", 1) for each in parameters)
    cores = importlib.import_module("dask.system").CPU_COUNT
    memory = min(system.MEMORY_LIMIT, psutil.virtual_memory().available)
    return max(1, min(cores // threads, memory // TRAINING))


def finish(progress: Progress) -> int:
    """Show the logs of what failed, or the results; return the exit code."""
    for name in progress.failed:
        lines = "\n  ".join(read_log(name).splitlines()[-12:])
        print(f"error: {name} failed; the end of {LOGS / name}.log:\n  {lines}", file=sys.stderr)
    if progress.failed:
        return 1
    if "report" not in progress.ended:
        progress.say("done")
        return 0
    progress.say("done; open report.html")
    published = read_json("metrics/report.json").get("published", {})
    for name, words in RESULTS.items():
        if row := published.get(name):
            progress.say(f"  {words}: {row['this_run']:.4f} (published: {row['published']:.4f})")
    return 0


def repro(run: str, targets: list[str], count: int | None, scheduler: str | None, dry: bool) -> int:
    """Bring `targets`, by default everything, up to date; return the exit code."""
    check_yaml("params.yaml")
    repo, graph, changed = open_study(targets)
    stages = {stage.addressing: stage for stage in plan_repro(graph)}
    plan = plan_repro(graph, collect_stages(repo, targets)) if targets else stages.values()
    needs = {}
    for stage in plan:
        before = [other.addressing for other in graph[stage] if other.addressing in needs]
        if before or stage.addressing in changed:
            needs[stage.addressing] = before

    def make_job(name: str) -> dict:
        job = {"run": run, "log": str(LOGS / f"{name}.log")}
        if name not in needs:  # dvc, the judge
            return job | {"outputs": [], "words": [*REPRO, *targets]}
        outputs = [os.path.relpath(out.fs_path) for out in stages[name].outs]
        return job | {"outputs": outputs, "words": [*REPRO, "--single-item", name]}

    parameters = check({name: stage.cmd for name, stage in stages.items()}) if needs else []
    if dry or not needs:
        print("\n".join(needs) or "Data and pipelines are up to date.")
        code = 0
    else:
        progress = Progress(needs, count or count_slots(parameters))
        with workers(progress.slots, scheduler) as (pool, count_workers):
            run_stages(
                progress,
                count_workers,
                lambda name: pool.submit(guard, str(ROOT), make_job(name)),
            )
        code = finish(progress)
    if not dry:
        order_lock(repo, list(stages))
    return code


def interrupt(_number, _frame) -> None:
    for number in STOPPING:
        signal.signal(number, lambda *_: None)  # stopping is not interrupted again
    raise KeyboardInterrupt


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("targets", nargs="*", help="stages, as for dvc repro; all by default")
    parser.add_argument("--workers", type=int, help="stages at a time, by default as many as fit")
    parser.add_argument("--scheduler", help="address of a Dask cluster that sees this folder")
    parser.add_argument("--dry", action="store_true", help="only name what may have to run")
    options = parser.parse_args()
    if options.workers is not None and options.workers < 1:
        parser.error("--workers: at least 1")
    for number in STOPPING:
        if signal.getsignal(number) is not signal.SIG_IGN:  # nohup ignores SIGHUP
            signal.signal(number, interrupt)
    os.chdir(ROOT)
    try:
        LOGS.mkdir(exist_ok=True)
        with hold_folder() as run:
            return repro(run, options.targets, options.workers, options.scheduler, options.dry)
    except KeyboardInterrupt:
        sys.exit("stopped; what was finished is kept: make repro goes on from there")
    except DvcException as error:
        sys.exit(f"error: {error}")
    except OSError as error:
        sys.exit(f"error: {error.filename or ROOT}: {error.strerror or error}")


if __name__ == "__main__":
    sys.exit(main())

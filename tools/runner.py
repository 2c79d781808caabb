"""Check parameters, run stages side by side and show their progress.

It is apart from `tools/repro.py`, since its imports take two seconds: without them `make repro`
needs one to find that there is nothing to do.
"""

import concurrent.futures
import contextlib
import importlib
import json
import logging
import re
import shlex
import subprocess
import sys
import time
import typing
from pathlib import Path

import distributed
import psutil
from dask.system import CPU_COUNT
from distributed.system import MEMORY_LIMIT
from rich.console import Console
from rich.live import Live
from rich.text import Text

from guard import LOGS, PAUSE

sys.path.insert(0, str(Path(__file__).parent.parent / "stages"))

from common.parameters import ParameterError

DURATIONS = LOGS / "durations.json"  # seconds that each stage took
HEARTBEAT = 30  # seconds between two words in a log about what runs
TRAINING = 2 << 30  # bytes of memory that a training takes at most
LONGEST = (128 << 10) - 1  # bytes of a command, in Linux
EPOCH = re.compile(r"epoch (\d+)/(\d+)  (.*)  ([\d.]+) s")
RESULTS = {
    "sweep_hinton": "Perceptron 500-300, best of the sweep",
    "cnn_test_accuracy": "Convolutional network",
    "autoencoder_validation_loss": "Autoencoder, validation loss",
}


def check(commands: dict[str, str]) -> dict:
    """Return the parameters in the stages' commands, as objects of the stages' classes.

    Ends the process with exit code 2 and a line for each wrong one: nobody trains for long to
    fail in a later stage.
    """
    parameters, problems = {}, []
    for stage, command in commands.items():
        script, words = re.search(r"stages/(\w+)\.py(.*)", command).groups()
        unquoted = re.sub(r"'[^'\n]*'|\"'\"", "", command)
        if found := re.search(r"[^\w ./:=,@%+-]", unquoted):
            problems.append(f"params.yaml: {found[0]!r} would reach the shell that runs {stage}")
        elif len(command.encode()) > LONGEST:
            problems.append(f"params.yaml: {stage} has lists too long for a command line")
        else:
            kind, *_ = typing.get_type_hints(importlib.import_module(script).main).values()
            try:
                parameters[script] = kind.parse(shlex.split(words))
            except ParameterError as error:
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
    return parameters


def count_slots(parameters: dict) -> int:
    """Return how many stages fit side by side into this machine's cores and memory."""
    threads = max(getattr(each, "threads", 1) for each in parameters.values())
    memory = min(MEMORY_LIMIT, psutil.virtual_memory().available)
    return max(1, min(CPU_COUNT // threads, memory // TRAINING))


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
    """Show what a run has done and has left to do."""

    def __init__(self, needs: dict[str, list[str]], slots: int):
        """`needs` has for each stage the stages before it, which come earlier in it."""
        self.needs, self.slots = needs, slots
        self.durations = read_json(DURATIONS)
        self.began, self.ended, self.failed = {}, [], []
        chains = self.measure_chains(self.measure_left())
        self.waiting = sorted(needs, key=chains.get, reverse=True)
        self.start = self.spoken = time.monotonic()
        self.console = Console(soft_wrap=True, highlight=False, markup=False)

    def look(self, name: str) -> tuple[str, float]:
        """Return how far a stage is, and its seconds left (0: unknown)."""
        # A new cell of the sweep takes as long as another.
        left = self.durations.get(name) or self.durations.get(name.split("@")[0], 0.0)
        if name not in self.began:
            return "", left
        *_, line = "runs", *re.findall(r"^(?:epoch|noise level) .*", read_log(name), re.M)
        if epoch := EPOCH.fullmatch(line):
            done, total, metrics, seconds = epoch.groups()
            line = f"epoch {done}/{total}  {metrics.split('  ')[-1]}"
            left = max(1.0, (int(total) - int(done)) * float(seconds))
        elif left:
            left = max(1.0, left - (time.monotonic() - self.began[name]))
        return line, left

    def measure_left(self) -> dict[str, float]:
        """Return the seconds left of each stage that has not ended (0: unknown)."""
        return {name: self.look(name)[1] for name in self.needs if name not in self.ended}

    def measure_chains(self, left: dict[str, float]) -> dict[str, float]:
        """Return each stage's seconds until all that follows it has ended."""
        chains = {}
        for name in reversed(left):
            later = [chains[other] for other in chains if name in self.needs[other]]
            chains[name] = (left[name] or 1.0) + max(later, default=0.0)
        return chains

    def time_left(self) -> str:
        """Return the time until the end, in words."""
        left = self.measure_left()
        if not all(left.values()):
            return "time left unknown"
        longest = max(self.measure_chains(left).values(), default=0.0)
        return f"about {clock(max(sum(left.values()) / max(1, self.slots), longest))} left"

    def say(self, text: str) -> None:
        self.spoken = time.monotonic()
        self.console.print(f"{clock(self.spoken - self.start):>6}  {text}")

    def describe(self) -> str:
        """Return a line about the run, and one for each stage that runs."""
        left = self.time_left() if self.slots else "no worker is left: waiting"
        lines = [f"{len(self.ended)} of {len(self.needs)} stages, {left}"]
        width = max(map(len, self.began), default=0)
        for name in self.began:
            words, left = self.look(name)
            lines.append(f"  {name:{width}}  {words}" + f"  {clock(left)} left" * (left > 0))
        return "\n".join(lines)

    def __rich__(self) -> Text:
        passed = clock(time.monotonic() - self.start)
        return Text(f"{passed:>6}  {self.describe()}", no_wrap=True, overflow="ellipsis")

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
            with contextlib.suppress(OSError):
                DURATIONS.write_text(json.dumps(self.durations))
        metrics = read_json(f"metrics/{name.replace('@', '/')}.json")
        number = metrics.get("test_accuracy") or metrics.get("validation_loss")
        label = f"{name} {number:.4f}" if number else name
        return self.say(f"{label}, {words} ({len(self.ended)} of {len(self.needs)})")

    def conclude(self) -> int:
        """Show the logs of what failed, or the results; return the exit code."""
        for name in self.failed:
            lines = "\n  ".join(read_log(name).splitlines()[-12:])
            words = f"error: {name} failed; the end of {LOGS / name}.log:\n  {lines}"
            print(words, file=sys.stderr)
        if self.failed:
            if self.waiting:
                print(f"skipped: {', '.join(self.waiting)}", file=sys.stderr)
            return 1
        if "report" not in self.ended:
            self.say("done")
            return 0
        self.say("done; open report.html")
        published = read_json("metrics/report.json").get("published", {})
        for name, words in RESULTS.items():
            if row := published.get(name):
                self.say(f"  {words}: {row['this_run']:.4f} (published: {row['published']:.4f})")
        return 0


def find_workers(count: int, scheduler: str | None) -> tuple:
    """Return what has functions run by workers, and a function that counts these."""
    if not scheduler:
        return concurrent.futures.ThreadPoolExecutor(count), lambda: count
    logging.getLogger("distributed").setLevel(logging.CRITICAL)
    try:
        client = distributed.Client(scheduler, timeout=5)
        client.wait_for_workers(1, timeout=5)
    except (OSError, ValueError, TimeoutError):
        sys.exit(
            f"error: {scheduler}: no Dask cluster with a worker answers there; start one: "
            "dask scheduler, and on each machine, in this folder, dask worker ADDRESS"
        )
    return client.get_executor(), lambda: sum(client.nthreads().values())


def run(name: str, needs: dict, jobs: dict, count: int, scheduler: str | None) -> int:
    """Run stages in the order of their needs; return the exit code.

    DVC has the last word. `name` is the run's; `jobs` has for each stage its outputs and the words
    after `dvc repro`.
    """
    pool, count_workers = find_workers(count, scheduler)
    progress, futures = Progress(needs, count), {}

    def submit(stage: str):
        command = [sys.executable, "tools/guard.py", json.dumps([name, stage, *jobs[stage]])]
        # In a session of its own: Ctrl-C reaches tools/repro.py only.
        return pool.submit(subprocess.run, command, cwd=Path.cwd(), start_new_session=True)

    def has_failed(future) -> bool:
        error = future.exception()  # of a worker: no such folder, no such Python
        if error:
            progress.say(f"error: {error!r}")
        return bool(error or future.result().returncode)

    with Live(progress, console=progress.console, transient=True, auto_refresh=False) as live:
        then = "; then open report.html" if "report" in needs else ""
        progress.say(f"{len(needs)} stages to run, {progress.time_left()}{then}")
        while futures or progress.waiting:
            progress.slots = count_workers()
            futures |= {stage: submit(stage) for stage in progress.take_ready()}
            if not futures and progress.slots:
                break  # what waits needs something that failed
            time.sleep(PAUSE)
            for stage in [stage for stage, future in futures.items() if future.done()]:
                progress.end(stage, has_failed(futures.pop(stage)))
            if not progress.console.is_terminal and time.monotonic() - progress.spoken > HEARTBEAT:
                progress.say(progress.describe())
            live.refresh()
        if not progress.failed and has_failed(submit("dvc")):
            progress.failed.append("dvc")
    return progress.conclude()

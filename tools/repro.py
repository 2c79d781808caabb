"""`dvc repro`, with the stages that do not depend on each other side by side.

DVC says what is out of date, runs every stage and has the last word; Dask hands the stages out.
What a stage prints is in logs/STAGE.log.
"""

import argparse
import asyncio
import contextlib
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import dvc.cli
import networkx
import psutil
import zc.lockfile
from dvc.exceptions import DvcException
from dvc.repo import Repo
from dvc.repo.reproduce import collect_stages, get_active_graph, plan_repro

import locks
from check import check

ROOT = Path(__file__).resolve().parent.parent
LOGS = Path("logs")
HEARTBEAT = 30  # seconds between two words about how far the running stages are


def out_of_date(graph, plan, changed) -> list:
    """Of the stages in `plan`, each of which comes after those it depends on, the ones named in
    `changed` and those that depend on them."""
    found = []
    for stage in plan:
        if stage.addressing in changed or any(earlier in found for earlier in graph[stage]):
            found.append(stage)
    return found


def chain_lengths(graph, plan) -> dict:
    """How many stages the longest chain through each stage of `plan` has."""
    before, after = {}, {}
    for stage in plan:
        before[stage] = 1 + max((before[other] for other in graph[stage]), default=0)
    for stage in reversed(plan):
        later = [after[other] for other in graph.predecessors(stage) if other in after]
        after[stage] = 1 + max(later, default=0)
    return {stage: before[stage] + after[stage] - 1 for stage in plan}


def in_order(graph, chains):
    """The stages of `graph`, each after those it depends on, and where that leaves a choice those
    on the longest of the `chains` first: they are handed out at once if a worker is free."""
    return networkx.lexicographical_topological_sort(
        graph.reverse(), key=lambda stage: -chains[stage]
    )


def run_stage(name: str, folder: str, *earlier: str) -> str:
    """What became of the stage `name`: the task that Dask hands out. DVC runs it in `folder`, if
    it finds that necessary, unless one of those it depends on, which became `earlier`, failed."""
    from distributed import get_worker

    if {"failed", "skipped"} & set(earlier):
        return "skipped"
    log = Path(folder, "logs", f"{name}.log")
    with log.open("w") as output:
        command = [sys.executable, "-m", "dvc", "--wait-for-lock", "repro", "--single-item", name]
        process = subprocess.Popen(command, cwd=folder, stdout=output, stderr=subprocess.STDOUT)
        get_worker().processes = [*getattr(get_worker(), "processes", ()), process.pid]
        if process.wait():
            return "failed"
    text = log.read_text(errors="replace")
    return "done" if "Running stage" in text else "cached" if "is cached" in text else "unchanged"


def stop_stages(dask_worker) -> None:
    """End what a Dask worker has started, with all that this has started."""
    for pid in getattr(dask_worker, "processes", ()):
        with contextlib.suppress(psutil.NoSuchProcess):
            stage = psutil.Process(pid)
            for process in [*stage.children(recursive=True), stage]:
                process.terminate()


def follow(futures: dict, keep_lock) -> list[str]:
    """Print what happens to the stages, of which Dask holds `futures` by their names, until none
    is left, calling `keep_lock` after each; the names of those that failed."""
    from distributed import wait

    start = spoken = time.monotonic()
    left, seen, failed = dict(futures), set(), []

    def say(text):
        minutes, seconds = divmod(round(time.monotonic() - start), 60)
        print(f"{minutes:3}:{seconds:02}  {text}", flush=True)
        return time.monotonic()

    while left:
        with contextlib.suppress(asyncio.TimeoutError):
            wait(list(left.values()), timeout=1, return_when="FIRST_COMPLETED")
        for name in [name for name in left if name not in seen and log_of(name).exists()]:
            seen.add(name)
            spoken = say(f"{name} runs")
        for name in [name for name, future in left.items() if future.done()]:
            future = left.pop(name)
            # A task without a result: its worker is lost.
            state = future.result() if future.status == "finished" else "failed"
            failed += [name] if state == "failed" else []
            spoken = say(f"{name} {state}, {len(left)} of {len(futures)} left")
            keep_lock()
        if time.monotonic() - spoken > HEARTBEAT:
            for name in [name for name in left if name in seen]:
                spoken = say(f"  {name}: {''.join(last_lines(name, 1))}")
    return failed


def log_of(name: str) -> Path:
    return LOGS / f"{name}.log"


def last_lines(name: str, count: int) -> list[str]:
    log = log_of(name)
    return log.read_text(errors="replace").splitlines()[-count:] if log.exists() else []


@contextlib.contextmanager
def cluster(scheduler: str | None, workers: int):
    """A client of the Dask cluster at the address `scheduler`, or of one in this process that
    has `workers` threads; each of them only waits for the DVC that it has started."""
    from distributed import Client

    options = {"n_workers": 1, "threads_per_worker": workers, "processes": False}
    options |= {"dashboard_address": None}  # two of them, in two folders, would want the same port
    try:
        client = Client(scheduler, **({"timeout": 10} if scheduler else options))
        client.wait_for_workers(1, timeout=30)
    except (OSError, ValueError, asyncio.TimeoutError):
        sys.exit(
            f"error: {scheduler}: no Dask cluster with a worker answers there; start one: "
            "dask scheduler, and on each machine, in this folder, dask worker ADDRESS"
        )
    with client:
        try:
            yield client
        except KeyboardInterrupt:
            client.run(stop_stages)
            sys.exit("error: interrupted; what was finished is kept, make repro goes on from there")


def repro(targets: list[str], workers: int | None, scheduler: str | None, dry: bool) -> int:
    """Bring `targets`, by default everything, up to date; the exit code."""
    locks.restore()
    locks.forget_dead()
    repo = Repo(str(ROOT))
    try:
        graph = get_active_graph(repo.index.graph)
    except TypeError:  # from DVC, which says nothing more
        sys.exit("error: sweep_l2.grid: factors and replicates are lists: [0.001], not 0.001")
    everything = plan_repro(graph)
    plan = plan_repro(graph, collect_stages(repo, targets)) if targets else everything
    stages = out_of_date(graph, plan, repo.status(targets=targets, with_deps=True))
    in_dvc_order = [stage.addressing for stage in everything]
    if not stages:
        if locks.KEPT.exists():  # the last run was killed, maybe with only this left to do
            locks.order(repo, in_dvc_order)
        print("Data and pipelines are up to date.")
        return 0
    parameters = check([stage.cmd for stage in plan])
    if dry:
        print("\n".join(stage.addressing for stage in stages))
        return 0
    if len(stages) > 1:
        from dask.system import CPU_COUNT

        threads = max(getattr(each, "threads", 1) for each in parameters)
        chains, futures = chain_lengths(graph, plan), {}
        for stage in stages:
            log_of(stage.addressing).unlink(missing_ok=True)
        with cluster(scheduler, workers or max(1, CPU_COUNT // threads)) as client:
            for stage in in_order(graph.subgraph(stages), chains):
                earlier = [futures[other] for other in graph[stage] if other in futures]
                task = (run_stage, stage.addressing, str(ROOT), *earlier)
                futures[stage] = client.submit(*task, pure=False, priority=chains[stage])
            failed = follow(
                {stage.addressing: future for stage, future in futures.items()},
                lambda: locks.keep(repo),
            )
        for name in failed:
            lines = "\n  ".join(last_lines(name, 12))
            print(f"error: {name} failed; the end of {log_of(name)}:\n  {lines}", file=sys.stderr)
        if failed:
            return 1
    code = dvc.cli.main(["repro", *targets])
    locks.order(repo, in_dvc_order)
    return code


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("targets", nargs="*", help="stages, as for dvc repro; all by default")
    parser.add_argument("--workers", type=int, help="stages at a time, by default as many as fit")
    parser.add_argument("--scheduler", help="address of a Dask cluster that sees this folder")
    parser.add_argument("--dry", action="store_true", help="only name what may have to run")
    arguments = parser.parse_args()
    if arguments.workers is not None and arguments.workers < 1:
        parser.error("--workers: at least 1")
    os.chdir(ROOT)
    LOGS.mkdir(exist_ok=True)
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        lock = zc.lockfile.LockFile(LOGS / "repro.lock")
    except zc.lockfile.LockError:
        sys.exit("error: another make repro runs in this folder; wait until it has ended")
    try:
        return repro(**vars(arguments))
    except DvcException as error:
        sys.exit(f"error: {error}")
    finally:
        locks.forget_copy()
        lock.close()


if __name__ == "__main__":
    sys.exit(main())

"""`make repro`: stages side by side, with the results, and the caution, of `dvc repro`."""

import contextlib
import json
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import time

import networkx
import psutil
import pytest
import yaml
from conftest import Project, small_project

from repro import chain_lengths, in_order, out_of_date

COMMAND = ("python", "tools/repro.py")
TRAININGS = ("train_", "sweep_")


class Stage:
    """What the tool needs of DVC's stages."""

    def __init__(self, addressing):
        self.addressing = addressing


def named(edges):
    """A graph of stages, an edge from each to one it depends on, as DVC has it, and the stages
    by their names."""
    stages = {name: Stage(name) for edge in edges for name in edge}
    return networkx.DiGraph((stages[one], stages[other]) for one, other in edges), stages


EDGES = [
    ("split", "fetch"),
    ("mlp", "split"),
    ("cnn", "split"),
    ("noise", "cnn"),
    ("report", "noise"),
    ("report", "mlp"),
]
PLAN = ["fetch", "split", "mlp", "cnn", "noise", "report"]


@pytest.mark.parametrize(
    ("changed", "expected"),
    [
        ([], []),
        (["mlp"], ["mlp", "report"]),
        (["cnn"], ["cnn", "noise", "report"]),
        (["report", "noise"], ["noise", "report"]),
        (["fetch"], PLAN),
    ],
)
def test_what_is_out_of_date_and_what_depends_on_it(changed, expected):
    graph, stages = named(EDGES)
    found = out_of_date(graph, [stages[name] for name in PLAN], changed)
    assert [stage.addressing for stage in found] == expected


def test_stages_on_the_longest_chain_come_first():
    graph, stages = named(EDGES)
    chains = chain_lengths(graph, [stages[name] for name in PLAN])
    assert {stage.addressing: length for stage, length in chains.items()} == {
        "fetch": 5, "split": 5, "mlp": 4, "cnn": 5, "noise": 5, "report": 5,
    }  # fmt: skip
    order = [stage.addressing for stage in in_order(graph, chains)]
    assert order == ["fetch", "split", "cnn", "noise", "mlp", "report"]


def states(output: str) -> dict[str, str]:
    """What became of each stage, by the tool's own words."""
    return dict(
        re.findall(r"^ *\d+:\d\d  (\S+) (done|cached|unchanged|failed|skipped),", output, re.M)
    )


def change(project: Project, **learning_rates) -> None:
    parameters = project.parameters
    for section, value in learning_rates.items():
        parameters[section]["learning_rate"] = value
    project.parameters = parameters


@contextlib.contextmanager
def started(project: Project, *options):
    """`make repro`, running in a process group of its own, which ends with the block."""
    for log in (project.folder / "logs").glob("*.log"):
        log.unlink()  # of earlier runs, not to be taken for this one's
    process = subprocess.Popen(
        [sys.executable, *COMMAND[1:], *options],
        cwd=project.folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
        # Whoever runs the tests in the background may have it ignored, for all they start.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    try:
        yield process
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        process.stdout.close()


def wait_for(project: Project, stage: str, words: str) -> None:
    """Until `words` stand in the log of `stage`."""
    log = project.folder / "logs" / f"{stage}.log"
    deadline = time.monotonic() + 60
    while not (log.exists() and words in log.read_text()):
        assert time.monotonic() < deadline, f"{words} never stood in {log}"
        time.sleep(0.05)


def forget_results(project: Project) -> None:
    """Leave only DVC's cache of what was run: nothing need be trained to have it all again."""
    (project.folder / "dvc.lock").unlink()
    for name in ("data", "models", "metrics", "plots"):
        for path in (project.folder / name).rglob("*"):
            if path.is_file() and path.name != ".gitignore":
                path.unlink()


def test_the_first_run_ran_every_stage(finished_study):
    became = states((finished_study.folder / "logs" / "repro.log").read_text())
    assert len(became) == 11
    assert set(became.values()) == {"done"}
    for stage in became:
        log = (finished_study.folder / "logs" / f"{stage}.log").read_text()
        assert f"Running stage '{stage}'" in log


def test_nothing_to_do(study):
    before = study.lock()
    done = study.run(*COMMAND)
    assert done.stdout == "Data and pipelines are up to date.\n"
    assert study.lock() == before
    assert study.run(*COMMAND, "--dry").stdout == "Data and pipelines are up to date.\n"


def test_dry_names_what_may_run_and_runs_nothing(study):
    change(study, train_cnn=0.05)
    named = study.run(*COMMAND, "--dry").stdout.split()
    assert named == ["train_cnn", "eval_noise", "report"]
    assert study.run(*COMMAND, "--dry", "train_cnn").stdout.split() == ["train_cnn"]
    assert study.run("dvc", "status", "--quiet", check=False).returncode == 1


def test_targets(study):
    change(study, train_mlp=0.05, train_cnn=0.05)
    study.run(*COMMAND, "train_mlp")
    changed = set(json.loads(study.run("dvc", "status", "--json").stdout))
    assert changed == {"train_cnn", "report"}


def test_a_target_that_is_none(study):
    done = study.run(*COMMAND, "train_rnn", check=False)
    assert done.returncode == 1
    assert done.stderr.startswith("error: ")
    assert "train_rnn" in done.stderr
    assert done.stderr.count("\n") == 1


@contextlib.contextmanager
def dask_cluster(folder):
    """A scheduler and two workers on loopback, started as the README says; its address."""
    dask = [sys.executable, "-m", "dask"]
    log = (folder / "dask.log").open("w")
    options = {"cwd": folder, "stdout": log, "stderr": subprocess.STDOUT}
    scheduler = ["scheduler", "--host", "127.0.0.1", "--port", "0", "--no-dashboard"]
    processes = [
        subprocess.Popen(
            [*dask, *scheduler, "--scheduler-file", folder / "scheduler.json"], **options
        )
    ]
    deadline = time.monotonic() + 60
    while not (folder / "scheduler.json").exists():
        assert time.monotonic() < deadline, (folder / "dask.log").read_text()
        time.sleep(0.1)
    address = re.search(r"tcp://[\d.:]+", (folder / "scheduler.json").read_text())[0]
    worker = ["worker", address, "--nworkers", "2", "--nthreads", "1", "--no-dashboard"]
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
        "cached"
    }
    assert study.lock() == before
    assert study.run("git", "status", "--porcelain").stdout == ""


def test_a_cluster_that_is_none(study):
    change(study, train_cnn=0.05)
    done = study.run(*COMMAND, "--scheduler", "tcp://127.0.0.1:9", check=False)
    assert done.returncode == 1
    assert "error: tcp://127.0.0.1:9: no Dask cluster with a worker answers there" in done.stderr


def test_a_failing_stage_stops_its_dependents_only(study):
    change(study, train_mlp=0.05)
    script = study.folder / "stages" / "train_ae.py"
    script.write_text(script.read_text().replace("= build()", "= rebuild()"))
    done = study.run(*COMMAND, check=False)
    assert done.returncode == 1
    assert states(done.stdout) == {
        "train_ae": "failed", "train_mlp": "done", "eval_noise": "skipped", "report": "skipped",
    }  # fmt: skip
    assert "error: train_ae failed; the end of logs/train_ae.log:\n" in done.stderr
    assert "NameError: name 'rebuild' is not defined" in done.stderr
    changed = set(json.loads(study.run("dvc", "status", "--json").stdout))
    assert changed == {"train_ae", "eval_noise", "report"}


def test_wrong_parameters_of_any_stage_are_refused_before_anything_runs(study):
    parameters = study.parameters
    parameters["train_mlp"]["learning_rate"] = 0.05
    parameters["eval_noise"]["noise_levels"] = [0.5, 1.5]
    parameters["sweep_l2"]["training"]["epochs"] = "forty"
    study.parameters = parameters
    done = study.run(*COMMAND, check=False)
    assert done.returncode == 2
    assert done.stdout == ""
    lines = done.stderr.splitlines()
    assert len(lines) == 2
    assert lines[0].startswith("error: sweep_l2.epochs = forty: ")
    assert lines[1].startswith("error: eval_noise.noise_levels = 0.5 1.5: ")


def test_examples_that_the_limit_leaves_out_are_refused_too(study):
    parameters = study.parameters
    parameters["eval_noise"]["examples"] = [0, 300]
    study.parameters = parameters
    done = study.run(*COMMAND, check=False)
    assert done.returncode == 2
    assert done.stderr.startswith("error: eval_noise.examples = 300: ")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("sweep_l2: {grid: {factors: 0.1, replicates: [1]}, training: {}}", "are lists"),
        ("fetch: {timeout: 1}", "Could not find 'sweep_l2.grid.factors'"),
        ("fetch: [", "params.yaml"),
    ],
)
def test_parameters_that_dvc_cannot_read(study, text, said):
    known = study.parameters
    path = study.folder / "params.yaml"
    path.write_text(yaml.safe_dump(known | yaml.safe_load(text)) if "sweep" in text else text)
    done = study.run(*COMMAND, check=False)
    assert done.returncode == 1
    assert done.stdout == ""
    assert done.stderr.startswith("error: ")
    assert said in done.stderr


def test_a_second_one_in_the_same_folder_is_told_so(study):
    change(study, train_mlp=0.05)
    with started(study) as first:
        wait_for(study, "train_mlp", "Running stage")
        second = study.run(*COMMAND, check=False)
        assert second.returncode == 1
        assert second.stderr == (
            "error: another make repro runs in this folder; wait until it has ended\n"
        )
        output, _ = first.communicate()
    assert first.returncode == 0
    assert states(output)["train_mlp"] == "done"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupt_ends_the_children_and_keeps_what_was_finished(study, number):
    change(study, train_ae=0.01)
    before = study.lock()
    with started(study) as process:
        wait_for(study, "train_ae", "Running stage")
        children = []
        while not any("stages/train_ae.py" in child.cmdline() for child in children):
            children = psutil.Process(process.pid).children(recursive=True)
        process.send_signal(number)
        output, _ = process.communicate(timeout=30)
        assert process.returncode == 1
        assert "error: interrupted; what was finished is kept" in output
        assert psutil.wait_procs(children, timeout=10)[1] == []
    assert study.lock() == before


def test_notes_of_killed_processes_do_not_block(study):
    """DVC keeps which process uses which file, and takes one that was killed, and that its parent
    has not asked about yet, for running."""
    change(study, train_mlp=0.05)
    with subprocess.Popen(["true"]) as process:
        while psutil.Process(process.pid).status() != psutil.STATUS_ZOMBIE:
            time.sleep(0.01)
        user = {"pid": process.pid, "cmd": "dvc repro train_mlp"}
        notes = {"read": {}, "write": {str(study.folder / "models/mlp.keras"): user}}
        (study.folder / ".dvc/tmp").mkdir(exist_ok=True)
        (study.folder / ".dvc/tmp/rwlock").write_text(json.dumps(notes))
        assert "is busy" in study.run("dvc", "repro", "train_mlp", check=False).stderr
        done = study.run(*COMMAND)
    assert states(done.stdout) == {"train_mlp": "done", "report": "done"}


@pytest.mark.parametrize(("end", "readable"), [(" md", False), ("\n", True)])
def test_a_kill_while_dvc_writes_its_lock_costs_no_training(study, end, readable):
    """What is left then: half of dvc.lock, and the copy that the tool had made."""
    lock = study.folder / "dvc.lock"
    before = study.lock()
    shutil.copyfile(lock, study.folder / "logs" / "dvc.lock")
    lock.write_text(before[: before.index(end, len(before) // 2) + len(end)])
    done = study.run(*COMMAND)
    said = done.stdout.startswith("dvc.lock is incomplete since the last run was killed")
    assert said is not readable
    ran = {stage for stage, state in states(done.stdout).items() if state == "done"}
    assert ran <= {"report"}
    assert study.lock() == before


def test_a_kill_with_only_the_order_left_to_do(study):
    before = study.lock()
    content = yaml.safe_load(before)
    content["stages"] = dict(reversed(content["stages"].items()))
    for path in ("dvc.lock", "logs/dvc.lock"):
        (study.folder / path).write_text(yaml.safe_dump(content, sort_keys=False))
    assert study.run(*COMMAND).stdout.endswith("Data and pipelines are up to date.\n")
    assert list(yaml.safe_load(study.lock())["stages"]) == list(yaml.safe_load(before)["stages"])


def test_a_conflict_in_dvc_lock_is_left_to_the_user(study):
    lock = study.folder / "dvc.lock"
    text = "<<<<<<< HEAD\n" + study.lock()
    lock.write_text(text)
    done = study.run(*COMMAND, check=False)
    assert done.returncode == 1
    assert done.stderr.startswith("error: ")
    assert "dvc.lock" in done.stderr
    assert lock.read_text() == text


@pytest.mark.slow
@pytest.mark.parametrize("workers", [1, 2, 4, "cluster"])
def test_trained_from_nothing_all_outputs_are_those_of_dvc_repro(tmp_path, plain_study, workers):
    project = small_project(tmp_path / "study")
    if workers == "cluster":
        with dask_cluster(tmp_path) as address:
            project.run(*COMMAND, "--scheduler", address)
    else:
        project.run(*COMMAND, "--workers", str(workers))
    # The hash of every output is in it.
    assert project.lock() == plain_study.lock()


@pytest.fixture(scope="module")
def plain_study(tmp_path_factory):
    """The small study, run from nothing with `dvc repro`."""
    project = small_project(tmp_path_factory.mktemp("plain") / "study")
    project.repro()
    return project


@pytest.mark.slow
def test_killed_at_random_moments_it_ends_with_the_same_results(tmp_path, plain_study):
    """Twenty times, with all it started, while it fetches, trains, and writes."""
    moments, kills = random.Random(0), 0
    while kills < 20:
        folder = tmp_path / f"from-{kills}"
        project, finished, ended = small_project(folder), set(), False
        while not ended:
            with started(project) as process:
                try:
                    process.wait(timeout=moments.uniform(1, 12))
                    ended = True
                except subprocess.TimeoutExpired:
                    os.killpg(process.pid, signal.SIGKILL)
                    kills += 1
                output = process.stdout.read()
            assert not ended or process.returncode == 0, output
            again = {stage for stage, state in states(output).items() if state == "done"}
            assert not {stage for stage in again & finished if stage.startswith(TRAININGS)}
            finished |= again
        assert project.lock() == plain_study.lock()
        assert project.run("dvc", "status").stdout == "Data and pipelines are up to date.\n"

"""`make repro`: stages side by side, with the results, and the caution, of `dvc repro`."""

import contextlib
import json
import os
import pty
import random
import re
import signal
import subprocess
import sys
import time

import psutil
import pytest
import zc.lockfile
from conftest import UP_TO_DATE, Project, read_yaml, running_in, small_project, wait_until

from runner import Progress, check

COMMAND = ("python", "tools/repro.py")
TRAININGS = ("train_", "sweep_")


@pytest.fixture
def make_progress(tmp_path, monkeypatch):
    """Return a function that makes a run's progress from the seconds of the last run."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "logs").mkdir()

    def make(durations: dict, needs: dict, slots: int) -> Progress:
        (tmp_path / "logs/durations.json").write_text(json.dumps(durations))
        return Progress(needs, slots)

    return make


def test_stages_start_in_the_order_in_which_the_last_run_says_it_ends_first(make_progress):
    needs = {"fetch": [], "split": ["fetch"], "mlp": ["split"], "cnn": ["split"]}
    needs |= {"noise": ["cnn"], "report": ["noise", "mlp"]}
    unknown = make_progress({}, needs, 2)
    assert unknown.waiting == ["fetch", "split", "cnn", "mlp", "noise", "report"]
    times = {"fetch": 1, "split": 1, "mlp": 50, "cnn": 10, "noise": 10, "report": 1}
    known = make_progress(times, needs, 2)
    assert known.waiting == ["fetch", "split", "mlp", "cnn", "noise", "report"]
    assert known.time_left() == "about 0:53 left"
    assert make_progress(times, needs, 1).time_left() == "about 1:13 left"


def test_the_time_left_follows_the_epochs(make_progress, tmp_path, capsys):
    needs = {"train_cnn": [], "report": ["train_cnn"]}
    progress = make_progress({"train_cnn": 500, "report": 7}, needs, 2)
    assert progress.take_ready() == ["train_cnn"]
    assert progress.look("train_cnn")[0] == "runs"
    lines = (
        "Running stage 'train_cnn':",
        "> python -E stages/train_cnn.py --epochs 10",
        "epoch 3/10  loss 0.1234  accuracy 0.9812  2.0 s",
    )
    (tmp_path / "logs/train_cnn.log").write_text("\n".join(lines))
    assert progress.look("train_cnn") == ("epoch 3/10  accuracy 0.9812", 14.0)
    assert progress.time_left() == "about 0:21 left"
    (tmp_path / "metrics").mkdir()
    (tmp_path / "metrics/train_cnn.json").write_text('{"test_accuracy": 0.9917}')
    progress.end("train_cnn", failed=False)
    assert "train_cnn 0.9917, 0:00 (1 of 2)" in capsys.readouterr().out
    assert progress.take_ready() == ["report"]


def states(output: str) -> dict[str, str]:
    """Return what became of each stage, by the tool's own words."""
    ended = r"^ *\d+:\d\d  (\w\S*?)(?: 0\.\d+)?(?:, (.+) \(\d+ of \d+\)| (failed))$"
    return {
        name: failed or ("done" if words[0].isdigit() else words)
        for name, words, failed in re.findall(ended, output, re.M)
    }


def refuse(study: Project, *options, code: int = 1) -> str:
    """Run the tool, which refuses in lines that say what is wrong; return them."""
    done = study.run(*COMMAND, *options, check=False, timeout=30)
    assert (done.returncode, done.stdout) == (code, "")
    assert all(line.startswith("error: ") for line in done.stderr.splitlines())
    return done.stderr


@contextlib.contextmanager
def started(project: Project, *options, command=COMMAND, **popen):
    """Start `make repro` in a process group of its own, which ends with the block."""
    for log in (project.folder / "logs").glob("*.log"):
        log.unlink()  # of earlier runs, not to be taken for this one's
    process = subprocess.Popen(
        [sys.executable, *command[1:], *options],
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
        wait_until(lambda: not running_in(project.folder))


def wait_for(project: Project, stage: str, words: str) -> None:
    """Wait until `words` stand in the log of `stage`."""
    log = project.folder / "logs" / f"{stage}.log"
    wait_until(lambda: log.exists() and words in log.read_text())


def test_the_first_run_ran_every_stage_and_shows_results(finished_study):
    output = (finished_study.folder / "logs" / "repro.log").read_text()
    became = states(output)
    assert len(became) == 11
    assert set(became.values()) == {"done"}
    for stage in became:
        log = (finished_study.folder / "logs" / f"{stage}.log").read_text()
        assert f"Running stage '{stage}'" in log
    lines = output.splitlines()
    assert lines[0] == "  0:00  11 stages to run, time left unknown; then open report.html"
    assert re.fullmatch(r" +\d+:\d\d  done; open report.html", lines[-4])
    assert re.fullmatch(
        r" +\d+:\d\d    Convolutional network: 0\.\d{4} \(published: 0\.9920\)", lines[-2]
    )
    (end,) = (line for line in lines if "train_cnn 0." in line)
    assert re.fullmatch(r" +\d+:\d\d  train_cnn 0\.\d{4}, \d+:\d\d \(\d+ of 11\)", end)
    assert "python -E" not in output


def test_dry_names_what_may_run_and_runs_nothing(study):
    before = study.lock()
    assert study.run(*COMMAND).stdout == UP_TO_DATE
    assert study.run(*COMMAND, "--dry").stdout == UP_TO_DATE
    assert study.lock() == before
    study.change(train_cnn__learning_rate=0.05)
    named = study.run(*COMMAND, "--dry").stdout.split()
    assert named == ["train_cnn", "eval_noise", "report"]
    assert study.run(*COMMAND, "--dry", "train_cnn").stdout.split() == ["train_cnn"]
    assert study.run("dvc", "status", "--quiet", check=False).returncode == 1


def test_targets_from_another_folder_without_the_environment_activated(study):
    study.change(preprocess__seed=1, train_mlp__learning_rate=0.05)
    command = [sys.executable, study.folder / "tools/repro.py", "preprocess"]
    subprocess.run(command, cwd="/", env={"PATH": "/usr/bin:/bin"}, check=True)
    assert set(study.status()) == {"train_mlp", "report"}


def test_what_the_tool_cannot_run_with_is_refused(study):
    assert re.fullmatch("error: .*train_rnn.*\n", refuse(study, "train_rnn"))
    done = study.run(sys.executable, "-S", "tools/repro.py", check=False)
    assert done.returncode == 1
    assert re.fullmatch("error: .* has no package dvc; use make repro\n", done.stderr)
    text = "<<<<<<< HEAD\n" + study.lock()
    (study.folder / "dvc.lock").write_text(text)
    assert refuse(study).startswith("error: dvc.lock has conflict markers")
    assert study.lock() == text


@contextlib.contextmanager
def dask_cluster(folder, workers=2):
    """Start a scheduler and workers on loopback, as docs/running.md says; give its address."""
    dask = [sys.executable, "-m", "dask"]
    log = (folder / "dask.log").open("w")
    options = {"cwd": folder, "stdout": log, "stderr": subprocess.STDOUT}
    scheduler = ["scheduler", "--host", "127.0.0.1", "--port", "0", "--no-dashboard"]
    file = folder / "scheduler.json"
    processes = [subprocess.Popen([*dask, *scheduler, "--scheduler-file", file], **options)]
    wait_until(file.exists)
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


def test_unreachable_cluster_is_reported(study, tmp_path):
    study.change(train_cnn__learning_rate=0.05)
    with dask_cluster(tmp_path, workers=0) as without_worker:
        for address in ("tcp://127.0.0.1:9", without_worker):
            said = refuse(study, "--scheduler", address)
            assert said.startswith(f"error: {address}: no Dask cluster with a worker answers there")


def test_the_stage_of_a_lost_worker_runs_again_and_never_twice_at_once(study, tmp_path):
    def find_trainings() -> list[psutil.Process]:
        found = []
        for process in running_in(study.folder):
            with contextlib.suppress(psutil.NoSuchProcess):
                found += [process] * ("stages/train_ae.py" in process.cmdline())
        return found

    study.change(train_ae__epochs=40)
    with (
        dask_cluster(tmp_path) as address,
        started(study, "train_ae", "--scheduler", address) as process,
    ):
        wait_for(study, "train_ae", "epoch 2/")
        (first,) = find_trainings()
        commands = {each: " ".join(each.cmdline()) for each in first.parents()}
        next(each for each in commands if "multiprocessing" in commands[each]).kill()  # the worker
        seen = set()
        while process.poll() is None:
            trainings = find_trainings()
            assert len(trainings) <= 1
            seen |= set(trainings)
            time.sleep(0.05)
        output = process.stdout.read()
    assert process.returncode == 0, output
    assert len(seen - {first}) == 1
    assert states(output) == {"train_ae": "done"}
    assert study.run("dvc", "status", "train_ae").stdout == UP_TO_DATE


def test_a_failing_stage_stops_its_dependents_only(study):
    study.change(train_mlp__learning_rate=0.05)
    script = study.folder / "stages" / "train_ae.py"
    script.write_text(script.read_text().replace("build(", "rebuild(", 1))
    done = study.run(*COMMAND, check=False)
    assert done.returncode == 1
    assert states(done.stdout) == {"train_ae": "failed", "train_mlp": "done"}
    assert "error: train_ae failed; the end of logs/train_ae.log:\n" in done.stderr
    assert "NameError: name 'build' is not defined" in done.stderr
    changed = set(study.status())
    assert {"train_ae", "report"} <= changed
    assert "train_mlp" not in changed


def test_wrong_parameters_of_any_stage_are_refused_before_anything_runs(study):
    study.change(
        train_mlp__learning_rate=0.05,
        preprocess__limit=[70_000, 300],
        preprocess__validation=50_000,
        eval_noise__noise_levels=[0.5, 1.5],
        eval_noise__examples=[0, 300],
        sweep_l2__training__epochs="forty",
    )
    assert {line.split()[1] for line in refuse(study, code=2).splitlines()} == {
        "sweep_l2.training.epochs", "eval_noise.noise_levels", "preprocess.limit",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"sweep_l2__grid__factors": ["0.001'$(touch ran)'"]}, "'$' would reach the shell"),
        ({"train_cnn__a;touch ran;": 1}, "';' would reach the shell"),
        ({"sweep_l2__grid__factors": ["0.001 "]}, "sweep_l2.grid.factors = 0.001"),
        ({"sweep_l2__grid__factors": ["-0"]}, "sweep_l2.grid.factors = -0"),
        ({"sweep_l2__grid__replicates": [1.0]}, "sweep_l2.grid.replicates = 1.0"),
        ({"eval_noise__examples": list(range(30_000))}, "lists too long for a command line"),
        ({"eval_noise__examples": [0, 300]}, "examples = 300: the test images are 0 to 299"),
        (
            {"preprocess__validation": 1000},
            "preprocess.validation = 1000: limit allows 1000 training images; hold out fewer",
        ),
    ],
)
def test_what_no_stage_takes_is_refused_in_a_line(module_study, capsys, changes, said):
    parameters = module_study.parameters
    module_study.change(**changes)
    with module_study.repo() as repo:
        commands = {stage.addressing: stage.cmd for stage in repo.index.stages}
    module_study.parameters = parameters
    with pytest.raises(SystemExit, match="2"):
        check(commands)
    assert said in capsys.readouterr().err


def test_parameters_that_dvc_cannot_read(study):
    for text, said in {
        "sweep_l2: {grid: {factors: 0.1, replicates: [1]}, training: {}}": "are lists",
        "fetch: {timeout: 1}": "Could not find 'sweep_l2.grid.factors'",
        "fetch:\n  timeout: [1\n": "'params.yaml', YAML file structure is corrupted, line 3",
    }.items():
        (study.folder / "params.yaml").write_text(text)
        assert said in refuse(study)


def test_while_one_runs_a_second_is_refused_and_dvc_commands_make_it_wait(study):
    study.change(train_mlp__learning_rate=0.05)
    with started(study, "train_mlp") as first:
        for moment in ("Running stage", "epoch 2/"):
            wait_for(study, "train_mlp", moment)
            lock = zc.lockfile.LockFile(study.folder / ".dvc/tmp/lock")
            time.sleep(5)
            assert first.poll() is None
            # Before the lock is free: afterwards the first may end at any moment.
            assert refuse(study) == (
                "error: another make repro runs in this folder; wait until it has ended\n"
            )
            lock.close()
        assert all(not each.net_connections("inet") for each in running_in(study.folder))
        assert states(first.communicate()[0]) == {"train_mlp": "done"}
    assert first.returncode == 0


def test_a_stop_by_any_signal_leaves_no_process_and_what_git_has(study):
    """More cells than workers: none that waits may start when another is ended."""
    before, parameters = study.lock(), study.parameters
    study.change(train_mlp__epochs=2000, sweep_l2__training__epochs=2000)
    for number in signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGKILL:
        with started(study) as process:
            wait_for(study, "train_mlp", "epoch 1/")
            process.send_signal(number)
            output, _ = process.communicate(timeout=30)
            wait_until(lambda: not running_in(study.folder), seconds=5)
        if number != signal.SIGKILL:
            assert process.returncode == 1
            assert "stopped; what was finished is kept: make repro goes on from there" in output
            assert "Traceback" not in output
        assert study.run("git", "status", "--porcelain").stdout == " M params.yaml\n"
        assert study.lock() == before
    study.parameters = parameters
    assert states(study.run(*COMMAND).stdout).get("train_mlp") in (None, "from DVC's cache")
    assert study.lock() == before


def test_notes_of_killed_processes_do_not_block(study):
    """DVC keeps which process uses which file, and takes one that was killed, and that its parent
    has not asked about yet, for running. Notes of others, maybe on another host, stay."""
    notes, network = study.folder / ".dvc/tmp/rwlock", study.folder / "models/mlp.keras"
    notes.parent.mkdir(exist_ok=True)

    def note(command: str) -> None:
        network.unlink()
        used = {str(network): {"pid": os.getpid(), "cmd": command}}
        notes.write_text(json.dumps({"read": {}, "write": used}))

    note("/x/dvc/__main__.py --wait-for-lock repro --single-item train_mlp")
    assert "is busy" in study.run("dvc", "repro", "train_mlp", check=False).stderr
    assert states(study.run(*COMMAND, "train_mlp").stdout) == {"train_mlp": "from DVC's cache"}
    note("dvc repro")
    with started(study, "train_mlp") as process:
        assert "this run waits" in process.stdout.readline()
        assert process.poll() is None
        notes.unlink()
        assert states(process.communicate()[0]) == {"train_mlp": "from DVC's cache"}


def test_a_lock_cut_by_a_kill_costs_no_training(study):
    before, said = study.lock(), "dvc.lock was cut off by a kill"
    lock, names = study.folder / "dvc.lock", list(read_yaml(study.folder / "dvc.lock")["stages"])
    lock.write_text("")
    assert said in study.run(*COMMAND, "--dry").stdout
    # A shorter one, but valid.
    lock.write_text(before.partition("  train_cnn:\n")[0])
    named = study.run(*COMMAND, "--dry").stdout.split()
    assert set(names[names.index("train_cnn") :]) <= set(named) < set(names)
    # No longer valid.
    lock.write_text(re.match("(?s).*?train_cnn:\n.*?outs:\n", before)[0])
    done = study.run(*COMMAND)
    assert said in done.stdout
    assert {stage for stage, state in states(done.stdout).items() if state == "done"} <= {"report"}
    assert study.lock() == before


def test_the_lock_has_the_stages_of_the_graph_in_its_order(study):
    before = study.lock()
    head, *entries = re.split(r"^(?=  \S)", before, flags=re.M)
    gone = next(entry for entry in entries if "sweep_l2@" in entry).replace("@", "@9")
    (study.folder / "dvc.lock").write_text(head + gone + "".join(reversed(entries)))
    assert study.run(*COMMAND).stdout.endswith(UP_TO_DATE)
    assert study.lock() == before


@pytest.mark.parametrize("tool", [COMMAND, ("dvc", "repro")])
def test_cells_that_leave_the_grid_take_their_files_with_them(study, tmp_path, tool):
    before, parameters = study.lock(), study.parameters
    study.change(sweep_l2__grid={"factors": [0.001, 0.002], "replicates": [2]})
    study.run(*tool)
    study.commit("Change the grid")
    clone = study.clone(tmp_path / "clone")
    clone.run("dvc", "cache", "dir", "--local", study.folder / ".dvc/cache")
    clone.run("dvc", "checkout")
    assert clone.status() == {}
    assert study.status() == {}
    if tool is not COMMAND:
        return
    assert len(read_yaml(study.folder / "dvc.lock")["stages"]) == 9
    study.parameters = parameters
    done = study.run(*COMMAND)
    assert {name for name, state in states(done.stdout).items() if state == "done"} <= {"report"}
    assert study.lock() == before


def test_a_terminal_shows_what_runs(study):
    study.change(train_cnn__epochs=12)
    ours, theirs = pty.openpty()
    environment = os.environ | {"TERM": "xterm", "COLUMNS": "100"}
    with started(study, "train_cnn", stdout=theirs, env=environment) as process:
        os.close(theirs)
        shown = b""
        with contextlib.suppress(OSError):  # the end of a terminal
            while part := os.read(ours, 1 << 16):
                shown += part
        assert process.wait() == 0
    text = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", shown.decode())
    assert re.search(r"\d:\d\d  0 of 1 stages, about \d:\d\d left", text)
    assert re.search(r"train_cnn  epoch \d+/12  validation_accuracy 0\.\d{4}  \d:\d\d left", text)
    assert re.search(r"\d:\d\d  train_cnn 0\.\d{4}, \d:\d\d \(1 of 1\)", text)


@pytest.fixture(scope="module")
def plain_study(tmp_path_factory):
    """The small study, run from nothing with `dvc repro`."""
    project = small_project(tmp_path_factory.mktemp("plain") / "study")
    project.repro()
    return project


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


@pytest.mark.slow
def test_killed_at_random_moments_it_ends_with_the_same_results(tmp_path, plain_study):
    """Twenty times, with all it started, while it fetches, trains, and writes."""
    moments, kills = random.Random(0), 0
    while kills < 20:
        folder = tmp_path / f"from-{kills}"
        project, finished, ended, patience = small_project(folder), set(), False, 12
        while not ended:
            with started(project) as process:
                try:
                    process.wait(timeout=moments.uniform(1, patience))
                    ended = True
                except subprocess.TimeoutExpired:
                    for each in running_in(project.folder):
                        with contextlib.suppress(psutil.NoSuchProcess):
                            each.kill()
                    kills += 1
                    patience += 2  # so that it ends on a busy machine, too
                output = process.stdout.read()
            assert not ended or process.returncode == 0, output
            again = {stage for stage, state in states(output).items() if state == "done"}
            assert not {stage for stage in again & finished if stage.startswith(TRAININGS)}
            finished |= again
        assert project.lock() == plain_study.lock()
        assert project.status() == {}

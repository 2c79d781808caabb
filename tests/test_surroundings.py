"""It works where people are: other systems, settings of Git and DVC, folders, full disks."""

import ast
import hashlib
import os
import re
import shutil
import subprocess
import sys
import time

import pytest
from conftest import ROOT, Project, copy_finished, read_yaml
from test_readme import find_run, follow, read_blocks

SCRIPTS = sorted(ROOT.glob("stages/**/*.py"))
ONLY_UNIX = {"fcntl", "grp", "pty", "pwd", "resource", "syslog", "termios"}
ONLY_UNIX |= {"SIGALRM", "SIGHUP", "SIGKILL", "alarm", "fork", "getsid", "getuid", "killpg"}
ONLY_UNIX |= {"mkfifo", "setsid", "symlink", "symlink_to", "system"}
# Calls that depend on the system unless these are given.
NEEDED = {
    "open": {"encoding"},
    "read_text": {"encoding"},
    "to_csv": {"lineterminator"},
    "write_text": {"encoding", "newline"},
}

# Each of these once changed bytes, or ended a stage with a traceback.
HOSTILE = {
    "CUDA_VISIBLE_DEVICES": "0",
    "DNNL_MAX_CPU_ISA": "SSE41",
    "KERAS_BACKEND": "jax",
    "LC_ALL": "C",
    "OMP_NUM_THREADS": "3",
    "ONEDNN_DEFAULT_FPMATH_MODE": "BF16",
    "PYTHONHASHSEED": "1",
    "PYTHONUTF8": "0",
    "TF_ENABLE_ONEDNN_OPTS": "0",
    "TF_USE_LEGACY_KERAS": "1",
    "TF_XLA_FLAGS": "--tf_xla_auto_jit=2",
    "TZ": "Pacific/Kiritimati",
    "XLA_FLAGS": "--xla_cpu_enable_fast_math=true",
}
# XLA compiles the perceptrons and the autoencoder, oneDNN computes the convolutions.
COMPUTING = ("train_cnn", "train_ae", "eval_noise")


def one_line(done: subprocess.CompletedProcess) -> str:
    """Return the only line that a command printed about its failure."""
    assert done.returncode != 0
    assert "Traceback" not in done.stderr
    [line] = [line for line in done.stderr.splitlines() if line.startswith("error: ")]
    return line


# Other systems


def find_system_dependent(call: ast.Call) -> set[str]:
    """Return what a call leaves to the system: an encoding, line ends, a shell."""
    name = getattr(call.func, "attr", getattr(call.func, "id", ""))
    given = {keyword.arg for keyword in call.keywords}
    written = ast.unparse(call)
    is_text = not re.search("'[rwa]b'|devnull", written)
    missing = NEEDED.get(name, set()) - given if is_text else set()
    return {f"line {call.lineno}: {name} and {word}" for word in missing | given & {"shell"}}


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.stem)
def test_stages_use_nothing_that_only_linux_has(script):
    found = set()
    for node in ast.walk(ast.parse(script.read_text(encoding="utf-8"))):
        match node:
            case ast.Import(names=names) | ast.ImportFrom(names=names):
                found |= {name.name for name in names} & ONLY_UNIX
            case ast.Attribute(attr=name) if name in ONLY_UNIX:
                found.add(name)
            case ast.Call():
                found |= find_system_dependent(node)
    assert found == set()


def test_commands_need_no_shell():
    for stage in read_yaml(ROOT / "dvc.yaml")["stages"].values():
        assert re.fullmatch(r"python stages/\w+\.py( --\w+ \$\{item\.\w+\})*", stage["cmd"])


def test_a_clone_with_other_line_ends_has_the_same_bytes(finished_study, tmp_path):
    """As Git for Windows clones."""
    options = ("-c", "core.autocrlf=true", "-c", "core.eol=crlf")
    finished_study.run("git", *options, "clone", "--quiet", "--no-local", ".", tmp_path / "clone")
    for name in finished_study.run("git", "ls-files").stdout.splitlines():
        cloned = (tmp_path / "clone" / name).read_bytes()
        assert cloned == (finished_study.folder / name).read_bytes(), name


# Git and folders


def test_a_downloaded_zip_needs_git_init(finished_study, tmp_path):
    folder = tmp_path / "zip"
    finished_study.run("git", "archive", "--output", tmp_path / "study.tar", "HEAD")
    shutil.unpack_archive(tmp_path / "study.tar", folder)
    downloaded = Project(folder)
    assert "is not a git repository" in downloaded.run("dvc", "status", check=False).stderr
    assert "| `is not a git repository` | A downloaded ZIP has no Git: `git init`. |" in (
        ROOT / "README.md"
    ).read_text(encoding="utf-8")
    follow(downloaded, "git init")
    assert downloaded.repro("preprocess") == ["fetch", "preprocess"]
    shutil.rmtree(folder / ".git")
    follow(downloaded, "dvc config --local core.no_scm true")
    assert downloaded.repro("preprocess") == []


@pytest.mark.parametrize("kind", ["inside", "worktree", "submodule", "shallow"])
def test_a_repository_of_another_form(finished_study, tmp_path, kind):
    outer, project = Project(tmp_path / "outer"), Project(tmp_path / "outer" / "study")
    outer.folder.mkdir()
    here = finished_study.folder
    if kind == "inside":
        copy_finished(finished_study, project.folder)
        shutil.rmtree(project.folder / ".git")
        outer.run("git", "init", "--quiet")
        outer.commit("All")
    elif kind == "worktree":
        copied = copy_finished(finished_study, tmp_path / "copied")
        copied.run("git", "worktree", "add", "--quiet", project.folder)
    elif kind == "submodule":
        outer.run("git", "init", "--quiet")
        allow = ("-c", "protocol.file.allow=always")
        outer.run("git", *allow, "submodule", "--quiet", "add", here, "study")
    else:
        outer.run("git", "clone", "--quiet", "--depth", "1", here.as_uri(), "study")
    project.run("dvc", "metrics", "diff", "HEAD")
    if kind == "inside":
        assert project.repro() == []
    assert project.repro("preprocess") == ([] if kind == "inside" else ["fetch", "preprocess"])
    assert project.run("git", "status", "--porcelain").stdout == ""


def test_settings_of_git_do_not_reach_experiments(study, tmp_path):
    """A signature without a key, a hook that refuses, nobody's name, a hook's variables."""
    hook = tmp_path / "hooks" / "pre-commit"
    hook.parent.mkdir()
    hook.write_text("#!/bin/sh\nexit 1\n")
    hook.chmod(0o755)
    study.run("git", "config", "commit.gpgsign", "true")
    study.run("git", "config", "core.hooksPath", hook.parent)
    other = Project(tmp_path / "other")
    other.folder.mkdir()
    other.run("git", "init", "--quiet")
    index = other.folder / ".git/index"
    settings = {"GIT_CONFIG_GLOBAL": os.devnull, "GIT_DIR": str(index.parent)}
    settings["GIT_INDEX_FILE"] = str(index)
    command = ("dvc", "exp", "run", "--name", "other", "--set-param", "report.item=number")
    study.run(*command, env=settings)
    assert "other" in study.run("dvc", "exp", "list", "--name-only").stdout
    assert other.run("git", "for-each-ref").stdout == ""
    assert not index.exists()


def test_two_branches_of_results_merge(study):
    [commands] = read_blocks(ROOT / "CONTRIBUTING.md", "Merge two branches of results")
    changes = {"slower": {"eval_noise__seed": 1}, "other": {"report__item": "number"}}
    for branch, change in changes.items():
        study.run("git", "switch", "--quiet", "--create", branch, "main")
        study.run("dvc", "checkout")
        study.change(**change)
        follow(study, "make repro")
        study.commit(branch)
    merged = follow(study, commands.replace("git merge slower", "git merge slower || true"))
    # What either side has measured is in the cache. Only what needs both runs.
    assert find_run(merged) == ["report"]
    assert study.status() == {}
    assert study.run("git", "status", "--porcelain").stdout == ""
    parents = study.run("git", "log", "-1", "--format=%P").stdout.split()
    assert len(parents) == 2


# DVC


def test_settings_of_dvc_change_nothing(study, tmp_path):
    settings = "[core]\n    autostage = true\n    remote = elsewhere\n[cache]\n    type = symlink\n"
    settings += "[parsing]\n    list = append\n    bool = boolean_optional\n"
    (tmp_path / "dvc").mkdir()
    (tmp_path / "dvc/config").write_text(settings)
    study.change(train_mlp__seed=1)
    done = study.run("dvc", "repro", "train_mlp", env={"XDG_CONFIG_HOME": str(tmp_path)})
    assert re.findall("^Running stage '(.*)'", done.stdout, re.M) == ["train_mlp"]
    assert not (study.folder / "models/mlp.keras").is_symlink()
    assert study.run("git", "diff", "--staged", "--name-only").stdout == ""


def test_a_stage_run_by_hand_never_writes_into_the_cache(study):
    study.run("dvc", "config", "--local", "cache.type", "symlink")
    study.run("dvc", "checkout", "--relink")
    assert (study.folder / "models/mlp.keras").is_symlink()
    study.change(train_mlp__seed=1, sweep_l2__training__seed=1, eval_noise__seed=1)
    cell = ("stages/sweep_l2.py", "--factor", "0.001", "--replicate", "1")
    for command in (["stages/train_mlp.py"], cell, ["stages/eval_noise.py"], ["stages/report.py"]):
        study.run("python", *command)
    for path in (study.folder / ".dvc/cache/files/md5").glob("*/*"):
        content = hashlib.md5(path.read_bytes(), usedforsecurity=False).hexdigest()
        assert content == path.parent.name + path.name.removesuffix(".dir")


def test_an_editor_that_asks_meanwhile_trains_nothing_twice(study):
    """VS Code's extension polls these two commands."""
    study.change(train_mlp__seed=1, train_ae__seed=1)
    command = (sys.executable, "tools/repro.py", "--workers", "2", "train_mlp", "train_ae")
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True}
    with subprocess.Popen(command, cwd=study.folder, **pipes) as run:
        while run.poll() is None:
            study.run("dvc", "data", "status", "--json", check=False)
            study.run("dvc", "exp", "show", "--json", check=False)
            time.sleep(1)
        output = run.stdout.read()
    assert sorted(find_run(output)) == ["train_ae", "train_mlp"]
    for stage in "train_mlp", "train_ae":
        log = (study.folder / f"logs/{stage}.log").read_text()
        assert log.count("epoch 1/") == 1
    assert study.repro("train_mlp", "train_ae") == []


def test_damaged_outputs_and_cache_are_restored(study):
    lock = study.lock()
    metrics, model = study.folder / "metrics/train_cnn.json", study.folder / "models/mlp.keras"
    honest = [path.read_bytes() for path in (metrics, model)]
    metrics.write_bytes(honest[0].replace(b'accuracy": 0', b'accuracy": 9'))
    changed = study.status()["train_cnn"]
    assert {"changed outs": {"metrics/train_cnn.json": "modified"}} in changed
    digest = lock.split("path: models/mlp.keras")[1].split("md5: ")[1][:32]
    cached = study.folder / ".dvc/cache/files/md5" / digest[:2] / digest[2:]
    cached.chmod(0o644)
    cached.write_bytes(honest[1][:-1000])
    model.unlink()
    # What is in the cache is restored without training.
    assert study.repro() == ["train_mlp"]
    assert [path.read_bytes() for path in (metrics, model)] == honest
    assert cached.read_bytes() == honest[1]
    assert study.lock() == lock


# The machine


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("SHELL", "/usr/sbin/nologin", "This account is currently not available"),
        ("DVC_SITE_CACHE_DIR", "/proc/none", "/proc/none"),
    ],
)
def test_what_dvc_needs_of_a_machine_stands_in_the_docs(module_study, name, value, said):
    command = ("dvc", "repro", "--force", "--single-item", "preprocess")
    done = module_study.run(*command, env={name: value}, check=False)
    assert done.returncode != 0
    assert said in done.stdout + done.stderr
    assert name in (ROOT / "docs/failures.md").read_text(encoding="utf-8")


def test_settings_from_outside_change_no_byte(study: Project, tmp_path):
    home = tmp_path / "home"
    (home / ".keras").mkdir(parents=True)
    (home / ".keras/keras.json").write_text('{"floatx": "float16", "backend": "torch"}')
    before = study.folder.stat().st_ctime
    for stage in COMPUTING:
        study.run("python", f"stages/{stage}.py", env=HOSTILE | {"HOME": str(home)})
    assert study.status() == {}
    assert (study.folder / "models/cnn.keras").stat().st_mtime > before


@pytest.mark.parametrize(
    ("stage", "before", "said"),
    [
        ("train_mlp", "ulimit -f 200", "File too large"),  # blocks of 1024 bytes
        ("report", "rm -r plots/report; touch plots/report", "plots/report: File exists"),
    ],
)
def test_output_that_cannot_be_written_costs_one_line(study, stage, before, said):
    networks = sorted((study.folder / "models").iterdir())
    command = f"{before}; exec python stages/{stage}.py"
    line = one_line(study.run("bash", "-c", command, check=False))
    assert line.startswith(f"error: {stage}: ")
    assert said in line
    assert sorted((study.folder / "models").iterdir()) == networks


def test_any_folder_owner_and_locale_without_a_display(finished_study, tmp_path):
    """A name that needs quoting and is not ASCII; another working directory, no terminal."""
    folder = tmp_path / "Größe & Maß" / "my study"
    elsewhere = copy_finished(finished_study, folder)
    elsewhere.change(report__item="number")
    if hasattr(os, "geteuid") and os.geteuid() == 0:  # only root can give files to another user
        for path in (folder, *folder.rglob("*")):
            os.chown(path, 65534, 65534, follow_symlinks=False)
    without = ("--unset", "DISPLAY", "--unset", "WAYLAND_DISPLAY", "--unset", "LANG", "LC_ALL=C")
    elsewhere.run("env", "--chdir", "/", *without, "python", folder / "tools" / "repro.py")
    assert elsewhere.status() == {}
    report = (folder / "report.md").read_text(encoding="utf-8")
    assert not report.isascii()
    assert report != (finished_study.folder / "report.md").read_text(encoding="utf-8")

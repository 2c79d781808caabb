"""It works where people are: other systems, settings of Git and DVC, folders, full disks."""

import ast
import hashlib
import os
import re
import shutil
import subprocess

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
    "MKL_NUM_THREADS": "1",
    "MPLBACKEND": "module://matplotlib_inline.backend_inline",
    "OMP_NUM_THREADS": "3",
    "ONEDNN_DEFAULT_FPMATH_MODE": "BF16",
    "OPENBLAS_CORETYPE": "Haswell",
    "OPENBLAS_NUM_THREADS": "1",
    "PYTHONHASHSEED": "1",
    "PYTHONUTF8": "0",
    "TF_ENABLE_ONEDNN_OPTS": "0",
    "TF_USE_LEGACY_KERAS": "1",
    "TF_XLA_FLAGS": "--tf_xla_auto_jit=2",
    "TZ": "Pacific/Kiritimati",
    "XLA_FLAGS": "--xla_cpu_enable_fast_math=true",
}
# XLA compiles the perceptrons and the autoencoder, oneDNN computes the convolutions.
COMPUTING = ("train_cnn", "train_ae", "eval_noise", "report")


def one_line(done: subprocess.CompletedProcess) -> str:
    """Return the only line that a command printed about its failure."""
    assert done.returncode != 0
    assert "Traceback" not in done.stderr
    [line] = [line for line in done.stderr.splitlines() if line.startswith("error: ")]
    return line


# Other systems


def find_system_dependent(call: ast.Call) -> set[str]:
    """Return what a call leaves to the system: an encoding, line ends, a shell."""
    name = getattr(call.func, "attr", "open" if ast.unparse(call.func) == "open" else "")
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
    failures = (ROOT / "docs/failures.md").read_text(encoding="utf-8")
    assert "| `is not a git repository` | A downloaded ZIP has no Git: type `git init`." in failures
    follow(downloaded, "git init")
    assert downloaded.repro("preprocess") == ["fetch", "preprocess"]
    shutil.rmtree(folder / ".git")
    follow(downloaded, "dvc config --local core.no_scm true")
    assert downloaded.repro("preprocess") == []


def test_a_folder_of_another_repository(finished_study, tmp_path):
    outer, project = Project(tmp_path / "outer"), Project(tmp_path / "outer" / "study")
    copy_finished(finished_study, project.folder)
    shutil.rmtree(project.folder / ".git")
    outer.run("git", "init", "--quiet")
    outer.commit("All")
    assert project.repro() == []
    assert project.run("git", "status", "--porcelain").stdout == ""


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


# The machine


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

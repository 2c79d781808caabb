"""A changed project is a healthy project: after what the documents teach, the tests pass.

A copy is changed, run and tested, by the tests that look at a project's own files.
"""

import re
import shutil

from conftest import Project
from made_up import read_results
from test_readme import PAGES, edit, find_run, follow

OF_THE_PROJECT = "acceptance any_network dag figures params readme recipes report results"
MEAN_IMAGE = """
import pandas as pd

from common import data

images, labels = data.load("train")
rows = [images[labels[:, number] == 1].mean() for number in range(labels.shape[1])]
data.write_csv("plots/mean_image.csv", pd.DataFrame({"brightness": rows}))
"""
FIGURE = """

def ratios(study: Study) -> Figure:
    figure, axes = new_axes()
    curve = noise_curve(study.counts)
    axes.plot(curve.denoised / curve.noisy, color=COLOURS["denoised"])
    return figure
"""
PLACED = """

Measured at {{ noise.levels }} levels.

{{ figure("ratios", "Denoised over noisy") }}
"""


def add_network(project: Project) -> None:
    """Add a stage as CONTRIBUTING.md says it of a second convolutional network."""
    code = (project.folder / "stages/train_cnn.py").read_text(encoding="utf-8")
    wide = project.folder / "stages/train_wide.py"
    wide.write_text(code.replace("cnn", "wide"), encoding="utf-8")
    parameters = project.parameters
    parameters["train_wide"] = parameters["train_cnn"]
    parameters["eval_noise"]["classifier"] = "wide"
    project.parameters = parameters
    text = (project.folder / "dvc.yaml").read_text(encoding="utf-8")
    entry = re.search(r"^  train_cnn:\n.*?\n\n", text, re.M | re.S)[0]
    text = text.replace(entry, entry + entry.replace("cnn", "wide"))
    before, report, after = text.partition("  report:\n")
    after = after.replace("    - train_cnn\n", "    - train_cnn\n    - train_wide\n", 1)
    (project.folder / "dvc.yaml").write_text(before + report + after, encoding="utf-8")


def add_mean_image(project: Project) -> None:
    """Add a stage that trains nothing, as CONTRIBUTING.md says."""
    (project.folder / "stages/mean_image.py").write_text(MEAN_IMAGE, encoding="utf-8")
    [command] = re.findall(r"`(dvc stage add [^`]+)`", PAGES[1].read_text(encoding="utf-8"))
    follow(project, command)


def change_report(project: Project) -> None:
    """Change a headline, add a number and a figure, as CONTRIBUTING.md says."""

    def edit(name: str, old: str = "", new: str = "", end: str = "") -> None:
        path = project.folder / "stages/reporting" / name
        text = path.read_text(encoding="utf-8")
        assert old in text
        path.write_text(text.replace(old, new, 1) + end, encoding="utf-8")

    edit("report.md.j2", '"perceptron": "', '"perceptron": "Read well: ', PLACED)
    edit("results.py", '"gain_level": level,', '"gain_level": level, "levels": len(curve),')
    edit("figures.py", end=FIGURE)


def take_recipe(project: Project) -> None:
    """Take another recipe, with few images and one epoch for each training."""
    small = project.parameters
    shutil.copy(project.folder / "recipes/robust.yaml", project.folder / "params.yaml")
    project.change(fetch=small["fetch"], preprocess=small["preprocess"])
    project.change(train_mlp__epochs=1, train_cnn__epochs=1, train_ae__epochs=1)
    project.change(sweep_l2__training__epochs=1, sweep_l2__grid__factors=[1e-6])


def test_another_recipe_network_value_and_report_and_more_stages(study):
    study.run("git", "switch", "--quiet", "--create", "changed")
    take_recipe(study)
    edit(study, PAGES[0], "Change a network", "stages/train_cnn.py")
    follow(study, "make repro")
    study.change(train_mlp__learning_rate=0.05)
    add_network(study)
    add_mean_image(study)
    study.run("python", "tools/check_params.py")
    assert not (study.folder / "plots/mean_image.csv").exists(), "the check runs no stage"
    change_report(study)
    run = find_run(follow(study, "make repro"))
    assert {*run} == {"train_mlp", "train_wide", "mean_image", "eval_noise", "report"}
    text = (study.folder / "report.md").read_text(encoding="utf-8")
    levels = len(study.parameters["eval_noise"]["noise_levels"])
    assert text.count("Read well: ") == 2, "in the contents and above the section"
    assert f"Measured at {levels} levels." in text
    assert 'alt="Denoised over noisy"' in text
    assert read_results(study)["noise.levels"] == levels
    assert (study.folder / "plots/report/ratios.png").exists()
    files = [f"tests/test_{name}.py" for name in OF_THE_PROJECT.split()]
    done = study.run("pytest", "--quiet", "-m", "not heavy", *files, check=False)
    assert done.returncode == 0, done.stdout
    study.commit("Change much")
    assert study.status() == {}

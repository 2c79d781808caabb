"""A changed project is a healthy project: after what the documents teach, the tests pass.

A copy is changed, run and tested, by the tests that look at a project's own files.
"""

import re
import shutil

import pytest
from test_readme import PAGES, add_network, edit, follow

FIGURE = """

def gains(study: Study) -> Figure:
    figure, axes = new_axes()
    axes.plot(noise_curve(study.counts).denoised)
    return figure
"""


OF_THE_PROJECT = "acceptance any_network dag figures params readme recipes report results"


def check(project) -> None:
    """Run what is out of date, then the tests."""
    follow(project, "make repro")
    files = [f"tests/test_{name}.py" for name in OF_THE_PROJECT.split()]
    done = project.run("pytest", "--quiet", "-m", "not heavy", *files, check=False)
    assert done.returncode == 0, done.stdout


def change_report(project) -> None:
    """Change a headline and add a figure, as CONTRIBUTING.md says."""
    reporting = project.folder / "stages/reporting"
    template = reporting / "report.md.j2"
    text = template.read_text(encoding="utf-8")
    text, count = re.subn(r'("cnn": ")', r"\1Well read: ", text, count=1)
    assert count == 1
    template.write_text(text + '\n{{ figure("gains", "Rates after denoising") }}\n', "utf-8")
    figures = reporting / "figures.py"
    figures.write_text(figures.read_text(encoding="utf-8") + FIGURE, encoding="utf-8")


def test_changed_values_networks_stages_and_report(study):
    study.run("git", "switch", "--quiet", "--create", "changed")
    study.change(train_cnn__dropout=0.4, sweep_l2__grid__factors=[1e-6, 0.001, 0.002])
    edit(study, PAGES[0], "Change a network", "stages/train_cnn.py")
    add_network(study)
    change_report(study)
    check(study)
    study.commit("Change much")
    assert study.status() == {}


@pytest.mark.parametrize("recipe", ["robust.yaml"])
def test_another_recipe(study, recipe):
    """Its networks train for one epoch, on few images."""
    limits = study.parameters["preprocess"]
    shutil.copy(study.folder / "recipes" / recipe, study.folder / "params.yaml")
    study.change(preprocess=limits, train_mlp__epochs=1, train_cnn__epochs=1, train_ae__epochs=1)
    study.change(sweep_l2__training__epochs=1, sweep_l2__grid__factors=[1e-6])
    check(study)

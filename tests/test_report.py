"""Whole reports, rendered from made-up results: the published recipe, and another one."""

import re
import shutil
import sys

import pandas as pd
import pytest
from conftest import Project
from made_up import made_up_project, read_results, render

from reporting import formats


@pytest.fixture(scope="module")
def published(tensorflow, tmp_path_factory) -> Project:
    """Render the report of the published recipe."""
    project = made_up_project(tmp_path_factory.mktemp("published"))
    render(project)
    return project


@pytest.fixture(scope="module")
def other(tensorflow, tmp_path_factory) -> Project:
    """Render other data: some classes have no image or glyph, and a cell has left the sweep."""
    names = ["お", "き", "す", "つ", "な", "<b>", "a|b", '"', "ま", "や"]
    project = made_up_project(
        tmp_path_factory.mktemp("other"),
        images=8,
        report={"dataset": "Words", "item": "word", "classes": names},
        sweep_l2__grid={"factors": [0.001, 1e-6, 0.5], "replicates": [7]},
        eval_noise__noise_levels=[0.85, 0.3],
        train_cnn__epochs=3,
    )
    project.change(sweep_l2__grid__factors=[0.001, 1e-6])
    render(project)
    return project


@pytest.fixture
def copy(other, tmp_path) -> Project:
    """Copy the other one, which has fewer figures, for a test that changes it."""
    shutil.copytree(other.folder, tmp_path / "copy")
    return Project(tmp_path / "copy")


def read_text(project: Project) -> str:
    return (project.folder / "report.md").read_text(encoding="utf-8")


def read_outputs(project: Project) -> dict[str, bytes]:
    """Return what the stage has written, by path."""
    paths = [*project.folder.glob("report.*"), *project.folder.glob("plots/report/*")]
    return {str(path.relative_to(project.folder)): path.read_bytes() for path in paths}


def numbers_of_text(text: str) -> list[str]:
    """Return the numbers with a fraction that sentences, tiles and captions state."""
    text = re.sub(r"<details.*?</details>|^\|.*?$", "", text, flags=re.DOTALL | re.MULTILINE)
    text = re.sub(r"`.*?`|<[^>]*>|\]\([^)]*\)", "", text)
    return re.findall(r"\d+\.\d+", text)


def written_forms(value: float) -> set[str]:
    """Return how the report may write a number: as a level, in percent, rounded."""
    values = (abs(value), abs(100 * value))
    rounded = {f"{each:.{count}f}" for each in values for count in range(1, 5)}
    return rounded | {formats.level(abs(value))}


@pytest.mark.parametrize("recipe", ["published", "other"])
def test_every_number_of_the_text_is_a_result_or_published(request, recipe):
    project = request.getfixturevalue(recipe)
    results = [value for value in read_results(project).values() if value is not None]
    results += pd.read_csv(project.folder / "published/numbers.csv").published.tolist()
    results += project.parameters["eval_noise"]["noise_levels"]
    results.append(project.parameters["train_ae"]["noise_level"])
    known = set().union(*map(written_forms, results))
    explained = {"0.3", "0.5", "0.8", "0.0"}  # levels that sentences explain
    stated = numbers_of_text(read_text(project))
    assert len(stated) > 20
    assert [number for number in stated if number not in known | explained] == []


def test_all_fifteen_figures_and_all_questions_are_there(published):
    text = read_text(published)
    assert len(set(re.findall(r"figures_04_14_noise_[\d.]+\.png", text))) == 11
    assert all(f"figure_{number}_" in text for number in ("01", "02", "03", "15"))
    questions = {"1", "2a", "2b", "2c", "2d", "3a", "3b", "4a", "4b", "4c"}
    assert questions <= set(re.findall(r"Question (\w+):", text))


def test_other_recipe_states_its_changes_and_nothing_published(published, other):
    assert "`" not in read_text(published).split("<!-- playground -->")[0]
    changes = read_text(other).split("<!-- playground -->")[0]
    assert "`eval_noise.noise_levels: [0.85, 0.3]`" in changes
    assert "`train_cnn.epochs: 3`" in changes
    results = read_results(other)
    assert not [name for name in results if name.startswith("compared.")]
    assert results["seeds.runs"] == results["cnn.seeds.test_accuracy.runs"] == 0
    published_numbers = pd.read_csv(other.folder / "published/numbers.csv").published
    accuracies = [f"{value:.4f}" for value in published_numbers if 0.95 < value < 1]
    assert [number for number in accuracies if number in read_text(other)] == []


def test_other_recipe_has_only_what_it_measured(other):
    assert read_results(other)["classes.worst"] < 8, "classes 8 and 9 have no images"
    classes = pd.read_csv(other.folder / "plots/report/classes.csv")
    assert set(classes["class"]) == set(range(8))
    sweep = pd.read_csv(other.folder / "plots/report/sweep.csv")
    assert sweep["std"].isna().all(), "one training has no deviation"
    cells = {path.stem for path in other.folder.glob("*/sweep_l2/*")}
    assert cells == {"0.001-7", "1e-06-7"}


def test_report_that_cannot_be_made_leaves_all_as_it_was(copy):
    before = read_outputs(copy)
    copy.change(report__classes=["a", "b"])
    with pytest.raises(SystemExit, match=r"^error: report.classes: 2 names, for 10 classes"):
        render(copy)
    assert read_outputs(copy) == before


def test_a_matplotlibrc_changes_no_byte(copy):
    before = read_outputs(copy)
    (copy.folder / "matplotlibrc").write_text("lines.linewidth: 9\nfont.size: twelve\n")
    done = copy.run(sys.executable, "stages/report.py")
    assert done.stderr == "", "no warnings"
    assert read_outputs(copy) == before

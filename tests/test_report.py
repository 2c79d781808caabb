"""Whole reports, rendered from made-up results: the published recipe, and another one."""

import json
import os
import re
import shutil
import sys

import numpy as np
import pandas as pd
import pytest
from conftest import Project
from made_up import made_up_project, read_results, render

from common.runtime import keras
from reporting import formats
from reporting.layers import list_layers

layers = keras.layers


@pytest.fixture(scope="module")
def published(tensorflow, tmp_path_factory) -> Project:
    """Render the report of the published recipe."""
    project = made_up_project(tmp_path_factory.mktemp("published"))
    render(project)
    return project


@pytest.fixture(scope="module")
def other(tensorflow, tmp_path_factory) -> Project:
    """Render another recipe: other data, with classes that have no image and no glyph.

    A cell has left the grid of its sweep.
    """
    names = ["お", "き", "す", "つ", "な", "<b>", "a|b", '"', "ま", "や"]
    project = made_up_project(
        tmp_path_factory.mktemp("other"),
        images=8,
        report={"dataset": "Words", "item": "word", "classes": names},
        sweep_l2__grid__factors=[0.001, 1e-6, 0.5],
        sweep_l2__grid__replicates=[7],
        eval_noise__noise_levels=[0.85, 0.3],
        eval_noise__draws=1,
        train_cnn__epochs=3,
    )
    project.change(sweep_l2__grid__factors=[0.001, 1e-6])
    render(project)
    return project


@pytest.fixture(params=["published", "other"])
def each(request) -> Project:
    return request.getfixturevalue(request.param)


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


def test_every_number_of_the_text_is_a_result_or_published(each):
    results = [value for value in read_results(each).values() if value is not None]
    results += pd.read_csv(each.folder / "published/numbers.csv").published.tolist()
    results += each.parameters["eval_noise"]["noise_levels"]
    results += np.ravel(each.parameters["train_ae"]["noise_level"]).tolist()
    known = set().union(*map(written_forms, results))
    explained = {"0.3", "0.5", "0.8", "0.0"}  # levels that sentences explain
    stated = numbers_of_text(read_text(each))
    assert len(stated) > 20
    assert [number for number in stated if number not in known | explained] == []


def test_links_lead_to_all_pictures_and_to_sections(each):
    text = read_text(each)
    pictures = set(re.findall(r'src="([^"]+)"', text))
    assert pictures == {name for name in read_outputs(each) if name.endswith(".png")}
    sections = set(re.findall(r"\]\(#([^)]+)\)", text))
    assert len(sections) >= 4
    assert sections <= set(re.findall(r'<a id="([^"]+)">', text))


def test_all_fifteen_figures_and_all_questions_are_there(published):
    text = read_text(published)
    assert len(set(re.findall(r"figures_04_14_noise_[\d.]+\.png", text))) == 11
    assert all(f"figure_{number}_" in text for number in ("01", "02", "03", "15"))
    questions = {"1", "2a", "2b", "2c", "2d", "3a", "3b", "4a", "4b", "4c"}
    assert questions <= set(re.findall(r"Question (\w+):", text))


def test_other_data_leave_out_what_is_published(other):
    results = read_results(other)
    assert not [name for name in results if name.startswith("compared.")]
    assert results["seeds.runs"] == results["cnn.seeds.test_accuracy.runs"] == 0
    published = pd.read_csv(other.folder / "published/numbers.csv").published
    accuracies = [f"{value:.4f}" for value in published if 0.95 < value < 1]
    assert [number for number in accuracies if number in read_text(other)] == []


def test_changed_values_stand_at_the_top(published, other):
    top = read_text(other).split("<!-- playground -->")[0]
    assert "`eval_noise.noise_levels: [0.85, 0.3]`" in top
    assert "`eval_noise.draws: 1`" in top
    assert "`train_cnn.epochs: 3`" in top
    assert "`" not in read_text(published).split("<!-- playground -->")[0]


def test_what_was_not_measured_is_no_zero(other):
    assert read_results(other)["classes.worst"] < 8, "classes 8 and 9 have no images"
    classes = pd.read_csv(other.folder / "plots/report/classes.csv")
    assert sorted(classes["class"].unique()) == list(range(8))
    sweep = pd.read_csv(other.folder / "plots/report/sweep.csv")
    assert sweep["std"].isna().all(), "one training has no deviation"


def test_sweep_has_a_metric_and_the_files_of_its_grid_alone(other):
    metric = json.loads((other.folder / "metrics/sweep_l2.json").read_text())
    assert metric == {"test_accuracy": 0.9}
    for folder in "metrics/sweep_l2", "plots/sweep_l2":
        names = {path.stem for path in (other.folder / folder).iterdir()}
        assert names == {"0.001-7", "1e-06-7"}


@pytest.mark.parametrize(
    ("change", "error"),
    [
        ({"report__classes": ["a", "b"]}, "report.classes: 2 names, for 10 classes"),
        ({"sweep_l2__grid__factors": [0.001, 0.5]}, "metrics/sweep_l2/0.5-7.json"),
    ],
)
def test_report_that_cannot_be_made_leaves_all_as_it_was(copy, change, error):
    before = read_outputs(copy)
    cells = set(copy.folder.glob("*/sweep_l2/*"))
    copy.change(**change)
    with pytest.raises((SystemExit, FileNotFoundError), match=re.escape(error)):
        render(copy)
    assert read_outputs(copy) == before
    assert set(copy.folder.glob("*/sweep_l2/*")) == cells


def test_order_of_keys_and_matplotlibs_settings_change_no_byte(copy, tmp_path):
    """Notebooks set MPLBACKEND; a folder may hold a matplotlibrc, or be read-only."""
    before = read_outputs(copy)
    parameters = copy.parameters
    grid = parameters["sweep_l2"]["grid"]
    parameters["sweep_l2"]["grid"] = dict(reversed(grid.items()))
    copy.parameters = dict(reversed(parameters.items()))
    for folder in copy.folder, tmp_path:
        settings = "lines.linewidth: 9\nfont.size: twelve\nbackend: svg\n"
        (folder / "matplotlibrc").write_text(settings)
    env = {"MPLBACKEND": "module://matplotlib_inline.backend_inline"}
    env |= {"MATPLOTLIBRC": str(tmp_path), "MPLCONFIGDIR": os.devnull}
    done = copy.run(sys.executable, "stages/report.py", env=env)
    assert done.stderr == "", "no warnings"
    after = read_outputs(copy)
    assert [name for name in before if after[name] != before[name]] == []


def test_contributing_change_a_sentence_add_a_number_add_a_figure(copy):
    reporting = copy.folder / "stages/reporting"

    def edit(name: str, old: str, new: str) -> None:
        text = (reporting / name).read_text(encoding="utf-8")
        assert old in text
        (reporting / name).write_text(text.replace(old, new, 1), encoding="utf-8")

    edit("report.md.j2", '"perceptron": "', '"perceptron": "Read well: ')
    number = '        "gain_level": level,\n'
    edit("results.py", number, number + '        "levels": len(curve),\n')
    with (reporting / "figures.py").open("a", encoding="utf-8") as file:
        file.write(
            "\n\ndef ratios(study: Study) -> Figure:\n"
            "    figure, axes = new_axes()\n"
            "    curve = noise_curve(study.counts)\n"
            "    axes.plot(curve.denoised / curve.noisy, color=COLOURS['denoised'])\n"
            "    return figure\n"
        )
    with (reporting / "report.md.j2").open("a", encoding="utf-8") as file:
        file.write("\n\nMeasured at {{ noise.levels }} levels.\n\n")
        file.write('{{ figure("ratios", "Denoised over noisy") }}\n')
    copy.run(sys.executable, "stages/report.py")
    text = read_text(copy)
    assert text.count("Read well: ") == 2, "in the contents and above the section"
    assert "Measured at 2 levels." in text
    assert 'alt="Denoised over noisy"' in text
    assert read_results(copy)["noise.levels"] == 2
    assert (copy.folder / "plots/report/ratios.png").exists()


def test_layer_table_is_right_for_nested_and_branched_networks(tensorflow):
    inside = keras.Sequential([keras.Input((4,)), layers.Dense(3, "relu")], name="encoder")
    given = keras.Input((2, 2))
    flat = layers.Flatten()(given)
    activation = layers.LeakyReLU()
    branches = [inside(flat), layers.Dense(3, activation=activation, use_bias=False)(flat)]
    model = keras.Model(given, layers.Reshape((3, 1))(layers.Add()(branches)))
    table = list_layers(model).set_index("kind")
    assert set(table.index) == {"Flatten", "Dense, relu", "Dense, LeakyReLU", "Add", "Reshape"}
    assert table.part["Dense, relu"] == "encoder"
    assert table.parameters.sum() == model.count_params() == 5 * 3 + 4 * 3
    assert table.output["Reshape"] == (3, 1)
    assert (table["size"] == table.output.map(np.prod)).all()


def test_numbers_are_written_for_people():
    table = pd.DataFrame({"a": [0.123456, None], "b": [10_000, 1], "c": ["x|y", "–"]})
    lines = formats.table(table).splitlines()
    assert lines[2].split() == ["|", "0.1235", "|", "10,000", "|", "x\\|y", "|"]
    assert lines[3].split() == ["|", "–", "|", "1", "|", "–", "|"]
    levels = [formats.level(value) for value in (0.0005005, 1e-6, 0.3, 1.0)]
    assert levels == ["0.0005", "0.000001", "0.3", "1"]
    assert formats.percent(float("nan")) == formats.digits(None) == formats.count(None) == "–"
    assert formats.count(1, "seed") == "1 seed"
    assert formats.signed(-0.002, 3) == "−0.002"

"""Whole reports, rendered from made-up results: the published recipe, and others."""

import json
import os
import re
import sys

import numpy as np
import pandas as pd
import pytest
from conftest import Project
from made_up import made_up_project, read_results

from common.runtime import keras
from reporting.layers import list_layers

layers = keras.layers
MISSING = "–"


def render(project: Project, **env: str) -> str:
    """Make the report; return its text."""
    done = project.run(sys.executable, "stages/report.py", env=env)
    assert done.stderr == "", "no warnings"
    return (project.folder / "report.md").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def published(tmp_path_factory) -> Project:
    """Render the report of the published recipe."""
    project = made_up_project(tmp_path_factory.mktemp("published"))
    render(project)
    return project


@pytest.fixture(scope="module")
def other(tmp_path_factory) -> Project:
    """Render another recipe: other data, with classes that have no image and no glyph."""
    names = ["お", "き", "す", "つ", "な", "<b>", "a|b", '"', "ま", "や"]
    project = made_up_project(
        tmp_path_factory.mktemp("other"),
        images=8,
        report={"dataset": "Words", "item": "word", "classes": names},
        sweep_l2__grid__factors=[0.001, 1e-6],
        sweep_l2__grid__replicates=[7],
        eval_noise__noise_levels=[0.85, 0.3],
        eval_noise__draws=1,
        train_cnn__epochs=3,
    )
    render(project)
    return project


def read_text(project: Project) -> str:
    return (project.folder / "report.md").read_text(encoding="utf-8")


def numbers_of_text(text: str) -> list[str]:
    """Return the numbers with a fraction that sentences, tiles and captions state."""
    text = re.sub(r"<details>.*?</details>", "", text, flags=re.DOTALL)  # tables
    text = re.sub(r"<details .*?</details>|^\|.*$|`.*?`", "", text, flags=re.DOTALL | re.MULTILINE)
    text = re.sub(r"<[^>]*>|\]\([^)]*\)", "", text)
    return re.findall(r"\d+\.\d+", text)


def written_forms(value: float) -> set[str]:
    """Return how the report may write a number: as it is, in percent, rounded."""
    values = (abs(value), abs(100 * value))
    return {f"{each:.{count}f}" for each in values for count in range(1, 5)} | {f"{abs(value):g}"}


@pytest.mark.parametrize("recipe", ["published", "other"])
def test_every_number_of_the_text_is_a_result(recipe, request):
    project = request.getfixturevalue(recipe)
    known = set()
    for value in read_results(project.folder).values():
        known |= written_forms(value) if value is not None else set()
    for row in pd.read_csv(project.folder / "published/numbers.csv").published:
        known |= written_forms(row)
    for level in project.parameters["eval_noise"]["noise_levels"]:
        known.add(f"{level:g}")
    words = {"0.3", "0.5", "0.8", "0.0"}  # levels that sentences explain
    stated = numbers_of_text(read_text(project))
    assert len(stated) > 20
    assert [number for number in stated if number not in known | words] == []


@pytest.mark.parametrize("recipe", ["published", "other"])
def test_links_lead_to_files_and_sections(recipe, request):
    project = request.getfixturevalue(recipe)
    text = read_text(project)
    links = re.findall(r'\]\(([^)]+)\)|src="([^"]+)"', text)
    links = {link for pair in links for link in pair if link and not link.startswith("http")}
    pictures = {link for link in links if link.endswith(".png")}
    files = {path.name for path in (project.folder / "plots/report").glob("*.png")}
    assert {link.split("/")[-1] for link in pictures} == files
    sections = {link[1:] for link in links if link.startswith("#")}
    assert len(sections) >= 4
    assert sections <= set(re.findall(r'<a id="([^"]+)">', text))


def test_all_fifteen_figures_and_all_questions_are_there(published):
    text = read_text(published)
    assert len(set(re.findall(r"figures_04_14_noise_[\d.]+\.png", text))) == 11
    assert all(f"figure_{number}_" in text for number in ("01", "02", "03", "15"))
    asked = re.findall(r"Question (\w+):", text)
    assert sorted(asked) == ["1", "2a", "2b", "2c", "2d", "3a", "3b", "4a", "4b", "4c"]


def test_published_numbers_stand_beside_each_runs_own(published):
    table = pd.read_csv(published.folder / "plots/report/published_numbers.csv", index_col="name")
    assert len(table) == len(pd.read_csv(published.folder / "published/numbers.csv"))
    assert table.this_run.notna().all()
    assert table.difference.tolist() == pytest.approx((table.this_run - table.published).tolist())
    assert table.runs["cnn_test_accuracy"] == 10
    assert table.difference["mlp_parameters"] == 0


def test_other_data_leave_out_what_is_published(other):
    results = read_results(other.folder)
    assert not [name for name in results if name.startswith("compared.")]
    assert results["seeds.runs"] == results["cnn.seeds.test_accuracy.runs"] == 0
    published = pd.read_csv(other.folder / "published/numbers.csv").published
    accuracies = [f"{value:.4f}" for value in published if 0.95 < value < 1]
    assert [number for number in accuracies if number in read_text(other)] == []


def test_changed_values_stand_at_the_top(published, other):
    assert "`eval_noise.noise_levels: [0.85, 0.3]`" in read_text(other)
    assert "`train_cnn.epochs: 3`" in read_text(other)
    assert "seed" not in read_text(other).split("<!-- playground -->")[0].split("**")[-1]
    before = read_text(published).split("<!-- playground -->")[0]
    assert "`" not in before.split("-->")[-1]


def test_what_was_not_measured_is_no_zero(other):
    results = read_results(other.folder)
    assert results["classes.worst"] < 8, "classes 8 and 9 have no images"
    classes = pd.read_csv(other.folder / "plots/report/classes.csv")
    assert sorted(classes["class"].unique()) == list(range(8))
    assert results["mistakes.mlp"] is not None
    sweep = pd.read_csv(other.folder / "plots/report/sweep.csv")
    assert sweep["std"].isna().all(), "one training has no deviation"
    assert MISSING in read_text(other)


def test_names_of_classes_stand_in_report_and_page(other):
    page = (other.folder / "report.html").read_text(encoding="utf-8")
    for text in read_text(other), page:
        assert "お" in text
    assert "a\\|b" in read_text(other)


def test_metric_is_of_the_run_that_validation_chose(published):
    cells = [
        json.loads(path.read_text()) for path in (published.folder / "metrics/sweep_l2").iterdir()
    ]
    best = max(cells, key=lambda cell: cell["validation_accuracy"])
    metric = json.loads((published.folder / "metrics/sweep_l2.json").read_text())
    assert metric == {"test_accuracy": best["test_accuracy"]}


def test_order_of_keys_and_matplotlibs_settings_change_nothing(published, tmp_path):
    """Notebooks set MPLBACKEND; a folder may hold a matplotlibrc, or be read-only."""
    before = {path: path.read_bytes() for path in (published.folder / "plots/report").iterdir()}
    parameters = published.parameters
    shuffled = {name: parameters[name] for name in reversed(parameters)}
    grid = shuffled["sweep_l2"]["grid"]
    shuffled["sweep_l2"]["grid"] = {name: grid[name] for name in reversed(grid)}
    published.parameters = shuffled
    settings = tmp_path / "matplotlibrc"
    settings.write_text("lines.linewidth: 9\nfont.size: twelve\nbackend: svg\n")
    for folder in published.folder, tmp_path:
        settings.replace(folder / "matplotlibrc")
        settings = folder / "matplotlibrc"
        backend = "module://matplotlib_inline.backend_inline"
        render(published, MPLBACKEND=backend, MATPLOTLIBRC=str(tmp_path), MPLCONFIGDIR=os.devnull)
        assert before == {path: path.read_bytes() for path in before}


def test_cells_that_left_the_grid_leave_their_folders_only_after_all_is_read(tmp_path):
    project = made_up_project(tmp_path)
    project.change(sweep_l2__grid__factors=[0.001, 0.5])
    cells = sorted((tmp_path / "metrics/sweep_l2").iterdir())
    done = project.run(sys.executable, "stages/report.py", check=False)
    assert done.returncode and len(done.stderr.splitlines()) == 1 and "0.5-1.json" in done.stderr
    assert sorted((tmp_path / "metrics/sweep_l2").iterdir()) == cells
    project.change(sweep_l2__grid__factors=[0.001])
    render(project)
    for folder in "metrics/sweep_l2", "plots/sweep_l2":
        names = {path.stem for path in (tmp_path / folder).iterdir()}
        assert names == {"0.001-1", "0.001-2", "0.001-3"}


def test_wrong_number_of_class_names_is_one_line(tmp_path):
    project = made_up_project(tmp_path)
    project.change(report__classes=["a", "b"])
    done = project.run(sys.executable, "stages/report.py", check=False)
    assert done.returncode
    assert done.stderr.splitlines() == ["error: report.classes: 2 names, for 10 classes"]
    assert not (tmp_path / "report.md").exists()


# ---- CONTRIBUTING, typed ----


def test_contributing_change_a_sentence_add_a_number_add_a_figure(tmp_path):
    project = made_up_project(tmp_path)
    reporting = tmp_path / "stages/reporting"

    def edit(name: str, old: str, new: str) -> None:
        path = reporting / name
        text = path.read_text(encoding="utf-8")
        assert old in text
        path.write_text(text.replace(old, new, 1), encoding="utf-8")

    headline = "A small perceptron reads "
    edit("report.md.j2", headline, "The small perceptron reads ")
    edit(
        "results.py",
        '        "gain_level": level,\n',
        '        "gain_level": level,\n        "levels": len(curve),\n',
    )
    with (reporting / "figures.py").open("a") as file:
        file.write(
            "\n\ndef ratios(study: Study) -> Figure:\n"
            "    figure, axes = new_axes()\n"
            "    curve = noise_curve(study.counts)\n"
            "    axes.plot(curve.denoised / curve.noisy, color=COLOURS['denoised'])\n"
            "    return figure\n"
        )
    sentence = "\n\nMeasured at {{ noise.levels }} levels.\n\n"
    sentence += '{{ figure("ratios", "Denoised over noisy") }}\n\n'
    edit("report.md.j2", '{{ figure("answers"', sentence + '{{ figure("answers"')
    text = render(project)
    assert text.count("The small perceptron reads ") == 2, "in the contents and above the section"
    assert "Measured at 11 levels." in text
    assert 'alt="Denoised over noisy"' in text
    assert read_results(tmp_path)["noise.levels"] == 11
    assert (tmp_path / "plots/report/ratios.png").exists()


# ---- Layer tables ----


def build_nested():
    encoder = keras.Sequential([keras.Input((16,)), layers.Dense(4, "relu")], name="encoder")
    decoder = keras.Sequential(
        [keras.Input((4,)), layers.Dense(16), layers.Activation("sigmoid"), layers.Reshape((4, 4))],
        name="decoder",
    )
    return keras.Sequential([keras.Input((4, 4)), layers.Flatten(), encoder, decoder])


def build_branched():
    given = keras.Input((14, 14, 1))
    one = layers.Conv2D(4, 5, strides=2, padding="same", use_bias=False)(given)
    other = layers.Conv2D(4, 1, strides=2, activation=keras.layers.LeakyReLU())(given)
    joined = layers.GlobalAveragePooling2D()(
        layers.BatchNormalization()(layers.Add()([one, other]))
    )
    return keras.Model(given, layers.Dense(5, activation="softmax")(joined))


@pytest.mark.parametrize("build", [build_nested, build_branched])
def test_layer_table_is_right_for_any_network(build):
    model = build()
    table = list_layers(model)
    assert table.parameters.sum() == model.count_params()
    assert table.output.iloc[-1] == model.output_shape[1:]
    assert (table["size"] == table.output.map(np.prod)).all()
    assert not table.kind.str.contains("InputLayer").any()


def test_layer_table_names_activations_and_parts():
    assert list_layers(build_nested()).part.tolist() == [
        "",
        "encoder",
        "decoder",
        "decoder",
        "decoder",
    ]
    kinds = list_layers(build_branched()).kind.tolist()
    assert "Conv2D, LeakyReLU" in kinds and kinds[-1] == "Dense, softmax"

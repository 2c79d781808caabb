"""The report of a real run: its files, its layer tables, what it refuses."""

import json
import re

import pandas as pd
import pytest
from conftest import ROOT
from test_any_network import cnn_residual

from common.runtime import keras
from reporting.networks import describe_layers

layers = keras.layers


def test_report_states_protocol_and_deviations(finished_study):
    text = (finished_study.folder / "report.md").read_text(encoding="utf-8")
    assert "are validated on the 300 test images and trained on 1,000 others" in text
    assert "differs from the published recipe in `preprocess.limit`" in text
    assert "It was a quick look" in text


def test_links_of_the_markdown_lead_to_files_and_sections(finished_study):
    text = (finished_study.folder / "report.md").read_text(encoding="utf-8")
    links = re.findall(r'\]\(([^)]+)\)|src="([^"]+)"', text)
    links = [link for pair in links for link in pair if link and not link.startswith("http")]
    figures = [link for link in links if link.endswith(".png")]
    levels = finished_study.parameters["eval_noise"]["noise_levels"]
    assert len([name for name in figures if "figures_04-14_noise" in name]) == len(levels)
    assert len(set(figures)) == len(figures)
    assert all((finished_study.folder / link).is_file() for link in figures)
    sections = {link for link in links if link not in figures}
    assert len(sections) >= 8
    assert all(f'<a id="{link[1:]}"></a>' in text for link in sections)


def test_tables_and_metric_hold_what_the_stages_measured(finished_study):
    folder = finished_study.folder / "plots/report"
    cells = pd.read_csv(folder / "sweep_cells.csv")
    best = cells.groupby("factor").validation_accuracy.mean().idxmax()
    metric = json.loads((finished_study.folder / "metrics/sweep_l2.json").read_text())
    mean = cells.test_accuracy[cells.factor == best].mean()
    assert metric == {"test_accuracy": pytest.approx(mean, rel=1e-5)}
    rates = pd.read_csv(folder / "noise.csv", index_col="noise_level")
    counts = pd.read_csv(finished_study.folder / "plots/eval_noise/rates.csv")
    counts = counts[(counts.classifier == "cnn") & (counts.kind == "filtered")]
    sums = counts.groupby("noise_level")[["images", "recognised"]].sum()
    assert list(rates.filtered) == pytest.approx(list(sums.recognised / sums.images), rel=1e-5)
    assert {"noisy_perceptron", "filtered_ssim", "denoised_psnr", "noisy_std"} <= set(rates)
    classes = pd.read_csv(folder / "classes.csv")
    assert list(classes.columns) == ["noise_level", "class", "denoised"]
    assert len(classes) == 10 * len(rates)


def test_committed_report_shows_all_fifteen_figures():
    text = (ROOT / "report.md").read_text(encoding="utf-8")
    assert len(set(re.findall(r"figures_04-14_noise_[\d.]+\.png", text))) == 11
    assert all(f"figure_{number}_" in text for number in ("01", "02", "03", "15"))


def test_names_of_classes_stand_in_report_and_page(study):
    before = (study.folder / "report.md").read_bytes()
    study.change(report__classes=["a", "b"])
    done = study.run("python", "stages/report.py", check=False)
    assert done.returncode
    assert done.stderr.splitlines() == ["error: report.classes: 2 names, for 10 classes"]
    assert (study.folder / "report.md").read_bytes() == before
    names = ["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"]
    study.change(report={"dataset": "Words", "item": "word", "classes": names})
    study.change(sweep_l2__grid__factors=[0.001])
    study.run("python", "stages/report.py")
    text = (study.folder / "report.md").read_text(encoding="utf-8")
    assert "| seven " in text
    assert "the images (Words, 28 × 28, 10 classes)" in text
    assert "seven" in (study.folder / "report.html").read_text(encoding="utf-8")
    # Cells that left the grid have left their folders.
    for folder in "plots/sweep_l2", "metrics/sweep_l2":
        assert {path.stem for path in (study.folder / folder).iterdir()} >= {"0.001-1", "0.001-2"}
        assert not [*(study.folder / folder).glob("1e-06*")]


# Layer tables


def build_common():
    return [
        *[layers.Conv2D(4, 5, strides=2, padding="same", use_bias=False)],
        *[layers.BatchNormalization(), layers.ReLU(), layers.SpatialDropout2D(0.25)],
        *[layers.SeparableConv2D(6, 3, activation="gelu"), layers.MaxPooling2D(3)],
        *[layers.GlobalAveragePooling2D(), layers.Dense(7, activation="softmax")],
    ]


def build_nested():
    encoder = keras.Sequential([keras.Input((16,)), layers.Dense(4, "relu")], name="encoder")
    decoder = keras.Sequential(
        [keras.Input((4,)), layers.Dense(16), layers.Activation("sigmoid"), layers.Reshape((4, 4))],
        name="decoder",
    )
    return keras.Sequential([keras.Input((4, 4)), layers.Flatten(), encoder, decoder])


def test_layer_table_is_right_for_any_network(tmp_path):
    common = keras.Sequential([keras.Input((28, 28, 1)), *build_common()])
    for model in common, cnn_residual((14, 14, 1), 5, dropout=0.5), build_nested():
        model.save(tmp_path / "network.keras")
        model = keras.models.load_model(tmp_path / "network.keras")
        table = describe_layers(model)
        assert table.parameters.sum() == model.count_params()
        assert table.output.iloc[-1] == model.output_shape[1:]
        assert "InputLayer" not in set(table.kind)
        assert (table["size"] > 0).all()


def test_layer_table_names_what_the_report_tells():
    table = describe_layers(keras.Sequential([keras.Input((28, 28, 1)), *build_common()]))
    assert list(table.kind[:4]) == ["Conv2D", "BatchNormalization", "ReLU", "SpatialDropout2D"]
    assert list(table.parameters[:2]) == [4 * 5 * 5, 4 * 4], "no bias; four numbers a channel"
    assert table.output[0] == (14, 14, 4)
    assert table.rate[3] == 0.25
    assert table.pool[5] == (3, 3)
    assert list(table.activation[4:]) == ["gelu", "", "", "softmax"]
    nested = describe_layers(build_nested())
    assert list(nested.part) == ["", "encoder", "decoder", "decoder", "decoder"]

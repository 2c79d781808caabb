"""Figures: drawn for any study, also of little; colours and DVC's templates agree."""

import json
import re

import numpy as np
import pytest
from conftest import ROOT
from made_up import made_up_project, render

from reporting import figures, page, plotting

# One mistake, training, epoch and level; names that the font cannot write; nothing published.
LITTLE = {
    "images": 4,
    "report": {"dataset": "Words", "item": "word", "classes": list("おきすつなはまやれを")},
    "sweep_l2__grid": {"factors": [0.001], "replicates": [7]},
    "train_cnn__epochs": 1,
    "eval_noise__noise_levels": [1.0],
}
LONG_NAMES = {"report__classes": [f"Ankle boot or T-shirt {number}" for number in range(10)]}


@pytest.mark.filterwarnings("error::UserWarning")  # of a layout that does not fit
@pytest.mark.parametrize("recipe", [{}, LITTLE, LONG_NAMES])
def test_figures_fit_and_can_be_read_on_a_phone(tensorflow, tmp_path, monkeypatch, recipe):
    drawn = []

    def export(figure, name):
        png, svg = plotting.export(figure, name)
        assert len(png) < 200_000
        ends, size = figure.get_tightbbox(), figure.get_size_inches()
        assert np.all(ends.min >= -0.05) and np.all(ends.max <= size + 0.05), f"{name} is cut off"
        width = float(re.search(r'viewBox="0 0 (\S+)', svg)[1])
        sizes = [float(size) for size in re.findall(r"font-size: ([\d.]+)px", svg)]
        assert min(sizes) * 358 / width >= 11, name
        drawn.append(name)
        return png, svg

    monkeypatch.setattr(page, "export", export)
    render(made_up_project(tmp_path, **recipe))
    assert len(drawn) > 8


@pytest.mark.parametrize("template", ["curves", "rates"])
def test_dvc_plots_have_the_colours_of_the_report(template):
    content = (ROOT / f".dvc/plots/{template}.json").read_text(encoding="utf-8")
    scale = json.loads(content)["layer"][0]["encoding"]["color"]["scale"]
    colours = dict(zip(scale["domain"], scale["range"], strict=True))
    assert len(colours) >= 2
    assert colours == {series: figures.COLOURS[series] for series in colours}

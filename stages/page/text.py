"""The report's text, Markdown: findings filled into `report.md.j2`, and its tables."""

import json
import re
from collections.abc import Sequence

import pandas as pd

from common.rates import KINDS
from page.findings import Findings, Noise, percent
from page.page import fill_in
from page.statistics import UNLIKELY, Interval
from page.study import Study, flatten

LOSSES = {
    "CategoricalCrossentropy": "cross-entropy",
    "BinaryCrossentropy": "binary cross-entropy",
    "MeanSquaredError": "mean squared error",
}


def write(study: Study, found: Findings) -> str:
    """Write report.md. An unknown name in its template raises jinja2.UndefinedError."""
    wording = [
        call,
        chance,
        count,
        decibel,
        enumerate_words,
        four,
        name_loss,
        number,
        percent,
        percent_1,
        points,
        surely,
        three,
        two,
    ]
    text = fill_in(
        "report.md.j2",
        study=study,
        networks=study.networks,
        published=study.numbers.set_index("name").published.to_dict(),
        unlikely=UNLIKELY,
        found=found,
        tables=tabulate_figures(study, found),
        made_of=[list_parameters(study.parameters), study.versions],
        **{function.__name__: function for function in wording},
    )
    return re.sub(r"\n{3,}", "\n\n", text)


# Words


def two(value: float) -> str:
    return f"{value:.2f}"


def four(value: float) -> str:
    return f"{value:.4f}"


def percent_1(share: float) -> str:
    return percent(share, 1)


def points(share: float) -> str:
    return f"{number(share)} percentage points"


def number(share: float, sign: str = "") -> str:
    """Write a difference of shares in hundredths; `sign` "+" shows it always."""
    rounded = round(100 * share, 2) + 0.0  # −0.0 + 0.0 is 0.0
    return f"{rounded:{sign}.2f}".replace("-", "−")


def surely(gap: Interval) -> str:
    """State the interval of a difference, and what it rests on."""
    ends = sorted([abs(gap.low), abs(gap.high)]) if gap.verdict != "unclear" else gap[1:3]
    basis = f"from {gap.runs} runs of each" if gap.runs else "as far as the test images tell"
    return f"(95\u00a0%: {number(ends[0])} to {number(ends[1])}, {basis})"


def chance(probability: float) -> str:
    return f"p = {probability:.2f}" if probability >= 0.01 else "p < 0.01"


def count(size: int, word: str) -> str:
    """Write a number with what it counts, such as "15 trainings"."""
    return f"{size:,} {word}{'s' if size != 1 else ''}"


def enumerate_words(words: Sequence) -> str:
    """Join words as a sentence does: "a, b and c"."""
    *most, last = map(str, words)
    return f"{', '.join(most)} and {last}" if most else last


def call(label: str) -> str:
    """Word a classifier's label inside a sentence: "the CNN", "the perceptron"."""
    return f"the {label[0].lower() + label[1:] if label[1:2].islower() else label}"


def decibel(value: float) -> str:
    return f"{value:.1f}\u00a0dB" if value < 1000 else "no noise"


def three(level: dict, suffix: str, form) -> str:
    """Enumerate what was measured of noisy, filtered and denoised images."""
    return enumerate_words([form(level[f"{kind}{suffix}"]) for kind in KINDS])


def name_loss(loss: str) -> str:
    return LOSSES.get(loss, f"loss ({loss})")


# Tables


def tabulate_figures(study: Study, found: Findings) -> dict[str, pd.DataFrame]:
    """Make the table below each figure, by the figure's name."""
    layers = {name: list_layers(network.layers) for name, network in study.networks.items()}
    tables = {
        "mlp_layers": layers["mlp"],
        "cnn_layers": layers["cnn"],
        "figure_01_perceptron": list_epochs(study, "mlp", "accuracy"),
        "cnn": list_epochs(study, "cnn", "accuracy"),
        "autoencoder": list_epochs(study, "autoencoder", "loss"),
        "figure_02_sweep": list_cells(study.cells, found.decay.summary),
        "figure_03_autoencoder": layers["autoencoder"],
        "figure_15_rates": list_curve(found.noise),
        "classes": list_rates(found.noise.by_class, study.parameters["report"]["item"]),
        "classifiers": list_rates(found.robust.curves, "classifier"),
        "confusion": count_readings(study),
        "published": found.published.numbers.drop(columns="name"),
    }
    if found.decay.runs_summary is not None:
        tables["replicates"] = found.decay.runs_summary
    return tables


def list_layers(layers: pd.DataFrame) -> pd.DataFrame:
    kinds = layers.kind + layers.activation.map(lambda word: word and f", {word}")
    outputs = layers.output.map(lambda shape: "\u00a0×\u00a0".join(map(str, shape)))
    table = layers[["layer"]].assign(kind=kinds, output=outputs, parameters=layers.parameters)
    return table.assign(part=layers.part) if layers.part.any() else table


def list_epochs(study: Study, name: str, measure: str) -> pd.DataFrame:
    parts = []
    logs = {"": study.networks[name].history, " (published)": study.published_log(name)}
    for suffix, log in logs.items():
        if log is not None:
            columns = log.set_index("epoch")[[measure, f"validation_{measure}"]]
            parts.append(columns.set_axis([f"training{suffix}", f"validation{suffix}"], axis=1))
    return pd.concat(parts, axis=1).reset_index()


def list_cells(cells: pd.DataFrame, summary: pd.DataFrame) -> pd.DataFrame:
    table = cells.pivot(index="factor", columns="replicate", values="validation_accuracy")
    return table.add_prefix("training ").reset_index().merge(summary, on="factor")


def list_curve(noise: Noise) -> pd.DataFrame:
    table = noise.curve
    if noise.notebook is not None:
        table = table.join(noise.notebook.add_suffix(" (notebook)"))
    if noise.band is not None:
        table = table.join(noise.band)
    return table.reset_index()


def list_rates(curves: dict[str, pd.DataFrame], word: str) -> pd.DataFrame:
    """List rates, a row for each curve and kind of images."""
    rows = []
    for name, curve in curves.items():
        for kind in curve.columns.intersection(KINDS, sort=False):
            rates = {f"{level:g}": round(rate, 3) for level, rate in curve[kind].items()}
            rows.append({word: name, "images": kind} | rates)
    return pd.DataFrame(rows)


def count_readings(study: Study) -> pd.DataFrame:
    """Count what each class, a row, is taken for, a column."""
    table = pd.crosstab(study.predictions.actual, study.predictions.predicted)
    classes = range(len(study.classes))
    table = table.reindex(index=classes, columns=classes, fill_value=0)
    table = table.set_axis(study.classes, axis=0).set_axis(study.classes, axis=1)
    return table.rename_axis("actual").reset_index()


def list_parameters(parameters: dict) -> pd.DataFrame:
    """List nested parameters with dotted names, values as params.yaml writes them."""
    rows = [
        (name, json.dumps(value, ensure_ascii=False).strip('"'))
        for name, value in flatten(parameters).items()
    ]
    return pd.DataFrame(rows, columns=["parameter", "value"])

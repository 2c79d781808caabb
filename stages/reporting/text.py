"""The report's text, Markdown: findings filled into `report.md.j2`, and its tables."""

import inspect
import json
import re

import pandas as pd

from common.rates import KINDS
from reporting import words
from reporting.denoising import Noise
from reporting.findings import Findings
from reporting.page import fill_in
from reporting.statistics import UNLIKELY
from reporting.study import Study, flatten


def write(study: Study, found: Findings) -> str:
    """Write report.md. An unknown name in its template raises jinja2.UndefinedError."""
    text = fill_in(
        "report.md.j2",
        study=study,
        networks=study.networks,
        published=study.numbers.set_index("name").published.to_dict(),
        unlikely=UNLIKELY,
        found=found,
        tables=tabulate_figures(study, found),
        made_of=[list_parameters(study.parameters), study.versions],
        **dict(inspect.getmembers(words, inspect.isfunction)),
    )
    return re.sub(r"\n{3,}", "\n\n", text)


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
    if found.decay.sweeps_summary is not None:
        tables["replicates"] = found.decay.sweeps_summary
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

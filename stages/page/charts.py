"""The charts, as Vega-Lite specifications: alive in the page, elsewhere as PNG.

Each carries its data, and in `usermeta` the table that says the same.
Format: https://vega.github.io/vega-lite/docs/
"""

import json

import pandas as pd

from page.figures import BLUE, GREY, ORANGE, VERMILION

LEVEL = "noise level (share of pixels replaced)"
RATE = "true-positive rate"
FINAL = "validation accuracy after the last epoch"
AGAIN = " (notebook)"
BAR = "M-0.15,-1H0.15V1H-0.15Z"
# Solid for this run, dashed for what was published.
COLOURS, DASHES = (ORANGE, BLUE) * 2, ([1, 0], [1, 0], [4, 3], [4, 3])


def _chart(title: str, table, rows, **content) -> dict:
    """Make a chart of `rows`; `table` says the same to those who read."""
    return {
        "$schema": "https://vega.github.io/schema/vega-lite/v6.json",
        "title": title,
        "data": {"values": json.loads(rows.to_json(orient="records"))},
        "usermeta": json.loads(table.to_json(orient="split", index=False)),
        **content,
    }


def _number(field: str, title: str | None, domain=None, **axis) -> dict:
    scale = {"domain": domain} if domain else {"zero": False}
    return {"field": field, "type": "quantitative", "title": title, "scale": scale, "axis": axis}


def _series(names, values, **source) -> dict:
    """Encode each of `names` as its value, with a legend of short lines."""
    scale = {"domain": list(names), "range": list(values)}
    legend = {"symbolType": "stroke", "symbolSize": 300}
    return {"type": "nominal", "title": None, "scale": scale, "legend": legend, **source}


def _list_rates(curves: dict[str, pd.DataFrame], word: str) -> pd.DataFrame:
    """List the curves by name as rows: `word`, noise level, images, rate, deviation, low, high."""
    parts = []
    for name, curve in curves.items():
        for kind in ("noisy", "denoised"):
            part = pd.DataFrame({"noise level": curve.noise_level, "rate": curve[kind]})
            part["standard deviation"] = curve[f"{kind}_std"].fillna(0)
            parts.append(part.assign(images=kind, **{word: name}))
    rows = pd.concat(parts)
    low, high = rows.rate - rows["standard deviation"], rows.rate + rows["standard deviation"]
    return rows.assign(low=low, high=high).round(6)


def _rate_layers(colour: dict, titles: bool, **extra) -> list[dict]:
    """Lines of noisy and denoised rates over the level, their spread, and chance."""
    level, rate = (LEVEL, RATE) if titles else (None, None)
    x = _number("noise level", level, [0, 1], grid=False, tickCount=5 if titles else 2)
    y = _number("rate", rate, [0, 1], tickCount=5)
    chance = {"type": "rule", "strokeDash": [2, 3], "color": GREY}
    spread = {"x": x, "y": {**y, "field": "low"}, "y2": {"field": "high"}, "color": colour}
    line = {"type": "line", "point": {"size": 30}, "tooltip": True}
    return [
        {"mark": chance, "encoding": {"y": {"datum": 0.1, "title": rate}}},
        {"mark": {"type": "rule", "strokeWidth": 2}, "encoding": spread},
        {"mark": line, "encoding": {"x": x, "y": y, "color": colour, **extra}},
    ]


def history(title: str, y_title: str, own, published, measures: dict[str, str]) -> dict:
    """Curves per epoch: `measures` names the columns to draw and what the legend calls them."""
    named = published[["epoch", *measures]].rename(columns=measures)
    wide = own[["epoch", *measures]].rename(columns=measures)
    wide = wide.join(named.set_index("epoch").add_suffix(" (published)"), on="epoch")
    curves = wide.columns[1:]
    return _chart(
        title,
        wide,
        wide.melt("epoch", var_name="curve", value_name=y_title).dropna(),
        width="container",
        height=260,
        mark={"type": "line", "point": True, "tooltip": True},
        encoding={
            "x": _number("epoch", "epoch", [1, max(2, len(own))], tickMinStep=1, grid=False),
            "y": _number(y_title, y_title, tickCount=6),
            "color": _series(curves, COLOURS, field="curve"),
            "strokeDash": _series(curves, DASHES, field="curve"),
        },
    )


def sweep(title: str, cells, summary, hinton: float) -> dict:
    """Every training as a point, mean and deviation of each factor, Hinton's line."""
    names = ("mean ± standard deviation", "each training", f"Hinton: {hinton} (published)")
    mean, each, target = (_series(names, (BLUE, ORANGE, VERMILION), datum=name) for name in names)
    rows = cells[["factor", "replicate", "validation_accuracy"]].merge(summary, on="factor")
    deviation = rows["std"].fillna(0)
    rows = rows.assign(low=rows["mean"] - deviation, high=rows["mean"] + deviation)
    x = _number("factor", "L2 factor", format="~g", grid=False, tickCount=5)
    y = _number("mean", FINAL, tickCount=6)
    ends = {"x": x, "y": {**y, "field": "low"}, "y2": {"field": "high"}, "color": mean}
    point = {"type": "point", "filled": True, "opacity": 1, "tooltip": True}
    dots = {"x": x, "y": {**y, "field": "validation_accuracy"}, "color": each}
    trainings = cells.pivot(index="factor", columns="replicate", values="validation_accuracy")
    return _chart(
        title,
        trainings.add_prefix("training ").reset_index().merge(summary, on="factor"),
        rows,
        width="container",
        height=280,
        layer=[
            {"mark": {"type": "rule", "strokeWidth": 2}, "encoding": ends},
            {
                "mark": {"type": "line", "point": {"size": 70}, "tooltip": True},
                "encoding": {"x": x, "y": y, "color": mean},
            },
            {"mark": point, "encoding": dots},
            {
                "mark": {"type": "rule", "strokeDash": [6, 4]},
                "encoding": {"y": {"datum": hinton, "title": FINAL}, "color": target},
            },
        ],
    )


def noise(title: str, curve, notebook) -> dict:
    """Figure 15: noisy and denoised rates, the notebook's, chance, and the chosen level."""
    again = notebook.rename(columns={"noise_level": "noise level"})
    again = again.melt("noise level", var_name="images", value_name="rate")
    again = again.assign(images=again.images + AGAIN, low=again.rate, high=again.rate)
    rows = pd.concat([_list_rates({"": curve}, ""), again])
    names = rows.images.unique()
    dashes = _series(names, DASHES, field="images")
    chosen = {"datum": {"expr": "level"}, "type": "quantitative", "title": LEVEL}
    return _chart(
        title,
        curve.join(notebook.set_index("noise_level").add_suffix(AGAIN), on="noise_level"),
        rows,
        width="container",
        height=300,
        params=[{"name": "level", "value": -1}],  # outside: no rule until the page sets it
        layer=[
            *_rate_layers(_series(names, COLOURS, field="images"), True, strokeDash=dashes),
            {
                "mark": {"type": "rule", "clip": True, "strokeWidth": 2, "color": VERMILION},
                "encoding": {"x": chosen},
            },
        ],
    )


def facets(title: str, curves: dict, word: str, columns: int, width: int, height: int) -> dict:
    """Small multiples of noisy and denoised rates, one for each name in `curves`."""
    rows = _list_rates(curves, word)
    colour = _series(("noisy", "denoised"), COLOURS[:2], field="images")
    wide = rows.pivot(index=[word, "noise level"], columns="images")
    wide = wide[["rate", "standard deviation"]].sort_index(level=1, sort_remaining=False)
    wide.columns = [f"{images}, {measure}" for measure, images in wide.columns]
    return _chart(
        title,
        wide.reset_index(),
        rows,
        facet={"field": word, "title": None, "sort": list(curves)},
        columns=columns,
        spec={"width": width, "height": height, "layer": _rate_layers(colour, False)},
    )


def published(title: str, numbers, seeds) -> dict:
    """A strip for each published number: it, this run's and those of other seeds."""
    named = numbers.set_index("name").description
    others = pd.DataFrame({"number": seeds.metric.map(named), "value": seeds.value})
    runs = {
        "other seeds": others,
        "this run": pd.DataFrame({"number": numbers.description, "value": numbers.this_run}),
        "published": pd.DataFrame({"number": numbers.description, "value": numbers.published}),
    }
    looks = {
        "color": _series(runs, (GREY, BLUE, VERMILION), field="run", legend={}),
        "shape": _series(runs, (BAR, "circle", "diamond"), field="run", legend={}),
    }
    mark = {"type": "point", "filled": True, "size": 120, "opacity": 1, "tooltip": True}
    axis = _number("value", None, tickCount=3, grid=False)
    return _chart(
        title,
        numbers.drop(columns="name").rename(columns={"description": "number"}),
        pd.concat(rows.assign(run=run) for run, rows in runs.items()).dropna(),
        facet={"field": "number", "title": None, "sort": list(numbers.description)},
        columns=2,
        spec={"width": 240, "height": 24, "mark": mark, "encoding": {"x": axis, **looks}},
        resolve={"scale": {"x": "independent"}},
    )


def specify(run, found: dict) -> dict[str, dict]:
    """Specify every chart of the report, by the name of its PNG."""
    accuracies = {"accuracy": "training", "validation_accuracy": "validation"}
    losses = {"loss": "training", "validation_loss": "validation"}
    histories = {
        name: history(title, measure, run.histories[stage], run.logs[f"{stage}_history"], curves)
        for name, title, measure, stage, curves in (
            ("figure_01_perceptron", "Perceptron 64-64", "accuracy", "train_mlp", accuracies),
            ("cnn", "Convolutional network", "accuracy", "train_cnn", accuracies),
            ("autoencoder", "Autoencoder", "binary cross-entropy", "train_ae", losses),
        )
    }
    digits = {str(digit): rates for digit, rates in found["digits"].groupby("digit")}
    cnn, summary = found["curves"]["cnn"], found["sweep_table"]
    return histories | {
        "figure_02_sweep": sweep("Weight decay", run.cells, summary, found["hinton"]),
        "figure_15_rates": noise("Noisy and denoised digits", cnn, run.notebook),
        "digits": facets("Each of the ten digits", digits, "digit", 5, 96, 84),
        "classifiers": facets("Each classifier", found["named_curves"], "classifier", 3, 165, 150),
        "published": published("Published numbers", found["numbers"], run.seeds),
    }

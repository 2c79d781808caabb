"""The charts, as Vega-Lite specifications: in the page alive, elsewhere as PNG.

Each carries its data, and in `usermeta` the table that says the same.
Format: https://vega.github.io/vega-lite/docs/
"""

import json

import pandas as pd

from page.figures import BLUE, GREY, ORANGE, VERMILION

LEVEL = "noise level (share of pixels replaced)"
RATE = "true-positive rate"
FINAL = "validation accuracy after the last epoch"
SEED, OWN, STUDY = "other seeds", "this run", "published"


def _chart(title: str, table, rows, **content) -> dict:
    """Make a chart of `rows`; `table` says the same to those who read."""
    return {
        "$schema": "https://vega.github.io/schema/vega-lite/v6.json",
        "title": title,
        "data": {"values": json.loads(rows.to_json(orient="records"))},
        "usermeta": json.loads(table.round(6).to_json(orient="split", index=False)),
        **content,
    }


def _number(field: str, title: str, zero: bool = False, **axis) -> dict:
    return {
        "field": field,
        "type": "quantitative",
        "title": title,
        "scale": {"zero": zero},
        "axis": axis,
    }


def _series(field: str, channel: dict[str, object]) -> dict:
    """Encode the words of `field` as what `channel` maps them to."""
    scale = {"domain": list(channel), "range": list(channel.values())}
    legend = {"symbolType": "stroke", "symbolSize": 300}
    return {"field": field, "type": "nominal", "title": None, "scale": scale, "legend": legend}


def _long(curves: dict[str, pd.DataFrame]) -> pd.DataFrame:
    """List the curves of classifiers as rows: classifier, noise level, images, rate, low, high."""
    parts = []
    for name, curve in curves.items():
        for kind in ("noisy", "denoised"):
            deviation = curve[f"{kind}_std"].fillna(0)
            columns = {"classifier": name, "noise level": curve.noise_level, "images": kind}
            values = {"rate": curve[kind], "standard deviation": deviation}
            limits = {"low": curve[kind] - deviation, "high": curve[kind] + deviation}
            parts.append(pd.DataFrame(columns | values | limits).round(6))
    return pd.concat(parts)


def _noise_layers(height: int, colours: dict[str, str], **extra) -> list[dict]:
    """Lines of noisy and denoised rates over the level, their spread, and chance."""
    x = _number("noise level", LEVEL)
    x["scale"] = {"domain": [0, 1]}
    y = _number("rate", RATE, zero=True)
    y["scale"] = {"domain": [0, 1]}
    colour = _series("images", colours)
    return [
        {
            "mark": {"type": "rule", "strokeDash": [2, 3], "color": GREY},
            "encoding": {"y": {"datum": 0.1, "title": RATE}},
        },
        {
            "mark": {"type": "rule", "strokeWidth": 2},
            "encoding": {"x": x, "y": {**y, "field": "low"}, "y2": {"field": "high"}}
            | {"color": colour},
        },
        {
            "mark": {"type": "line", "point": {"size": 40}, "tooltip": {"content": "data"}},
            "encoding": {"x": x, "y": y, "color": colour, **extra},
        },
    ]


def history(title: str, y_title: str, own, published, measures: dict[str, str]) -> dict:
    """Curves per epoch, this run's solid and the published ones dashed."""
    parts = [
        frame[["epoch", *measures]].rename(
            columns={column: f"{word}{mark}" for column, word in measures.items()}
        )
        for frame, mark in ((own, ""), (published, " (published)"))
    ]
    wide = parts[0].merge(parts[1], on="epoch", how="left")
    curves = list(wide.columns[1:])
    return _chart(
        title,
        wide,
        wide.melt("epoch", var_name="curve", value_name=y_title).dropna(),
        width="container",
        height=260,
        mark={"type": "line", "point": True, "tooltip": True},
        encoding={
            "x": _number("epoch", "epoch", tickMinStep=1),
            "y": _number(y_title, y_title),
            "color": _series("curve", dict(zip(curves, (ORANGE, BLUE) * 2, strict=True))),
            "strokeDash": _series(
                "curve", dict(zip(curves, ([1, 0], [1, 0], [4, 3], [4, 3]), strict=True))
            ),
        },
    )


def sweep(title: str, cells, summary, hinton: float) -> dict:
    """Every replicate as a point, mean and deviation of each factor, Hinton's line."""
    names = ("mean ± standard deviation", "each training", f"Hinton: {hinton} (published)")
    colours = dict(zip(names, (BLUE, ORANGE, VERMILION), strict=True))
    mean, replicate, target = ({**_series("", colours), "datum": name} for name in names)
    for encoding in (mean, replicate, target):
        del encoding["field"]
    rows = cells[["factor", "replicate", "validation_accuracy"]].merge(summary, on="factor")
    rows["low"], rows["high"] = rows["mean"] - rows["std"], rows["mean"] + rows["std"]
    x = _number("factor", "L2 factor", format="~g", tickCount=5)
    ends = {"x": x, "y": _number("low", FINAL), "y2": {"field": "high"}, "color": mean}
    return _chart(
        title,
        cells.pivot(index="factor", columns="replicate", values="validation_accuracy")
        .add_prefix("training ")
        .reset_index()
        .merge(summary, on="factor")
        .rename(columns={"std": "standard deviation"}),
        rows,
        width="container",
        height=280,
        layer=[
            {"mark": {"type": "rule", "strokeWidth": 2}, "encoding": ends},
            {
                "mark": {"type": "line", "point": {"size": 70}},
                "encoding": {"x": x, "y": _number("mean", FINAL), "color": mean},
            },
            {
                "mark": {"type": "point", "filled": True, "tooltip": {"content": "data"}},
                "encoding": {
                    "x": x,
                    "y": _number("validation_accuracy", FINAL),
                    "color": replicate,
                },
            },
            {
                "mark": {"type": "rule", "strokeDash": [6, 4]},
                "encoding": {"y": {"datum": hinton, "title": FINAL}, "color": target},
            },
        ],
    )


def noise(title: str, curve, notebook) -> dict:
    """Figure 15: noisy and denoised rates, the notebook's, chance, and the level chosen."""
    rows = _long({"": curve})
    again = notebook.rename(columns={"noise_level": "noise level"}).melt(
        "noise level", var_name="images", value_name="rate"
    )
    again["images"] += " (study's notebook run again)"
    words = [*rows.images.unique(), *again.images.unique()]
    colours = dict(zip(words, (ORANGE, BLUE) * 2, strict=True))
    dashes = dict(zip(words, ([1, 0], [1, 0], [4, 3], [4, 3]), strict=True))
    rows = pd.concat([rows.drop(columns="classifier"), again])
    layers = _noise_layers(300, colours, strokeDash=_series("images", dashes))
    chosen = {"datum": {"expr": "level"}, "type": "quantitative", "title": LEVEL}
    rule = {"type": "rule", "clip": True, "strokeWidth": 2, "color": VERMILION}
    return _chart(
        title,
        curve.merge(notebook, on="noise_level", how="left", suffixes=("", " (notebook)")),
        rows,
        width="container",
        height=300,
        params=[{"name": "level", "value": -1}],  # outside: no rule until the page sets it
        layer=[*layers, {"mark": rule, "encoding": {"x": chosen}}],
    )


def facets(title: str, curves: dict, columns: int, size: tuple[int, int], word: str) -> dict:
    """Small multiples of noisy and denoised rates, one for each name in `curves`."""
    rows = _long(curves).rename(columns={"classifier": word})
    order = {"field": word, "title": None, "sort": list(curves)}
    layers = _noise_layers(size[1], {"noisy": ORANGE, "denoised": BLUE})
    for layer in layers:
        for channel in ("x", "y"):
            layer["encoding"].get(channel, {}).update(title=None)
    wide = rows.pivot(index=[word, "noise level"], columns="images", values="rate")
    deviation = rows.pivot(index=[word, "noise level"], columns="images")["standard deviation"]
    return _chart(
        title,
        wide.join(deviation.add_suffix(", standard deviation")).reset_index(),
        rows,
        facet=order,
        columns=columns,
        spec={"width": size[0], "height": size[1], "layer": layers},
    )


def published(title: str, numbers, seeds) -> dict:
    """A strip for each published number: it, this run's and those of other seeds."""
    named = numbers.set_index("name").description
    own = pd.concat(
        pd.DataFrame({"number": numbers.description, "run": word, "value": numbers[column]})
        for word, column in ((OWN, "this_run"), (STUDY, "published"))
    )
    others = pd.DataFrame({"number": seeds.metric.map(named), "run": SEED, "value": seeds.value})
    looks = {
        "color": {SEED: GREY, OWN: BLUE, STUDY: VERMILION},
        "shape": {SEED: "stroke", OWN: "circle", STUDY: "diamond"},
    }
    looks = {channel: _series("run", look) | {"legend": {}} for channel, look in looks.items()}
    value = _number("value", None, tickCount=4, grid=False)
    return _chart(
        title,
        numbers.drop(columns="name").rename(columns={"description": "number"}),
        pd.concat([others, own]).dropna(),
        facet={"field": "number", "title": None, "sort": list(numbers.description)},
        columns=2,
        spec={
            "width": 250,
            "height": 24,
            "mark": {"type": "point", "filled": True, "size": 110, "tooltip": True},
            "encoding": {"x": value, **looks},
        },
        resolve={"scale": {"x": "independent"}},
    )


def specify(run, found: dict) -> dict[str, dict]:
    """Specify every chart of the report, by the name of its PNG."""
    accuracies = {"accuracy": "training", "validation_accuracy": "validation"}
    losses = {"loss": "training", "validation_loss": "validation"}
    curves = {
        name: history(title, y_title, run.histories[stage], run.logs[f"{stage}_history"], measures)
        for name, title, y_title, stage, measures in (
            ("figure_01_perceptron", "Perceptron 64-64", "accuracy", "train_mlp", accuracies),
            ("cnn", "Convolutional network", "accuracy", "train_cnn", accuracies),
            ("autoencoder", "Autoencoder", "binary cross-entropy", "train_ae", losses),
        )
    }
    digits = {
        str(digit): rates.assign(noisy_std=0.0, denoised_std=0.0)
        for digit, rates in found["digits"].groupby("digit")
    }
    noised = " (trained on noise)" if found["trained"] else ""
    ways = {
        "Perceptron": found["curves"]["mlp"],
        f"Convolutional network{noised}": found["curves"]["cnn"],
    }
    if found["robust"] is not None:
        ways["Network trained on noise, three seeds"] = found["robust"]
    return curves | {
        "figure_02_sweep": sweep(
            "Perceptron 500-300 with weight decay", run.cells, found["sweep_table"], found["hinton"]
        ),
        "figure_15_rates": noise(
            "Convolutional network on noisy and denoised digits", found["curves"]["cnn"], run.notebook
        ),
        "digits": facets("Each of the ten digits", digits, 5, (96, 84), "digit"),
        "classifiers": facets("Noisy and denoised digits", ways, 3, (170, 150), "classifier"),
        "published": published("Published and measured numbers", found["numbers"], run.seeds),
    }

"""The charts, as Vega-Lite specifications, each with a table that says the same.

Format: https://vega.github.io/vega-lite/docs/
"""

import json

import pandas as pd

# Okabe and Ito's palette, made to be told apart with any kind of colour vision.
# Source: https://jfly.uni-koeln.de/color/
BLUE, ORANGE, VERMILION, GREY = "#0072B2", "#E69F00", "#D55E00", "#767676"
SOLID, DASHED = [1, 0], [4, 3]
LOOKS = ((ORANGE, SOLID), (BLUE, SOLID), (ORANGE, DASHED), (BLUE, DASHED))
LEVEL, RATE, DEVIATION = "noise level", "true-positive rate", "standard deviation"
ACCURACY = "validation accuracy"
WORDS = {"this_run": "this run", "place": "published lies"}
BAR = "M-0.15,-1H0.15V1H-0.15Z"


def _values(rows: pd.DataFrame) -> dict:
    return {"values": json.loads(rows.to_json(orient="records"))}


def _axis(field: str, domain=None, **axis) -> dict:
    scale = {"domain": domain} if domain else {"zero": False}
    return {"field": field, "title": field, "type": "quantitative", "scale": scale, "axis": axis}


def _series(field: str, names, values, **legend) -> dict:
    scale = {"domain": list(names), "range": list(values)}
    return {"field": field, "type": "nominal", "title": None, "scale": scale, "legend": legend}


def _rule(axis: dict, value: float) -> dict:
    """Draw a dotted line at `value` of the vertical axis."""
    mark = {"type": "rule", "strokeDash": [2, 3], "color": GREY, "aria": False}
    return {"mark": mark, "encoding": {"y": {"datum": value, "title": axis["title"]}}}


def lines(rows: pd.DataFrame, x: dict, y: dict, *layers) -> dict:
    """Draw a line for each series of `rows`, with bars for deviations, and other `layers`.

    `rows` has the fields of the axes `x` and `y`, "series", and perhaps "standard deviation".
    """
    names = rows["series"].unique()
    colours, dashes = zip(*LOOKS[: len(names)], strict=True)
    colour = _series("series", names, colours, symbolType="stroke", symbolSize=300)
    encoding = {"x": x, "y": y, "color": colour, "strokeDash": _series("series", names, dashes)}
    mark = {"type": "line", "point": {"size": 25}}
    drawn = [*layers, {"mark": mark, "encoding": encoding}]
    if DEVIATION in rows:
        deviation = rows[DEVIATION].fillna(0)
        value = rows[y["field"]]
        rows = rows.assign(low=value - deviation, high=value + deviation)
        ends = {"x": x, "y": {**y, "field": "low"}, "y2": {"field": "high"}, "color": colour}
        drawn.append({"mark": {"type": "rule", "strokeWidth": 2}, "encoding": ends})
    return {"data": _values(rows.dropna(subset=y["field"])), "layer": drawn}


def panels(chart: dict, field: str, order, columns: int, size: int) -> dict:
    """Draw `chart` once for each value of `field`."""
    return {
        "data": chart["data"],
        "facet": {"field": field, "title": None, "sort": list(order)},
        "columns": columns,
        "spec": {"width": size, "height": size, "layer": chart["layer"]},
    }


def pivot(rows: pd.DataFrame, index: list[str], columns: str, value: str) -> pd.DataFrame:
    return rows.pivot(index=index, columns=columns, values=value).reset_index()


def history(measure: str, own, published, measures: dict[str, str]):
    """Curves per epoch: `measures` names the columns to draw and what the legend calls them."""
    parts = []
    for table, suffix in ((own, ""), (published, " (published)")):
        named = table.rename(columns=measures)
        part = named.melt("epoch", list(measures.values()), "series", measure)
        parts.append(part.assign(series=part.series + suffix))
    rows = pd.concat(parts)
    x = _axis("epoch", [1, max(2, int(rows.epoch.max()))], tickMinStep=1, grid=False)
    return lines(rows, x, _axis(measure)), pivot(rows, ["epoch"], "series", measure)


def sweep(cells: pd.DataFrame, summary: pd.DataFrame, hinton: float):
    """Every training as a point, mean and deviation of each factor, Hinton's result."""
    x, y = _axis("L2 factor", format="~g", grid=False, tickCount=5), _axis(ACCURACY)
    names = {"factor": "L2 factor", "mean": ACCURACY, "std": DEVIATION}
    rows = summary.rename(columns=names).assign(series="mean and standard deviation")
    names = {"factor": "L2 factor", "validation_accuracy": ACCURACY}
    dots = {
        "data": _values(cells.rename(columns=names)[list(names.values())]),
        "mark": {"type": "point", "filled": True, "color": BLUE, "opacity": 1},
        "encoding": {"x": x, "y": y},
    }
    table = pivot(cells, ["factor"], "replicate", "validation_accuracy")
    table = table.rename(columns=lambda name: f"training {name}" if name != "factor" else name)
    return lines(rows, x, y, dots, _rule(y, hinton)), table.merge(summary, on="factor")


def list_rates(curve: pd.DataFrame, suffix: str = "") -> pd.DataFrame:
    """List a curve of `findings.summarise_draws` as rows: level, series, rate, deviation."""
    parts = [
        pd.DataFrame({LEVEL: curve.noise_level, "series": kind + suffix, RATE: curve[kind]})
        for kind in ("noisy", "denoised")
    ]
    deviations = [curve.get(f"{kind}_std", 0 * curve.noisy) for kind in ("noisy", "denoised")]
    return pd.concat(parts).assign(**{DEVIATION: pd.concat(deviations)}).round(6)


def noise(curve: pd.DataFrame, notebook: pd.DataFrame):
    """Figure 15: noisy and denoised rates, the notebook's, chance, a hidden line at each level."""
    rows = pd.concat([list_rates(curve), list_rates(notebook, " (notebook)")])
    x, y = _axis(LEVEL, [0, 1], grid=False, tickCount=5), _axis(RATE, [0, 1], tickCount=5)
    chosen = {
        "name": "levels",
        "data": _values(curve[["noise_level"]].rename(columns={"noise_level": LEVEL})),
        "mark": {"type": "rule", "color": VERMILION, "strokeWidth": 2, "opacity": 0},
        "encoding": {"x": x},
    }
    table = pd.merge(curve, notebook, "left", "noise_level", suffixes=("", " (notebook)"))
    return lines(rows, x, y, _rule(y, 0.1), chosen), table


def many_rates(curves: dict[str, pd.DataFrame], word: str, columns: int, size: int):
    """A small chart of noisy and denoised rates for each of the `curves`, by name."""
    rows = pd.concat(list_rates(curve).assign(**{word: name}) for name, curve in curves.items())
    x = {**_axis(LEVEL, [0, 1], grid=False, values=[0, 0.5, 1]), "title": None}
    y = {**_axis(RATE, [0, 1], values=[0, 0.5, 1]), "title": None}
    chart = panels(lines(rows, x, y, _rule(y, 0.1)), word, curves, columns, size)
    table = pivot(rows.round(3), [word, "series"], LEVEL, RATE)
    return chart, table.sort_values(
        word, key=lambda names: names.map(list(curves).index), kind="stable"
    )


def published(numbers: pd.DataFrame, seeds: pd.DataFrame):
    """A strip for each published number: it, this run's and those of other seeds."""
    named = numbers.set_index("name").description
    others = pd.DataFrame({"description": seeds.metric.map(named), "value": seeds.value})
    parts = [others.assign(run="other seeds")]
    for column in ("this_run", "published"):
        part = numbers[["description", column]].set_axis(["description", "value"], axis=1)
        parts.append(part.assign(run=column.replace("_", " ")))
    runs = ("other seeds", "this run", "published")
    axis = {"format": "~g", "tickCount": 3, "grid": False, "labelSeparation": 12}
    encoding = {
        "x": {**_axis("value", **axis), "title": None},
        "color": _series("run", runs, (GREY, BLUE, VERMILION), columns=3),
        "shape": _series("run", runs, (BAR, "circle", "diamond")),
    }
    mark = {"type": "point", "filled": True, "size": 110, "opacity": 1}
    chart = {
        "data": _values(pd.concat(parts).dropna()),
        "layer": [{"mark": mark, "encoding": encoding}],
    }
    chart = panels(chart, "description", numbers.description, 2, 205)
    chart["spec"]["height"] = 22
    return chart | {"resolve": {"scale": {"x": "independent"}}}, numbers.drop(
        columns="name"
    ).rename(columns=WORDS)


def confusion(predictions: pd.DataFrame):
    """How many images of each digit are read as which; colour marks mistakes."""
    counts = predictions.groupby(["actual", "predicted"]).size().rename("images").reset_index()
    rows = counts.assign(mistakes=counts.images.where(counts.actual != counts.predicted, 0))
    place = {"type": "ordinal", "scale": {"domain": list(range(10))}}
    encoding = {
        "x": {"field": "predicted", "title": "read as", "axis": {"labelAngle": 0}, **place},
        "y": {"field": "actual", "title": "digit", **place},
    }
    scale = {"domainMin": 0, "range": ["white", "#7ab8de"], "interpolate": "rgb"}
    colour = {"field": "mistakes", "type": "quantitative", "scale": scale, "legend": None}
    layers = [
        {"mark": "rect", "encoding": encoding | {"color": colour}},
        {"mark": "text", "encoding": encoding | {"text": {"field": "images"}}},
    ]
    table = pivot(counts, ["actual"], "predicted", "images")
    return {"data": _values(rows), "height": 300, "layer": layers}, table


def autoencoder(layers: pd.DataFrame):
    """Figure 3: a bar for each layer of the network, as wide as the layer."""
    rows = pd.concat([layers.tail(1).assign(layer="input", part="input"), layers])
    width = rows.output.astype(int)
    rows = rows.assign(label=rows.output + " " + rows.layer, low=-width / 2, high=width / 2)
    encoding = {
        "x": {"field": "low", "type": "quantitative", "axis": None},
        "x2": {"field": "high"},
        "y": {"field": "label", "type": "nominal", "sort": None, "title": None},
        "color": _series("part", ("input", "encoder", "decoder"), (GREY, BLUE, ORANGE), columns=3),
    }
    mark = {"type": "bar", "height": {"band": 0.6}}
    return {"data": _values(rows), "height": 170, "mark": mark, "encoding": encoding}, layers


def specify(run, found: dict) -> dict[str, tuple[dict, pd.DataFrame]]:
    """Specify every chart, with its table, by the name of its file."""
    accuracies = {"accuracy": "training", "validation_accuracy": "validation"}
    losses = {"loss": "training", "validation_loss": "validation"}
    own, logs, curves = run.histories, run.logs, found["curves"]
    return {
        "figure_01_perceptron": history(
            "accuracy", own["train_mlp"], logs["train_mlp_history"], accuracies
        ),
        "cnn": history("accuracy", own["train_cnn"], logs["train_cnn_history"], accuracies),
        "autoencoder": history(
            "binary cross-entropy", own["train_ae"], logs["train_ae_history"], losses
        ),
        "confusion": confusion(run.predictions),
        "figure_02_sweep": sweep(run.cells, found["sweep_table"], found["study"]["sweep_hinton"]),
        "figure_03_autoencoder": autoencoder(found["layers"]["autoencoder"]),
        "figure_15_rates": noise(curves["Convolutional network"], run.notebook),
        "digits": many_rates(found["digits"], "digit", 5, 65),
        "classifiers": many_rates(curves, "classifier", 3, 120),
        "published": published(found["numbers"], run.seeds),
    }

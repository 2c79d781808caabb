"""The charts, as Vega-Lite specifications, each with a table that says the same.

Format: https://vega.github.io/vega-lite/docs/
"""

import json

import pandas as pd

# Okabe and Ito's palette, made to be told apart with any kind of colour vision.
# Source: https://jfly.uni-koeln.de/color/
BLUE, ORANGE, VERMILION, GREY = "#0072B2", "#E69F00", "#D55E00", "#767676"
SOLID, DASHED = [1, 0], [4, 3]
LEVEL, RATE, DEVIATION = "noise level", "true-positive rate", "standard deviation"
FACTOR, ACCURACY = "L2 factor", "validation accuracy"
CHANCE = 0.1
BAR = "M-0.15,-1H0.15V1H-0.15Z"


def _values(rows: pd.DataFrame) -> dict:
    return {"values": json.loads(rows.to_json(orient="records"))}


def _axis(field: str, domain=None, **axis) -> dict:
    scale = {"domain": domain} if domain else {"zero": False}
    return {"field": field, "title": field, "type": "quantitative", "scale": scale, "axis": axis}


def _series(field: str, names, looks, **legend) -> dict:
    """Give each of `names`, the values of `field`, the next of `looks`."""
    scale = {"domain": list(names), "range": looks}
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
    colour = _series("series", names, [ORANGE, BLUE] * 2, symbolType="stroke", symbolSize=300)
    dash = _series("series", names, [SOLID, SOLID, DASHED, DASHED])
    place = {"x": x, "y": y, "color": colour}
    mark = {"type": "line", "point": {"size": 25}}
    drawn = [*layers, {"mark": mark, "encoding": place | {"strokeDash": dash}}]
    if DEVIATION in rows:
        value, deviation = rows[y["field"]], rows[DEVIATION].fillna(0)
        rows = rows.assign(low=value - deviation, high=value + deviation)
        ends = place | {"y": y | {"field": "low"}, "y2": {"field": "high"}}
        drawn.append({"mark": {"type": "rule", "strokeWidth": 2}, "encoding": ends})
    return {"data": _values(rows.dropna(subset=y["field"])), "layer": drawn}


def panels(chart: dict, field: str, order, columns: int, width: int, height: int) -> dict:
    """Draw `chart` once for each value of `field`, in this order."""
    return {
        "data": chart["data"],
        "facet": {"field": field, "title": None, "sort": list(order)},
        "columns": columns,
        "spec": {"width": width, "height": height, "layer": chart["layer"]},
    }


def history(measure: str, own: pd.DataFrame, published: pd.DataFrame, columns: list[str]):
    """Curves per epoch of two `columns`: on training and on validation images."""
    parts = []
    for table, suffix in ((own, ""), (published, " (published)")):
        names = [f"training{suffix}", f"validation{suffix}"]
        parts.append(table.set_index("epoch")[columns].set_axis(names, axis=1))
    table = pd.concat(parts, axis=1).reset_index()
    rows = table.melt("epoch", var_name="series", value_name=measure)
    x = _axis("epoch", [1, max(2, int(rows.epoch.max()))], tickMinStep=1, grid=False)
    return lines(rows, x, _axis(measure)), table


def sweep(cells: pd.DataFrame, summary: pd.DataFrame, hinton: float):
    """Every training as a point, mean and deviation of each factor, Hinton's result."""
    x, y = _axis(FACTOR, format="~g", grid=False, tickCount=5), _axis(ACCURACY)
    names = {"factor": FACTOR, "mean": ACCURACY, "std": DEVIATION}
    rows = summary.rename(columns=names).assign(series="mean and standard deviation")
    names = {"factor": FACTOR, "validation_accuracy": ACCURACY}
    dots = {
        "data": _values(cells[list(names)].rename(columns=names)),
        "mark": {"type": "point", "filled": True, "color": BLUE, "opacity": 1},
        "encoding": {"x": x, "y": y},
    }
    trainings = cells.pivot(index="factor", columns="replicate", values="validation_accuracy")
    table = trainings.add_prefix("training ").reset_index().merge(summary, on="factor")
    return lines(rows, x, y, dots, _rule(y, hinton)), table


def list_rates(curve: pd.DataFrame, suffix: str = "") -> pd.DataFrame:
    """List a curve of `findings.summarise_draws` as rows: level, series, rate, deviation."""
    parts = []
    for kind in ("noisy", "denoised"):
        rates = {RATE: curve[kind], DEVIATION: curve.get(f"{kind}_std", 0), LEVEL: curve.index}
        parts.append(pd.DataFrame(rates).assign(series=kind + suffix))
    return pd.concat(parts).round(6)


def noise(curve: pd.DataFrame, notebook: pd.DataFrame):
    """Figure 15: noisy and denoised rates, the notebook's, chance, a hidden line at each level."""
    rows = pd.concat([list_rates(curve), list_rates(notebook, " (notebook)")])
    x, y = _axis(LEVEL, [0, 1], grid=False, tickCount=5), _axis(RATE, [0, 1], tickCount=5)
    chosen = {
        "name": "levels",
        "data": _values(pd.DataFrame({LEVEL: curve.index})),
        "mark": {"type": "rule", "color": VERMILION, "strokeWidth": 2, "opacity": 0},
        "encoding": {"x": x},
    }
    table = curve.join(notebook, rsuffix=" (notebook)").reset_index()
    return lines(rows, x, y, _rule(y, CHANCE), chosen), table


def many_rates(curves: dict[str, pd.DataFrame], word: str, columns: int, size: int):
    """A small chart of noisy and denoised rates for each of the `curves`, by name."""
    rows = pd.concat(list_rates(curve).assign(**{word: name}) for name, curve in curves.items())
    x = _axis(LEVEL, [0, 1], grid=False, values=[0, 0.5, 1]) | {"title": None}
    y = _axis(RATE, [0, 1], values=[0, 0.5, 1]) | {"title": None}
    chart = panels(lines(rows, x, y, _rule(y, CHANCE)), word, curves, columns, size, size)
    table = rows.pivot_table(RATE, [word, "series"], LEVEL, sort=False)
    return chart, table.round(3).reset_index()


def published(numbers: pd.DataFrame, seeds: pd.DataFrame):
    """A strip for each published number: it, this run's and those of other seeds."""
    others = seeds.merge(numbers, left_on="metric", right_on="name")[["description", "value"]]
    own = numbers.rename(columns={"this_run": "this run"})
    rows = own.melt("description", ["this run", "published"], "run")
    rows = pd.concat([others.assign(run="other seeds"), rows]).dropna()
    runs = "other seeds", "this run", "published"
    axis = {"format": "~g", "tickCount": 3, "grid": False, "labelSeparation": 12}
    encoding = {
        "x": _axis("value", **axis) | {"title": None},
        "color": _series("run", runs, [GREY, BLUE, VERMILION], columns=3),
        "shape": _series("run", runs, [BAR, "circle", "diamond"]),
    }
    mark = {"type": "point", "filled": True, "size": 110, "opacity": 1}
    chart = {"data": _values(rows), "layer": [{"mark": mark, "encoding": encoding}]}
    chart = panels(chart, "description", numbers.description, 2, 205, 22)
    table = own.rename(columns={"place": "published lies"}).drop(columns="name")
    return chart | {"resolve": {"scale": {"x": "independent"}}}, table


def confusion(predictions: pd.DataFrame):
    """How many images of each digit are read as which; colour marks mistakes."""
    counts = predictions.value_counts(["actual", "predicted"]).rename("images").reset_index()
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
    table = counts.pivot(index="actual", columns="predicted", values="images").reset_index()
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
        "color": _series("part", ("input", "encoder", "decoder"), [GREY, BLUE, ORANGE], columns=3),
    }
    mark = {"type": "bar", "height": {"band": 0.6}}
    return {"data": _values(rows), "height": 170, "mark": mark, "encoding": encoding}, layers


def specify(run, found: dict) -> dict[str, tuple[dict, pd.DataFrame]]:
    """Specify every chart, with its table, by the name of its file."""
    own, logs, curves = run.histories, run.logs, found["curves"]
    accuracies, losses = ["accuracy", "validation_accuracy"], ["loss", "validation_loss"]
    mlp = own["train_mlp"], logs["train_mlp_history"]
    cnn = own["train_cnn"], logs["train_cnn_history"]
    ae = own["train_ae"], logs["train_ae_history"]
    return {
        "figure_01_perceptron": history("accuracy", *mlp, accuracies),
        "cnn": history("accuracy", *cnn, accuracies),
        "autoencoder": history("binary cross-entropy", *ae, losses),
        "confusion": confusion(run.predictions),
        "figure_02_sweep": sweep(run.cells, found["sweep_table"], found["study"]["sweep_hinton"]),
        "figure_03_autoencoder": autoencoder(found["layers"]["autoencoder"]),
        "figure_15_rates": noise(curves["Convolutional network"], run.notebook),
        "digits": many_rates(found["digits"], "digit", 5, 65),
        "classifiers": many_rates(curves, "classifier", 3, 120),
        "published": published(found["numbers"], run.seeds),
    }

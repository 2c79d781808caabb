"""The interactive charts, as Vega-Lite specifications with their data inside.

Format: https://vega.github.io/vega-lite/docs/
"""

import json

from common.figures import BLUE, ORANGE, VERMILION


def _chart(title: str, table, **content) -> dict:
    return {
        "$schema": "https://vega.github.io/schema/vega-lite/v6.json",
        "title": title,
        "width": "container",
        "height": 300,
        "data": {"values": json.loads(table.to_json(orient="records"))},
        **content,
    }


def _colours(names, colours) -> dict:
    return {"domain": list(names), "range": list(colours)}


def _quantitative(field: str, title: str, zero: bool = False) -> dict:
    return {"field": field, "type": "quantitative", "title": title, "scale": {"zero": zero}}


def history(title: str, this_run, published, figures: dict[str, str], y_title: str) -> dict:
    """Curves per epoch, this run's solid and the published ones dashed. `figures` names the
    columns to draw and what the legend calls them."""
    import pandas as pd

    this_run = this_run[["epoch", *figures]].rename(columns=figures)
    published = published[["epoch", *figures]].rename(
        columns={column: f"{name} (published)" for column, name in figures.items()}
    )
    table = pd.concat(
        part.melt("epoch", var_name="series", value_name="value") for part in (this_run, published)
    )
    names = [name for name in (*this_run, *published) if name != "epoch"]
    return _chart(
        title,
        table.dropna(),
        mark={"type": "line", "point": True, "tooltip": True},
        encoding={
            "x": {**_quantitative("epoch", "epoch"), "axis": {"tickMinStep": 1}},
            "y": _quantitative("value", y_title),
            # Colour and dashes by the same field: one legend shows both.
            "color": {
                "field": "series",
                "type": "nominal",
                "scale": _colours(names, (ORANGE, BLUE) * 2),
                "title": None,
                "legend": {"symbolType": "stroke", "symbolSize": 300},
            },
            "strokeDash": {
                "field": "series",
                "type": "nominal",
                "scale": _colours(names, ([1, 0], [1, 0], [4, 3], [4, 3])),
                "title": None,
            },
        },
    )


def sweep(title: str, cells, summary, hinton: float) -> dict:
    """Every replicate as a point, mean and standard deviation for each factor, Hinton's line."""

    table = cells.merge(summary, on="factor")
    table["low"], table["high"] = table["mean"] - table["std"], table["mean"] + table["std"]
    accuracy = "validation accuracy after the last epoch"
    x = {**_quantitative("factor", "L2 factor"), "axis": {"format": "~g", "tickCount": 5}}
    names = ("mean ± standard deviation", "each replicate", f"Hinton: {hinton} (published)")
    mean, replicate, target = (
        {
            "datum": name,
            "type": "nominal",
            "scale": _colours(names, (BLUE, ORANGE, VERMILION)),
            "title": None,
        }
        for name in names
    )
    y_mean = _quantitative("mean", accuracy)
    y_replicate = _quantitative("validation_accuracy", accuracy)
    return _chart(
        title,
        table[["factor", "replicate", "validation_accuracy", "mean", "std", "low", "high"]],
        layer=[
            {
                "mark": {"type": "rule", "strokeWidth": 2},
                "encoding": {
                    "x": x,
                    "y": _quantitative("low", accuracy),
                    "y2": {"field": "high"},
                    "color": mean,
                },
            },
            {
                "mark": {"type": "line", "point": {"size": 70}},
                "encoding": {
                    "x": x,
                    "y": y_mean,
                    "color": mean,
                    "tooltip": [x, y_mean, {"field": "std"}],
                },
            },
            {
                "mark": {"type": "point", "filled": True},
                "encoding": {
                    "x": x,
                    "y": y_replicate,
                    "color": replicate,
                    "tooltip": [x, {"field": "replicate"}, y_replicate],
                },
            },
            {
                "mark": {"type": "rule", "strokeDash": [6, 4]},
                "encoding": {"y": {"datum": hinton, "title": accuracy}, "color": target},
            },
        ],
    )


def noise(title: str, rates) -> dict:
    """True-positive rates of noisy and denoised images against the noise level."""
    table = rates.melt("noise_level", ["noisy", "denoised"], "images", "rate")
    return _chart(
        title,
        table,
        mark={"type": "line", "point": True, "tooltip": True},
        encoding={
            "x": _quantitative("noise_level", "noise level (share of pixels replaced)"),
            "y": _quantitative("rate", "true-positive rate", zero=True),
            "color": {
                "field": "images",
                "type": "nominal",
                "scale": _colours(("noisy", "denoised"), (ORANGE, BLUE)),
                "title": None,
            },
        },
    )


def classes(title: str, class_rates) -> dict:
    """The denoised rate of each digit; a digit's name in the legend brings out its curve."""
    return _chart(
        title,
        class_rates[["noise_level", "digit", "denoised"]],
        params=[
            {"name": "chosen", "select": {"type": "point", "fields": ["digit"]}, "bind": "legend"}
        ],
        mark={"type": "line", "point": True, "tooltip": True},
        encoding={
            "x": _quantitative("noise_level", "noise level (share of pixels replaced)"),
            "y": _quantitative("denoised", "true-positive rate", zero=True),
            # Ten hues cannot all be told apart; a choice in the legend brings one out.
            "color": {
                "field": "digit",
                "type": "ordinal",
                "scale": {"scheme": {"name": "viridis", "extent": [0.15, 0.95]}},
            },
            "opacity": {"condition": {"param": "chosen", "value": 1}, "value": 0.12},
        },
    )

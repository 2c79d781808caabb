"""The tables of the report: those below a figure have its name.

Each function takes the study and returns a table with plain headings.
"""

import json

import pandas as pd

from common.rates import KINDS, noise_curve
from reporting import formats, results
from reporting.inputs import STAGES, Study
from reporting.layers import list_layers

NAMES = {"mlp": "small perceptron", "cnn": "convolutional network", "autoencoder": "autoencoder"}


def flatten(parameters: dict) -> dict[str, str]:
    """Give nested parameters dotted names, and values as YAML writes them."""
    [flat] = pd.json_normalize(parameters).to_dict("records")
    return {name: json.dumps(value, ensure_ascii=False) for name, value in flat.items()}


def list_changes(study: Study) -> list[str]:
    """List the values of params.yaml that are not the published recipe's.

    Where images come from, seeds and threads change no recipe.
    """
    own, published = flatten(study.parameters), flatten(study.recipe)
    changed = [name for name in own if own[name] != published.get(name)]
    left_out = ("fetch.", "threads")
    return [
        f"{name}: {own[name]}"
        for name in sorted(changed)
        if not name.startswith(left_out) and not name.endswith(".seed")
    ]


def list_other_sizes(study: Study) -> list[dict]:
    """List the networks whose number of parameters is not the published one."""
    numbers = study.numbers[study.numbers.measure == "parameters"].drop(columns="published")
    sizes = numbers.merge(results.compare(study), on="name")
    return sizes[sizes.difference != 0].to_dict("records")


def made_of(study: Study) -> list[pd.DataFrame]:
    """List parameters, without the sources of the data, and versions."""
    kept = {name: section for name, section in study.parameters.items() if name != "fetch"}
    rows = [(name, value.strip('"')) for name, value in flatten(kept).items()]
    return [pd.DataFrame(sorted(rows), columns=["parameter", "value"]), study.versions]


def name_loss(study: Study, network: str) -> str:
    """Name the loss that a network was compiled with, as Keras does."""
    return name_part(study.models[network].loss)


def name_optimizer(study: Study, network: str) -> str:
    return name_part(study.models[network].optimizer)


def name_part(part) -> str:
    """Name what `compile` got: a word, a function or an object."""
    return part if isinstance(part, str) else getattr(part, "__name__", type(part).__name__)


def layers(study: Study, network: str) -> pd.DataFrame:
    table = list_layers(study.models[network]).drop(columns="size")
    table["output"] = table.output.map(lambda shape: "\u00a0×\u00a0".join(map(str, shape)))
    return table if table.part.any() else table.drop(columns="part")


def epochs(study: Study, network: str, measure: str) -> pd.DataFrame:
    parts = []
    logs = {"": study.histories[network], ", published": study.logs[f"{STAGES[network]}_history"]}
    for suffix, log in logs.items():
        columns = log.set_index("epoch")[[measure, f"validation_{measure}"]]
        named = columns.set_axis([f"training{suffix}", f"validation{suffix}"], axis=1)
        parts += [named] if len(named) else []
    return pd.concat(parts, axis=1).reset_index()


def figure_01_perceptron(study: Study) -> pd.DataFrame:
    return epochs(study, "mlp", "accuracy")


def cnn(study: Study) -> pd.DataFrame:
    return epochs(study, "cnn", "accuracy")


def autoencoder(study: Study) -> pd.DataFrame:
    return epochs(study, "autoencoder", "loss")


def figure_02_sweep(study: Study) -> pd.DataFrame:
    cells = study.cells.pivot(index="factor", columns="replicate", values="validation_accuracy")
    table = cells.add_prefix("training ").reset_index().merge(results.summarise_sweep(study))
    return name_factors(table).rename(columns={"std": "deviation"})


def sweep_runs(study: Study) -> pd.DataFrame:
    return name_factors(results.summarise_factors(study))


def name_factors(table: pd.DataFrame) -> pd.DataFrame:
    table = table.assign(factor=table.factor.map(formats.level))
    return table.rename(columns={"factor": "L2 factor"})


def figure_03_autoencoder(study: Study) -> pd.DataFrame:
    return layers(study, "autoencoder")


def figure_15_rates(study: Study) -> pd.DataFrame:
    curve = noise_curve(study.counts)
    table = curve[KINDS].assign(gain=curve.denoised - curve.noisy)
    table["deviation of the gain"] = (curve.denoised_std**2 + curve.noisy_std**2) ** 0.5
    if len(study.notebook):
        table = table.join(study.notebook.add_suffix(", study's notebook"))
    if len(leads := results.count_leads(study)):
        table["seeds in which denoising leads"] = leads.reindex(table.index)
    return name_levels(table)


def name_levels(table: pd.DataFrame) -> pd.DataFrame:
    table = table.rename_axis("noise level").reset_index()
    return table.assign(**{"noise level": table["noise level"].map(formats.level)})


def likeness(study: Study) -> pd.DataFrame:
    table = results.reconstruction(study)
    columns = [f"{kind}_{measure}" for measure in ("ssim", "psnr") for kind in KINDS]
    names = [f"{kind}, {measure}" for measure in ("SSIM", "PSNR in dB") for kind in KINDS]
    return name_levels(table[columns].set_axis(names, axis=1))


def answers(study: Study) -> pd.DataFrame:
    shares = results.answer_shares(study.counts)
    columns = {}
    for kind in "noisy", "denoised":
        each = shares.xs(kind, level="kind")
        columns[f"most frequent answer, {kind}"] = each.idxmax(axis=1).map(
            study.classes.__getitem__
        )
        columns[f"its share, {kind}"] = each.max(axis=1)
    return name_levels(pd.DataFrame(columns))


def classes(study: Study) -> pd.DataFrame:
    table = results.class_rates(study.counts).stack().unstack("noise_level")
    table.columns = table.columns.map(formats.level)
    table = table.rename_axis(["class", "images"]).reset_index()
    return table.assign(**{"class": table["class"].map(study.classes.__getitem__)})


def count_readings(study: Study) -> pd.DataFrame:
    """Count what each class, a row, is read as, a column; classes are numbers."""
    counts = pd.crosstab(study.predictions.actual, study.predictions.predicted)
    numbers = range(len(study.classes))
    return counts.reindex(index=numbers, columns=numbers, fill_value=0)


def confusion(study: Study) -> pd.DataFrame:
    counts = count_readings(study)
    table = counts.set_axis(study.classes, axis=0).set_axis(study.classes, axis=1)
    return table.rename_axis("class").reset_index()


def published(study: Study) -> pd.DataFrame:
    table = study.numbers[["name", "description"]].merge(results.compare(study), on="name")
    table["distance"] = table.distance.map(lambda value: formats.signed(value, 1))
    table = table.drop(columns="name").astype(object)
    table["runs"] = table.runs.where(table.runs > 0)
    forms = {"parameters": formats.count, "helps_from": formats.level, "helps_to": formats.level}
    for row, measure in enumerate(study.numbers.measure):
        for column in ("published", "this_run", "difference") if measure in forms else ():
            table.loc[row, column] = forms[measure](table.loc[row, column])
    names = {"description": "number", "this_run": "this run", "distance": "deviations from mean"}
    return table.rename(columns=names)


def files(study: Study) -> dict[str, pd.DataFrame]:
    """Make the tables of plots/report, for `dvc plots` and to compare branches by."""
    rates = results.class_rates(study.counts).denoised.rename_axis(["class", "noise_level"])
    similarity = results.reconstruction(study).filter(like="ssim")
    return {
        "sweep": results.summarise_sweep(study),
        "noise": noise_curve(study.counts)[KINDS].join(similarity).reset_index(),
        "classes": rates.reset_index()[["noise_level", "class", "denoised"]],
        "published_numbers": study.numbers[["name", "description"]].merge(
            results.compare(study), on="name"
        ),
        "published_logs": results.compare_logs(study),
    }

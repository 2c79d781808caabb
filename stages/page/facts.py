"""What the report says, as far as it depends on measurements."""

import math
from pathlib import Path

import yaml

CHANCE = 0.1  # ten digits, about equally frequent


def crossing(levels, rates, threshold: float = 0.5):
    """The level, interpolated linearly, at which `rates` first falls below `threshold`; None
    where it never does, the first level where it starts below. Both of the same length."""
    if rates[0] < threshold:
        return levels[0]
    for index in range(1, len(levels)):
        if rates[index] < threshold:
            share = (rates[index - 1] - threshold) / (rates[index - 1] - rates[index])
            return levels[index - 1] + share * (levels[index] - levels[index - 1])
    return None


def claims(rates) -> list[dict]:
    """The published findings about noise beside the measured curves: for each the claim, what
    was measured, and the verdict, "holds", "does not hold" or "not measured".

    `rates` is a table with noise_level, noisy and denoised, the rates in [0, 1].
    """

    def judge(claim, chosen, holds, measured):
        if chosen.empty:
            return {"claim": claim, "measured": "no such noise level", "verdict": "not measured"}
        verdict = "holds" if holds(chosen) else "does not hold"
        return {"claim": claim, "measured": measured(chosen), "verdict": verdict}

    def both(chosen):
        return "; ".join(
            f"at {row.noise_level:g}: {row.noisy:.3f} noisy, {row.denoised:.3f} denoised"
            for row in chosen.itertuples()
        )

    low = rates[rates.noise_level <= 0.1]
    middle = rates[rates.noise_level.between(0.2, 0.8)]
    high = rates[rates.noise_level.between(0.8, 0.95)]
    full = rates[rates.noise_level == 1]
    return [
        judge(
            "Noisy images are classified better at noise levels 0 and 0.1.",
            low,
            lambda chosen: (chosen.noisy > chosen.denoised).all(),
            both,
        ),
        judge(
            "Denoised images are classified better between 0.2 and 0.8.",
            middle,
            lambda chosen: (chosen.denoised > chosen.noisy).all(),
            lambda chosen: (
                "denoised ahead at "
                f"{(chosen.denoised > chosen.noisy).sum()} of {len(chosen)} levels"
            ),
        ),
        judge(
            "Denoising has failed altogether from 0.8 (taken as: no better than twice chance).",
            high,
            lambda chosen: (chosen.denoised <= 2 * CHANCE).all(),
            both,
        ),
        judge(
            "At level 1 the rate is almost nil (taken as: below half of chance, which is 0.1).",
            full,
            lambda chosen: (chosen[["noisy", "denoised"]] < CHANCE / 2).all(axis=None),
            both,
        ),
    ]


def most_confused(predictions) -> dict | None:
    """The pair of digits that the network mixes up most often: actual, predicted and count.
    None where it makes no mistake. `predictions` has the columns actual and predicted."""
    wrong = predictions[predictions.actual != predictions.predicted]
    if wrong.empty:
        return None
    counts = wrong.groupby(["actual", "predicted"]).size()
    actual, predicted = counts.idxmax()
    return {"actual": int(actual), "predicted": int(predicted), "count": int(counts.max())}


def within_spread(numbers, cells, best_factor: float) -> list[str]:
    """For each published number, "yes" or "no": does it lie between the lowest and the highest
    test accuracy of the replicates with the best factor? Empty for a number that comes from a
    single training, which has no spread. `numbers` and `cells` are tables of the report."""
    replicates = cells[cells.factor == best_factor].test_accuracy
    answers = []
    for row in numbers.itertuples():
        if not row.name.startswith("sweep_"):
            answers.append("")
        elif replicates.min() <= row.published <= replicates.max():
            answers.append("yes")
        else:
            answers.append("no")
    return answers


def right_probability(loss: float) -> float:
    """The probability that a network with this mean cross-entropy gives the right digit, as
    geometric mean over the images: the inverse of loss = −log p."""
    return math.exp(-loss)


def layers_of(model) -> list:
    """The layers that compute, in order, those of nested networks included."""
    return [
        inner
        for layer in model.layers
        for inner in (layers_of(layer) if hasattr(layer, "layers") else [layer])
    ]


def describe_layers(model) -> list[dict]:
    """What the report says of each layer: name, kind, output shape and number of parameters."""
    return [
        {
            "name": layer.name.replace("_", " "),
            "kind": type(layer).__name__,
            "shape": " × ".join(str(size) for size in layer.output.shape[1:]),
            "parameters": layer.count_params(),
        }
        for layer in layers_of(model)
    ]


def explore_noise(examples) -> list[dict]:
    """For each noise level the picture of figures 4–14, in words too, and the guesses in it."""
    levels = []
    for level, rows in examples.groupby("noise_level"):
        digits = []
        for _, pair in rows.groupby("image", sort=False):
            guesses = pair.set_index("kind")
            digit = {"actual": int(pair.actual.iloc[0])}
            for kind in ("noisy", "denoised"):
                digit[kind] = int(guesses.predicted[kind])
                digit[f"{kind}_probability"] = guesses.probability[kind]
            digits.append(digit)
        shown = ", ".join(str(digit["actual"]) for digit in digits)
        levels.append(
            {
                "noise_level": level,
                "path": f"plots/eval_noise/figures/figures_04-14_noise_{level}.png",
                "text": f"The digits {shown}: original, with noise of level {level}, and denoised",
                "digits": digits,
            }
        )
    return levels


def flatten(parameters: dict, prefix: str = "") -> list[tuple[str, object]]:
    """The values of nested `parameters` with their full names, dotted."""
    return [
        item
        for name, value in parameters.items()
        for item in (
            flatten(value, f"{prefix}{name}.")
            if isinstance(value, dict)
            else [(f"{prefix}{name}", "null" if value is None else value)]
        )
    ]


def read_inputs() -> list[tuple[str, str]]:
    """Path and MD5, from dvc.lock, of the data and networks that this run went through."""
    stages = yaml.safe_load(Path("dvc.lock").read_text(encoding="utf-8"))["stages"]
    outs = [out for stage in stages.values() for out in stage.get("outs", [])]
    return sorted(
        (out["path"], out["md5"]) for out in outs if out["path"].startswith(("data/", "models/"))
    )


def lead_of_best(sweep) -> dict | None:
    """By how much the best factor's mean leads the next one's (`gap`), and the standard
    deviation of its replicates (`spread`). None without a second factor or replicate."""
    ranked = sweep.sort_values("mean", ascending=False, kind="stable")
    if len(ranked) < 2 or ranked["std"].isna().iloc[0]:
        return None
    return {
        "gap": ranked["mean"].iloc[0] - ranked["mean"].iloc[1],
        "spread": ranked["std"].iloc[0],
    }

"""What the report says, as far as it depends on measurements."""

import math

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

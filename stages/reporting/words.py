"""How the report words numbers, and names things."""

from collections.abc import Iterable, Sequence

from common.rates import KINDS
from reporting.statistics import Interval

LOSSES = {
    "CategoricalCrossentropy": "cross-entropy",
    "BinaryCrossentropy": "binary cross-entropy",
    "MeanSquaredError": "mean squared error",
}


def two(value: float) -> str:
    return f"{value:.2f}"


def four(value: float) -> str:
    return f"{value:.4f}"


def percent(share: float, digits: int = 2) -> str:
    """Write a share in percent."""
    return f"{100 * share:.{digits}f}\u00a0%"


def percent_1(share: float) -> str:
    return percent(share, 1)


def points(share: float) -> str:
    return f"{number(share)} percentage points"


def number(share: float, sign: str = "") -> str:
    """Write a difference of shares in hundredths; `sign` "+" shows it always."""
    rounded = round(100 * share, 2) + 0.0  # −0.0 + 0.0 is 0.0
    return f"{rounded:{sign}.2f}".replace("-", "−")


def with_interval(gap: Interval) -> str:
    """State the interval of a difference, and what it rests on."""
    ends = sorted([abs(gap.low), abs(gap.high)]) if gap.verdict != "unclear" else gap[1:3]
    return f"(95\u00a0%: {number(ends[0])} to {number(ends[1])}, {gap.basis})"


def p_value(probability: float) -> str:
    return f"p = {probability:.2f}" if probability >= 0.01 else "p < 0.01"


def count(size: int, word: str) -> str:
    """Write a number with what it counts, such as "15 trainings"."""
    return f"{size:,} {word}{'s' if size != 1 else ''}"


def enumerate_words(words: Sequence) -> str:
    """Join words as a sentence does: "a, b and c"."""
    *most, last = map(str, words)
    return f"{', '.join(most)} and {last}" if most else last


def name_classifier(label: str) -> str:
    """Word a classifier's label inside a sentence: "the CNN", "the perceptron"."""
    return f"the {label[0].lower() + label[1:] if label[1:2].islower() else label}"


def decibel(value: float) -> str:
    return f"{value:.1f}\u00a0dB" if value < 1000 else "no noise"


def each_variant(level: dict, suffix: str, form) -> str:
    """Enumerate what was measured of noisy, filtered and denoised images."""
    return enumerate_words([form(level[f"{kind}{suffix}"]) for kind in KINDS])


def name_loss(loss: str) -> str:
    return LOSSES.get(loss, f"loss ({loss})")


def describe_noise(level) -> str:
    """Word the noise that a network was trained with; "" for none."""
    if isinstance(level, list):
        return f"levels from {level[0]:g} to {level[1]:g}"
    return f"level {level:g}" if level else ""


def name_levels(levels: Iterable[float], measured: Iterable[float]) -> str:
    """Word some of the `measured` levels: "from 0.1 to 0.4"."""
    levels, measured = sorted(levels), sorted(measured)
    if not levels:
        return ""
    if len(levels) == len(measured) > 1:
        return "at every level"
    if len(levels) == 1:
        return f"at level {levels[0]:g}"
    if levels == measured[: len(levels)]:
        return f"up to level {levels[-1]:g}"
    start = measured.index(levels[0])
    if levels == measured[start : start + len(levels)]:
        return f"from level {levels[0]:g} to {levels[-1]:g}"
    return "at levels " + ", ".join(f"{level:g}" for level in levels)

"""What repeated runs say of a further run, or of a difference."""

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd
from scipy import stats

UNLIKELY = 0.05  # a chance below this counts as too small to be luck
MARGIN = 0.001  # of the images: a smaller difference in accuracy is not worth a name


class Interval(NamedTuple):
    """A number with its 95 % interval."""

    middle: float
    low: float
    high: float
    runs: int = 0  # that it rests on, of the smaller side; 0 for the images of one run
    basis: str = "as far as the test images tell"

    @property
    def verdict(self) -> str:
        """Say whether a difference is "more" or "less" than 0, or "unclear"."""
        return "more" if self.low > 0 else "less" if self.high < 0 else "unclear"


def _around(values: Sequence[float], ratio: float, comparisons: int = 1) -> Interval | None:
    """Give mean ± t(n−1, 0.975) · s · √ratio.

    None below two values. `ratio` is the variance in question over that of a single value. With
    several `comparisons`, all their intervals together hold with 95 % (Bonferroni).
    """
    runs = len(values)
    if runs < 2:
        return None
    middle = float(np.mean(values))
    t = stats.t.ppf(1 - UNLIKELY / 2 / comparisons, runs - 1)
    half = float(t * np.std(values, ddof=1) * math.sqrt(ratio))
    return Interval(middle, middle - half, middle + half, runs, f"from {runs} runs")


def prediction_interval(values: Sequence[float]) -> Interval | None:
    """Give the 95 % interval for one further value.

    It is mean ± t(n−1, 0.975) · s · √(1 + 1/n): Student's distribution, s the sample standard
    deviation. None for fewer than two values.
    """
    return _around(values, 1 + 1 / max(1, len(values)))


def confidence_interval(values: Sequence[float], comparisons: int = 1) -> Interval | None:
    """Give the 95 % interval of the mean; None below two values.

    With several `comparisons`, all their intervals together hold with 95 % (Bonferroni).
    """
    return _around(values, 1 / max(1, len(values)), comparisons)


def further_run_probability(values: Sequence[float], number: float) -> float:
    """Give the chance that a further value lies as far out.

    At least as far from the mean as `number`, on either side, by Student's distribution. There
    must be at least two values.
    """
    distance = abs(number - np.mean(values))
    scale = np.std(values, ddof=1) * math.sqrt(1 + 1 / len(values))
    if scale == 0:
        return float(distance == 0)
    return float(2 * stats.t.sf(distance / scale, len(values) - 1))


def difference(first: Sequence[float], second: Sequence[float], comparisons: int = 1) -> Interval:
    """Give first − second, of means, with Welch's 95 % interval.

    With several `comparisons`, all their intervals together hold with 95 % (Bonferroni). The
    interval is infinite where one side has a single value, or nothing varies.
    """
    middle = float(np.mean(first) - np.mean(second))
    more, runs = sorted([len(first), len(second)], reverse=True)
    basis = f"from {runs} runs of each" if more == runs else f"from {more} and {runs} runs"
    unknown = Interval(middle, -math.inf, math.inf, runs, basis)
    if runs < 2:
        return unknown
    parts = [np.var(values, ddof=1) / len(values) for values in (first, second)]
    total = sum(parts)
    if total == 0:
        return unknown
    sizes = len(first) - 1, len(second) - 1
    freedom = total**2 / sum(part**2 / size for part, size in zip(parts, sizes, strict=True))
    half = float(stats.t.ppf(1 - UNLIKELY / 2 / comparisons, freedom) * math.sqrt(total))
    return Interval(middle, middle - half, middle + half, runs, basis)


def difference_of_shares(first: float, second: float, images: int) -> Interval:
    """Give first − second, of shares, with its 95 % interval.

    Both are shares of `images`. The interval says what other images would change, not what another
    seed would.
    """
    variance = (first * (1 - first) + second * (1 - second)) / images
    half = float(stats.norm.ppf(1 - UNLIKELY / 2) * math.sqrt(variance))
    return Interval(first - second, first - second - half, first - second + half)


def best_of_further_runs(groups: Sequence[Sequence[float]], size: int) -> pd.Series | None:
    """Estimate how the best of `size` further runs of each group is distributed.

    Runs of a group are taken as normally distributed; mean and deviation are as uncertain as the
    group is small (40,000 draws of both, from a fixed seed). Indexed by value, rising: the share
    of bests that are at most this. None where a group has fewer than twice as many values.
    """
    if not len(groups) or min(map(len, groups)) < 2 * size:
        return None
    random, draws = np.random.default_rng(0), 40_000
    best = np.full(draws, -np.inf)
    for group in groups:
        freedom = len(group) - 1
        deviation = np.std(group, ddof=1) * np.sqrt(freedom / random.chisquare(freedom, draws))
        error = random.standard_normal(draws) / math.sqrt(len(group))
        further = error + random.standard_normal((size, draws))
        best = np.maximum(best, np.mean(group) + deviation * further.max(axis=0))
    return pd.Series(np.arange(1, draws + 1) / draws, index=np.sort(best))


def quantile(distribution: pd.Series, share: float) -> float:
    """Return the smallest value that `share` of the bests do not exceed."""
    return float(distribution.index[(distribution >= share - 1e-12).to_numpy()][0])


def share_at_least(distribution: pd.Series, value: float) -> float:
    """Return the share of bests that are at least `value`."""
    below = distribution[distribution.index < value - 1e-9]
    return float(1 - below.iloc[-1]) if len(below) else 1.0


def share_at_most(distribution: pd.Series, value: float) -> float:
    """Return the share of bests that are at most `value`."""
    below = distribution[distribution.index <= value + 1e-9]
    return float(below.iloc[-1]) if len(below) else 0.0


def majority_is_clear(leads: int, runs: int, comparisons: int = 1) -> bool:
    """Say whether luck seldom explains so many leads.

    It is a two-sided sign test at 5 %, for all `comparisons` together.
    """
    return 2 * leads > runs and bool(stats.binomtest(leads, runs).pvalue < UNLIKELY / comparisons)

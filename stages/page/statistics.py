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
    runs: int = 0  # that it rests on, of each side; 0 for the images of one run

    @property
    def verdict(self) -> str:
        """Say whether a difference is "more" or "less" than 0, or "unclear"."""
        return "more" if self.low > 0 else "less" if self.high < 0 else "unclear"


def _around(values: Sequence[float], ratio: float) -> Interval | None:
    """Give mean ± t(n−1, 0.975) · s · √ratio.

    None below two values. `ratio` is the variance in question over that of a single value.
    """
    runs = len(values)
    if runs < 2:
        return None
    middle = float(np.mean(values))
    t = stats.t.ppf(1 - UNLIKELY / 2, runs - 1)
    half = float(t * np.std(values, ddof=1) * math.sqrt(ratio))
    return Interval(middle, middle - half, middle + half, runs)


def prediction_interval(values: Sequence[float]) -> Interval | None:
    """Give the 95 % interval for one further value.

    It is mean ± t(n−1, 0.975) · s · √(1 + 1/n): Student's distribution, s the sample standard
    deviation. None for fewer than two values.
    """
    return _around(values, 1 + 1 / max(1, len(values)))


def confidence_interval(values: Sequence[float]) -> Interval | None:
    """Give the 95 % interval of the mean; None below two values."""
    return _around(values, 1 / max(1, len(values)))


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
    interval is infinite where one side has a single value.
    """
    middle = float(np.mean(first) - np.mean(second))
    runs = min(len(first), len(second))
    if runs < 2:
        return Interval(middle, -math.inf, math.inf, runs)
    parts = [np.var(values, ddof=1) / len(values) for values in (first, second)]
    total = sum(parts)
    if total == 0:
        return Interval(middle, middle, middle, runs)
    sizes = len(first) - 1, len(second) - 1
    freedom = total**2 / sum(part**2 / size for part, size in zip(parts, sizes, strict=True))
    half = float(stats.t.ppf(1 - UNLIKELY / 2 / comparisons, freedom) * math.sqrt(total))
    return Interval(middle, middle - half, middle + half, runs)


def difference_of_shares(first: float, second: float, images: int) -> Interval:
    """Give first − second, of shares, with its 95 % interval.

    Both are shares of `images`. The interval says what other images would change, not what another
    seed would.
    """
    variance = (first * (1 - first) + second * (1 - second)) / images
    half = float(stats.norm.ppf(1 - UNLIKELY / 2) * math.sqrt(variance))
    return Interval(first - second, first - second - half, first - second + half)


def best_of_sets(groups: Sequence[Sequence[float]], size: int) -> pd.Series | None:
    """Return how the best of sets with `size` values of each group is distributed.

    All possible sets count, each as often as any other. Indexed by value, rising: the share of
    sets whose best is at most this. None where a group has too few values to vary the sets.
    """
    if not len(groups) or min(map(len, groups)) < 2 * size:
        return None
    values = np.unique(np.concatenate([np.asarray(group) for group in groups]))
    shares = np.ones(len(values))
    for group in groups:
        counts = (np.asarray(group)[:, np.newaxis] <= values).sum(axis=0)
        ways = [math.comb(count, size) for count in counts]
        shares *= np.array(ways) / math.comb(len(group), size)
    return pd.Series(shares, index=values)


def quantile(distribution: pd.Series, share: float) -> float:
    """Return the smallest value that `share` of the sets do not exceed."""
    return float(distribution.index[(distribution >= share - 1e-12).to_numpy()][0])


def share_at_least(distribution: pd.Series, value: float) -> float:
    """Return the share of sets whose best is at least `value`."""
    below = distribution[distribution.index < value - 1e-9]
    return float(1 - below.iloc[-1]) if len(below) else 1.0


def share_at_most(distribution: pd.Series, value: float) -> float:
    """Return the share of sets whose best is at most `value`."""
    below = distribution[distribution.index <= value + 1e-9]
    return float(below.iloc[-1]) if len(below) else 0.0


def majority_is_clear(leads: int, runs: int) -> bool:
    """Say whether luck seldom explains so many leads.

    It is a two-sided sign test at 5 %.
    """
    return 2 * leads > runs and bool(stats.binomtest(leads, runs).pvalue < UNLIKELY)

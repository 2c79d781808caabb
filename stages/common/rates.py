"""Rates at which images are recognised, summarised over draws, seeds or classes."""

import numpy as np
import pandas as pd

KINDS = ["noisy", "filtered", "denoised"]


def summarise_rates(rates: pd.DataFrame) -> pd.DataFrame:
    """Take mean and sample standard deviation at each noise level.

    `rates` has the columns noise_level, kind and rate, and a row for each draw, seed or class.
    The result, a curve, is indexed by noise_level, ascending. It has a column for each kind, and
    one with _std behind the name (NaN where there is a single rate).
    """
    groups = rates.groupby(["noise_level", "kind"]).rate
    return groups.mean().unstack().join(groups.std(ddof=1).unstack().add_suffix("_std"))


def noise_curve(counts: pd.DataFrame, over: str = "draw") -> pd.DataFrame:
    """Summarise counts over their draws or labels, as a curve.

    `counts` has the columns noise_level, draw, kind, label, images and recognised. A label without
    images has no rate, and does not count. The deviation is 0 where there is one draw: at level 0,
    nothing is drawn.
    """
    sums = counts.groupby(["noise_level", "kind", over])[["images", "recognised"]].sum()
    rates = (sums.recognised / sums.images.where(sums.images > 0)).rename("rate")
    curve = summarise_rates(rates.reset_index())
    deviations = [f"{kind}_std" for kind in KINDS]
    curve[deviations] = curve[deviations].fillna(0.0)
    return curve


def drop_level_1(rates):
    """Leave out level 1: every pixel is random there, so a lead is luck.

    `rates` are a table or a series that noise_level indexes, perhaps with more.
    """
    return rates[rates.index.get_level_values("noise_level") < 1]


def leading_levels(curve: pd.DataFrame, kind: str, other: str) -> list[float]:
    """List the noise levels below 1 at which one kind leads another clearly.

    Clearly: by more than two standard deviations, those of both added as if independent.
    """
    curve = drop_level_1(curve)
    lead = curve[kind] - curve[other]
    deviation = np.hypot(curve[f"{kind}_std"], curve[f"{other}_std"])
    return curve.index[lead > 2 * deviation].tolist()


def crossing(rates: pd.Series) -> float | None:
    """Find the noise level at which rates first fall below one half.

    `rates` is indexed by level, ascending. The level is interpolated; it is None where rates
    never fall so low, or start there.
    """
    below = np.flatnonzero(rates < 0.5)
    if not below.size or not below[0]:
        return None
    pair = [below[0], below[0] - 1]
    return float(np.interp(0.5, rates.iloc[pair], rates.index[pair]))


def noise_findings(curve: pd.DataFrame) -> dict[str, float | None]:
    """State where denoising helps, and where it no longer suffices.

    Denoising helps at a level where the denoised rate leads the noisy one. `helps_from` and
    `helps_to` are the first and the last such level; `half_at` is where the denoised rate falls
    below one half. Each is None where there is no such level.
    """
    helps = leading_levels(curve, "denoised", "noisy")
    return {
        "helps_from": min(helps, default=None),
        "helps_to": max(helps, default=None),
        "half_at": crossing(curve.denoised),
    }

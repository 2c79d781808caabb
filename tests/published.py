"""What holds of the published study alone is tested only where this project is that study."""

import json

import pandas as pd
import pytest
from conftest import ROOT, read_yaml


def find_difference() -> str:
    """Say what is not as published: a value of params.yaml, or a network that was trained."""
    if read_yaml(ROOT / "params.yaml") != read_yaml(ROOT / "recipes/published.yaml"):
        return "params.yaml is not recipes/published.yaml"
    path = ROOT / "plots/report/results.json"
    results = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
    numbers = pd.read_csv(ROOT / "published/numbers.csv")
    for row in numbers[numbers.measure == "parameters"].itertuples():
        trained = results.get(f"compared.{row.name}.this_run")
        if trained != row.published:
            return f"{row.name}: {trained} in the results, {row.published:.0f} as published"
    return ""


difference = find_difference()
only_published = pytest.mark.skipif(bool(difference), reason=difference)

"""A recipe is a whole params file: it can take the place of params.yaml."""

import pandas as pd
import pytest
from conftest import ROOT, read_yaml

RECIPES = sorted(path.name for path in (ROOT / "recipes").glob("*.yaml"))


def list_keys(name: str) -> set[str]:
    """Return each key of a file with those above it, as sweep_l2.grid.factors."""
    return set(pd.json_normalize(read_yaml(ROOT / name)))


@pytest.mark.parametrize("name", RECIPES)
def test_recipe_has_the_keys_of_params(name):
    """A reader's own stage may have added a section to params.yaml."""
    keys = list_keys(f"recipes/{name}")
    assert keys == list_keys("recipes/published.yaml")
    assert keys <= list_keys("params.yaml")

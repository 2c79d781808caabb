"""A recipe is a whole params file: it can take the place of params.yaml."""

import pytest
from conftest import ROOT, read_yaml

RECIPES = sorted(path.name for path in (ROOT / "recipes").glob("*.yaml"))


def list_keys(values: dict, start: str = "") -> set[str]:
    """Return each key with those above it, as sweep_l2.grid.factors."""
    keys = set()
    for key, value in values.items():
        name = f"{start}{key}"
        keys |= list_keys(value, f"{name}.") if isinstance(value, dict) else {name}
    return keys


@pytest.mark.parametrize("name", RECIPES)
def test_recipe_has_the_keys_of_params(name):
    """A reader's own stage may have added a section to params.yaml."""
    recipe = list_keys(read_yaml(ROOT / "recipes" / name))
    assert recipe == list_keys(read_yaml(ROOT / "recipes/published.yaml"))
    assert recipe <= list_keys(read_yaml(ROOT / "params.yaml"))

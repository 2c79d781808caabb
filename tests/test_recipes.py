"""Recipes are whole params files, and differ from params.yaml where docs/recipes.md says."""

import re

import pytest
from conftest import ROOT, read_yaml
from ruamel.yaml import YAML

RECIPES = sorted(path.stem for path in (ROOT / "recipes").iterdir())
TEXT = (ROOT / "docs/recipes.md").read_text(encoding="utf-8")
PUBLISHED = "`params.yaml`"


def flatten(values: dict, prefix="") -> dict:
    """Return each value under its path, such as sweep_l2.grid.factors."""
    flat = {}
    for key, value in values.items():
        inner = isinstance(value, dict)
        flat |= flatten(value, f"{prefix}{key}.") if inner else {f"{prefix}{key}": value}
    return flat


def read_table() -> dict[str, dict]:
    """Return what the table of docs/recipes.md says of each recipe, by parameter."""
    rows = re.findall(r"^\| ([a-z_0-9.]+) \|(.*)\|$", TEXT, re.MULTILINE)
    _, header = next(row for row in rows if row[0] == "parameter")
    told = {name.strip(): {} for name in header.split("|")}
    for parameter, cells in rows:
        for recipe, cell in zip(told.values(), cells.split("|"), strict=False):
            if parameter.count(".") and cell.strip():
                recipe[parameter] = YAML(typ="safe").load(cell)
    return told


def differences(name: str) -> dict:
    """Return the values of a recipe that are not those of params.yaml."""
    published = flatten(read_yaml(ROOT / "params.yaml"))
    recipe = flatten(read_yaml(ROOT / f"recipes/{name}.yaml"))
    assert recipe.keys() == published.keys()
    return {key: value for key, value in recipe.items() if value != published[key]}


@pytest.mark.parametrize("name", RECIPES)
def test_recipe_differs_where_the_table_says(name):
    told = read_table()
    if name in told:
        assert differences(name) == told[name]
    else:
        [sentence] = re.findall(rf"^`{name}\.yaml` differs in (.*)\.$", TEXT, re.MULTILINE)
        found = {re.sub(r"^(fetch\.sha256)\..*", r"\1", key) for key in differences(name)}
        assert found == set(re.split(", | and ", sentence))
    published = flatten(read_yaml(ROOT / "params.yaml"))
    assert told[PUBLISHED] == {key: published[key] for key in told[PUBLISHED]}

"""Check all of params.yaml before anything runs.

Every section is checked as its stage does. Prints a line for each wrong value and ends with exit
code 2; or prints nothing. It imports the stages that have parameters, and with them TensorFlow:
that takes some seconds.
"""

import importlib
import re
import sys
from collections.abc import Iterator
from pathlib import Path

from ruamel.yaml import YAML

ROOT = Path(__file__).parents[1]
sys.path.append(str(ROOT / "stages"))

from common.params import Params, ParamsError, read_file  # noqa: E402


def read_stages() -> dict[str, dict]:
    """Return the stages of dvc.yaml by name."""
    return YAML(typ="safe").load(ROOT / "dvc.yaml")["stages"]


def find_classes(base: type[Params] = Params) -> Iterator[type[Params]]:
    """Find the parameter classes of all stages that are imported."""
    for found in base.__subclasses__():
        if hasattr(found, "section"):
            yield found
        yield from find_classes(found)


def check_stages() -> Iterator[str]:
    """Check the sections of every stage; yield what is wrong."""
    with_params = [stage for stage in read_stages().values() if "params" in stage]
    for path in sorted({path for stage in with_params for path in stage["deps"]}):
        if script := re.fullmatch(r"stages/(\w+)\.py", path):
            importlib.import_module(script[1])
    for stage in find_classes():
        try:
            # What a cell of the sweep gets from DVC stands in the grid, which is checked there.
            stage.read(**dict.fromkeys(stage.arguments, "0"))
        except ParamsError as error:
            yield from error.args


def check_limit(content: dict) -> Iterator[str]:
    """Check that the images in the figures exist."""
    limit, examples = content["preprocess"]["limit"], content["eval_noise"]["examples"]
    if limit and max(examples) >= limit[1]:
        yield (
            f"eval_noise.examples = {max(examples)}: preprocess.limit allows {limit[1]} test "
            f"images, numbered 0 to {limit[1] - 1}"
        )


def check_classifier(content: dict) -> Iterator[str]:
    """Check that a stage makes the network that eval_noise reads images with."""
    name = content["eval_noise"]["classifier"]
    stages = read_stages().values()
    if not any(f"models/{name}.keras" in stage.get("outs", []) for stage in stages):
        yield f'eval_noise.classifier = "{name}": no stage of dvc.yaml makes models/{name}.keras'


def main() -> None:
    lines = list(dict.fromkeys(check_stages()))
    if not lines:
        lines = [*check_limit(read_file()), *check_classifier(read_file())]
    if lines:
        sys.stderr.writelines(f"error: {line}\n" for line in lines)
        sys.exit(2)


if __name__ == "__main__":
    main()

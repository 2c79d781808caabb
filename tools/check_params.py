"""Check all of params.yaml before anything runs.

Every section is checked as its stage does. Prints a line for each wrong value and ends with exit
code 2; or prints nothing. It imports the stages, and with them TensorFlow: that takes some seconds.
"""

import ast
import importlib
import sys
from collections.abc import Iterator
from pathlib import Path

STAGES = Path(__file__).parents[1] / "stages"
sys.path.append(str(STAGES))

from common.params import ParamsError, read_file  # noqa: E402


def find_loads(script: Path) -> Iterator[tuple[str, list[str], dict]]:
    """Find the calls `Class.load("section", "key", …)` of a script.

    Yields the class's name, the words, and the keyword arguments.
    """
    for node in ast.walk(ast.parse(script.read_text(encoding="utf-8"))):
        if (
            isinstance(node, ast.Call)
            and isinstance(node.func, ast.Attribute)
            and node.func.attr == "load"
            and isinstance(node.func.value, ast.Name)
            and node.func.value.id.endswith("Params")
        ):
            options = {option.arg: ast.literal_eval(option.value) for option in node.keywords}
            yield node.func.value.id, [ast.literal_eval(word) for word in node.args], options


def check_stages() -> Iterator[str]:
    """Check the sections of every stage; yield what is wrong."""
    for script in sorted(STAGES.glob("*.py")):
        stage = importlib.import_module(script.stem)
        for name, words, options in find_loads(script):
            # What a cell of the sweep gets from DVC stands in the grid, which is checked there.
            words_of_cell = dict.fromkeys(options.get("arguments", ()), "0")
            try:
                getattr(stage, name).read(*words, **words_of_cell)
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


def main() -> None:
    lines = list(dict.fromkeys(check_stages()))
    if not lines:
        lines = list(check_limit(read_file()))
    if lines:
        sys.stderr.writelines(f"error: {line}\n" for line in lines)
        sys.exit(2)


if __name__ == "__main__":
    main()

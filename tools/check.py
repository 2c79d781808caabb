"""Check the parameters of all stages before any of them runs."""

import importlib
import shlex
import sys
import typing
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent / "stages"))


def check(commands: list[str]) -> list:
    """The parameters in stages' commands, such as `python stages/train_cnn.py --epochs 10 …`, as
    objects of their stages' classes. Ends the process with exit code 2 and a line for each wrong
    one, so that nobody trains for long to fail in a later stage."""
    from common.parameters import ParameterError

    parameters, problems = {}, []
    for command in commands:
        script, *words = shlex.split(command)[1:]
        stage = Path(script).stem
        main = importlib.import_module(stage).main
        stage_class = typing.get_type_hints(main)["parameters"]
        try:
            parameters[stage] = stage_class.parse(words)
        except ParameterError as error:
            problems += error.args
    if {"preprocess", "eval_noise"} <= parameters.keys():
        limit, shown = parameters["preprocess"].limit, max(parameters["eval_noise"].examples)
        if limit and shown >= limit[1]:
            problems.append(
                f"eval_noise.examples = {shown}: images of the test set, of which "
                f"preprocess.limit leaves 0 to {limit[1] - 1}"
            )
    if problems:
        for line in dict.fromkeys(problems):  # the cells of the sweep share theirs
            print(f"error: {line}", file=sys.stderr)
        sys.exit(2)
    return list(parameters.values())

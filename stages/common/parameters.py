"""Parameters of a stage: a typed class that is also its command line.

Every stage imports this module, so a change here reruns the whole study.
"""

import argparse
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Literal

import pydantic
from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field

LearningRate = Annotated[
    float, Field(gt=0, le=100, description="step size of the optimizer: above 0, at most 100")
]
Momentum = Annotated[
    float,
    Field(
        ge=0,
        lt=1,
        description="share of each step that the next one repeats (Nesterov's momentum): "
        "from 0 to below 1",
    ),
]
Schedule = Annotated[
    Literal["constant", "cosine"],
    Field(
        description="the learning rate over the training: constant, or cosine (it falls to 0 "
        "along half a wave)",
    ),
]
BatchSize = Annotated[
    int, Field(ge=1, le=60_000, description="images per step: a whole number from 1 to 60,000")
]
Epochs = Annotated[
    int,
    Field(
        ge=1,
        le=10_000,
        description="passes over the training images: a whole number from 1 to 10,000",
    ),
]
Seed = Annotated[
    int,
    Field(
        ge=0,
        le=2**32 - 1,
        description="where every random choice of the stage starts: "
        "a whole number from 0 to 4,294,967,295",
    ),
]
Threads = Annotated[
    int,
    Field(
        ge=1,
        le=256,
        description="TensorFlow's threads (other numbers may give other last bits): "
        "a whole number from 1 to 256",
    ),
]
NoiseLevel = Annotated[
    float,
    Field(ge=0, le=1, description="share of pixels that turn black or white: from 0 to 1"),
]


def _number(word):
    """Whole numbers stay whole: a cell's files are named as DVC writes its factor, 0 or 0.0."""
    for kind in int, float:
        try:
            return kind(word)
        except (TypeError, ValueError):
            continue
    return word


Factor = Annotated[
    int | float,
    BeforeValidator(_number),
    Field(ge=0, le=1, description="L2 factor on both hidden kernels: from 0 to 1"),
]
Replicate = Annotated[
    int,
    Field(ge=0, le=1_000_000, description="which repetition: a whole number from 0 to 1,000,000"),
]


def _no_duplicates(values: list) -> list:
    if len(set(values)) < len(values):
        raise ValueError("a value stands twice")
    return values


Distinct = AfterValidator(_no_duplicates)
# DVC writes a null of params.yaml as the word None.
Nullable = BeforeValidator(lambda value: None if value in ("None", ["None"]) else value)


class ParameterError(Exception):
    """Wrong parameters: `args` are lines, each naming one and what is allowed."""


class Parameters(BaseModel):
    """Base of every stage's parameters, which are the `section` of params.yaml that a subclass
    names; each field's description says what is allowed."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    def __init_subclass__(cls, section: str) -> None:
        cls._section = section

    @classmethod
    def run(cls, main: Callable, description: str) -> None:
        """Call `main` with the parameters on the process's command line.

        A wrong, missing or unknown parameter ends the process with exit code 2, a file that
        cannot be read or written (no space, no permission) with 1, each with a line that says so.
        """
        stage = Path(sys.argv[0]).stem
        try:
            main(cls.parse(sys.argv[1:], description))
        except ParameterError as error:
            sys.stderr.write("".join(f"error: {line}\n" for line in error.args))
            sys.exit(2)
        except OSError as error:
            reason = error.strerror or error
            where = f"{error.filename}: " if error.filename else ""
            sys.exit(f"error: {stage}: {where}{reason}; put that right, then repeat the command")

    @classmethod
    def parse(cls, arguments: list[str], description: str = ""):
        """The parameters from a command line such as DVC builds from params.yaml.

        `--name value` gives a scalar, `--name value value …` a list; --help prints `description`.
        Raises ParameterError with a line for each wrong, missing or unknown parameter.
        """
        parser = argparse.ArgumentParser(description=description, allow_abbrev=False)
        for name, field in cls.model_fields.items():
            parser.add_argument(
                f"--{name}",
                nargs="*",
                metavar=name.upper(),
                default=argparse.SUPPRESS,
                help=field.description,
            )
        given, unknown = parser.parse_known_args(arguments)
        values = {
            name: value[0] if len(value) == 1 and not cls._is_list(name) else value
            for name, value in vars(given).items()
        }
        problems = []
        if unknown:
            known = ", ".join(cls.model_fields)
            words = " ".join(unknown)
            problems.append(f"{cls._section}: {words}: no parameter of this stage ({known})")
        try:
            parameters = cls.model_validate(values)
        except pydantic.ValidationError as error:
            problems += cls._explain(values, error)
        if problems:
            raise ParameterError(*problems)
        return parameters

    @classmethod
    def _is_list(cls, name: str) -> bool:
        return "list" in str(cls.model_fields[name].annotation)

    @classmethod
    def _explain(cls, values: dict, error: pydantic.ValidationError) -> list[str]:
        lines = {}
        for detail in error.errors():
            name = detail["loc"][0]
            given = values.get(name)
            if given is None:
                state = "is missing"
            else:
                words = given if isinstance(given, list) else [given]
                state = f"= {' '.join(words) or 'empty'}"
            allowed = cls.model_fields[name].description
            lines[name] = f"{cls._section}.{name} {state}: {allowed}"
        return list(lines.values())

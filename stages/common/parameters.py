"""Parameters of a stage: a typed class that is also its command line.

Every stage imports this module, so a change here reruns the whole study.
"""

import argparse
from typing import Annotated

import pydantic
from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field

LearningRate = Annotated[
    float, Field(gt=0, le=100, description="step size of the optimizer: above 0, at most 100")
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
Factor = Annotated[
    float,
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


class Parameters(BaseModel):
    """Base of every stage's parameters; each field's description says what is allowed."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    @classmethod
    def parse(cls, section: str, description: str, arguments: list[str] | None = None):
        """The parameters from a command line such as DVC builds from a section of params.yaml.

        `--name value` gives a scalar, `--name value value …` a list. `arguments` are the
        process's own by default. A wrong, missing or unknown parameter ends the process with
        exit code 2 and a line that names section, parameter, value and what is allowed.
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
        problems = [f"{section}: {word} is not a parameter of this stage" for word in unknown]
        try:
            parameters = cls.model_validate(values)
        except pydantic.ValidationError as error:
            problems += cls._explain(section, values, error)
        if problems:
            parser.exit(2, "".join(f"error: {line}\n" for line in problems))
        return parameters

    @classmethod
    def _is_list(cls, name: str) -> bool:
        return "list" in str(cls.model_fields[name].annotation)

    @classmethod
    def _explain(cls, section: str, values: dict, error: pydantic.ValidationError) -> list[str]:
        lines = {}
        for detail in error.errors():
            name = detail["loc"][0]
            said = values.get(name, "missing")
            said = " ".join(map(str, said)) or "empty" if isinstance(said, list) else said
            lines[name] = f"{section}.{name} = {said}: {cls.model_fields[name].description}"
        return list(lines.values())

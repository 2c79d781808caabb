"""Parameters of a stage: a typed, checked class that is also its command line.

Every stage imports this module, so a change here reruns the whole study.
"""

import argparse
import os
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError


def whole(meaning: str, low: int, high: int):
    """Make the type of a whole number from `low` to `high`."""
    allowed = f"{meaning}: a whole number from {low:,} to {high:,}"
    return Annotated[int, Field(ge=low, le=high, description=allowed)]


def number(meaning: str, **limits: float):
    """Make the type of a number within limits.

    `limits` are gt, ge, lt and le, as in pydantic's Field.
    """
    words = {"gt": "above", "ge": "at least", "lt": "below", "le": "at most"}
    stated = ", ".join(f"{words[name]} {limit:g}" for name, limit in limits.items())
    return Annotated[float, Field(description=f"{meaning}: {stated}", **limits)]


def choice(meaning: str, *words: str):
    """Make the type of a word that is one of `words`."""
    return Annotated[Literal[words], Field(description=f"{meaning}: {' or '.join(words)}")]


def several(item, most: int | None = None):
    """Make the type of a list in which nothing stands twice.

    It has at least one `item`, and at most `most`.
    """
    meaning = item.__metadata__[0].description
    count = f"one to {most}" if most else "one or more"
    field = Field(min_length=1, max_length=most, description=f"{meaning}; {count}, none twice")
    as_list = BeforeValidator(lambda words: words if isinstance(words, list) else [words])
    return Annotated[list[item], as_list, AfterValidator(_refuse_duplicates), field]


def _refuse_duplicates(values: list) -> list:
    if len(set(values)) < len(values):
        raise ValueError("a value stands twice; each may stand once")
    return values


Seed = whole("where every random choice of the stage starts", 0, 2**32 - 1)
Threads = Annotated[
    whole("threads of TensorFlow; other numbers can change the last digits", 1, 256),
    Field(title="threads"),
]


class ParameterError(Exception):
    """Wrong parameters: `args` are lines, each naming one and what is allowed."""


class Parameters(BaseModel):
    """Hold the parameters of a stage: a section of params.yaml.

    A subclass names its `section`. A field's description says what is allowed; its title is its
    key, if that is not in the section.
    """

    model_config = ConfigDict(frozen=True, allow_inf_nan=False)

    def __init_subclass__(cls, section: str = "") -> None:
        cls._section = section

    @classmethod
    def run(cls, main: Callable, description: str) -> None:
        """Call `main` with the command line's parameters, in the project's folder.

        Ends the process with one line for each wrong parameter (exit code 2). Missing parameters,
        an interruption, or a file that cannot be read or written give one line and exit code 1.
        """
        script = Path(sys.argv[0]).resolve()
        stage = script.stem
        if not sys.argv[1:]:
            sys.exit(
                f"error: {stage}: no parameters given; run it as DVC does: "
                f"dvc repro --single-item {stage} (--help explains the parameters)"
            )
        os.chdir(script.parent.parent)
        try:
            main(cls.parse(sys.argv[1:], description))
        except ParameterError as error:
            sys.stderr.write("".join(f"error: {line}\n" for line in error.args))
            sys.exit(2)
        except OSError as error:
            reason = error.strerror or error
            where = f"{error.filename}: " if error.filename else ""
            sys.exit(f"error: {stage}: {where}{reason}; put that right, then repeat the command")
        except KeyboardInterrupt:
            sys.exit(f"error: {stage}: interrupted; repeat the command")

    @classmethod
    def parse(cls, arguments: list[str], description: str = ""):
        """Read the parameters from a command line as DVC builds it.

        `--name value` gives a scalar, `--name value value …` a list; --help prints `description`.
        Raises ParameterError with a line for each wrong, missing or unknown parameter.
        """
        parser = argparse.ArgumentParser(description=description, allow_abbrev=False)
        for name, field in cls.model_fields.items():
            parser.add_argument(f"--{name}", nargs="*", help=field.description)
        options, unknown = parser.parse_known_args(arguments)
        given = {name: words for name, words in vars(options).items() if words is not None}
        lines = {}
        if unknown:
            known = ", ".join(cls.model_fields)
            words = " ".join(unknown)
            lines[""] = f"{cls._section}: {words}: no parameter of this stage ({known})"
        try:
            parameters = cls.model_validate(
                {name: words[0] if len(words) == 1 else words for name, words in given.items()}
            )
        except ValidationError as error:
            for detail in error.errors():
                name = detail["loc"][0]
                lines[name] = cls._explain(name, given.get(name), detail.get("ctx", {}))
        if lines:
            raise ParameterError(*lines.values())
        return parameters

    @classmethod
    def _explain(cls, name: str, words: list[str] | None, context: dict) -> str:
        field = cls.model_fields[name]
        if words is None:
            state = "is missing"
        elif words:
            state = "= " + " ".join(word if word.isprintable() else repr(word) for word in words)
        else:  # DVC passes true and an empty list as the option alone
            takes_several = re.search("list|tuple", str(field.annotation))
            state = "= empty" if takes_several else "= true"
        reason = context.get("error", field.description)
        return f"{field.title or f'{cls._section}.{name}'} {state}: {reason}"

"""Parameters of a stage: a typed, checked class that is also its command line.

Every stage imports this module, so a change here reruns the whole study.
"""

import argparse
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Literal

import pydantic
from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, WrapValidator


def whole(meaning: str, low: int, high: int):
    """Make the type of a whole number from `low` to `high`."""
    allowed = f"{meaning}: a whole number from {low:,} to {high:,}"
    return Annotated[int, Field(ge=low, le=high, description=allowed)]


def number(meaning: str, **limits: float):
    """Make the type of a number within `limits`: above or at_least, below or at_most."""
    checks = {"above": "gt", "at_least": "ge", "below": "lt", "at_most": "le"}
    stated = ", ".join(f"{name.replace('_', ' ')} {limit:g}" for name, limit in limits.items())
    checked = {checks[name]: limit for name, limit in limits.items()}
    return Annotated[float, Field(description=f"{meaning}: {stated}", **checked)]


def choice(meaning: str, *words: str):
    """Make the type of a word that is one of `words`."""
    return Annotated[Literal[words], Field(description=f"{meaning}: {' or '.join(words)}")]


def several(item, most: int | None = None):
    """Make the type of a list of `item`s: at least one, at most `most`, none twice."""
    meaning = item.__metadata__[-1].description
    count = f"one to {most}" if most else "one or more"
    field = Field(min_length=1, max_length=most, description=f"{meaning}; {count}, none twice")
    return Annotated[list[item], AfterValidator(_refuse_twins), field]


def exact(item):
    """Make the type of an `item` that is written as Python writes it, such as 1e-06."""
    meaning = item.__metadata__[-1].description
    return Annotated[item, WrapValidator(_refuse_other_spelling), Field(description=meaning)]


def _refuse_twins(values: list) -> list:
    for value in values:
        if values.count(value) > 1:
            raise ValueError(f"{value} stands twice; each value may stand once")
    return values


def _refuse_other_spelling(word: str, check: Callable):
    """DVC names files after the word, the stage after the number: they have to be the same."""
    value = check(word)
    for spelled in value, int(value):
        if str(spelled) == word:
            return spelled
    raise ValueError(f"write it as {value}, without quotes")


Seed = whole("where every random choice of the stage starts", 0, 2**32 - 1)
Threads = whole("threads of TensorFlow; other numbers can change the last digits", 1, 256)
# DVC writes a null of params.yaml as the word None.
Nullable = BeforeValidator(lambda value: None if value in ("None", ["None"]) else value)


class ParameterError(Exception):
    """Wrong parameters: `args` are lines, each naming one and what is allowed."""


class Parameters(BaseModel):
    """Hold the parameters of a stage, from the section of params.yaml that a subclass names.

    `threads` stands at the top of params.yaml; `elsewhere` names the keys of others that do
    not stand in the section. Each field's description says what is allowed.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    def __init_subclass__(cls, section: str = "", **elsewhere: str) -> None:
        cls._section = section
        cls._elsewhere = {"threads": "threads"} | elsewhere

    @classmethod
    def run(cls, main: Callable, description: str) -> None:
        """Call `main` with the parameters on the process's command line.

        Ends the process with one line for each wrong parameter (exit code 2), or for a file
        that cannot be read or written (exit code 1).
        """
        script = Path(sys.argv[0]).resolve()
        stage, folder = script.stem, script.parent.parent
        if not sys.argv[1:]:
            sys.exit(
                f"error: {stage}: no parameters given; run it as DVC does: "
                f"dvc repro --single-item {stage} (--help explains the parameters)"
            )
        try:
            parameters = cls.parse(sys.argv[1:], description)
            if Path.cwd() != folder:
                sys.exit(f"error: {stage}: this is not the project's folder; first: cd {folder}")
            main(parameters)
        except ParameterError as error:
            sys.stderr.write("".join(f"error: {line}\n" for line in error.args))
            sys.exit(2)
        except OSError as error:
            reason = error.strerror or error
            where = f"{error.filename}: " if error.filename else ""
            sys.exit(f"error: {stage}: {where}{reason}; put that right, then repeat the command")
        except KeyboardInterrupt:
            sys.exit(f"error: {stage}: interrupted; nothing of this stage was saved")

    @classmethod
    def parse(cls, arguments: list[str], description: str = ""):
        """Read the parameters from a command line such as DVC builds from params.yaml.

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
                help=field.description.replace("%", "%%"),
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
            key = cls._elsewhere.get(name, f"{cls._section}.{name}")
            reason = detail.get("ctx", {}).get("error", cls.model_fields[name].description)
            lines[name] = f"{key} {cls._state(name, values)}: {reason}"
        return list(lines.values())

    @classmethod
    def _state(cls, name: str, values: dict) -> str:
        if name not in values:
            return "is missing"
        given = values[name]
        if given == []:  # DVC passes a true of params.yaml as the option alone
            return "= empty" if cls._is_list(name) else "= true"
        return f"= {' '.join(given) if isinstance(given, list) else given}"

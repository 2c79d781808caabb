"""Read and check the parameters of a stage: a section of params.yaml.

Every stage imports this module, so a change here reruns the whole study.
"""

import argparse
import functools
import json
import operator
import os
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, ClassVar, TypeVar

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError
from ruamel.yaml import YAML
from ruamel.yaml.constructor import SafeConstructor
from ruamel.yaml.error import YAMLError

PROJECT = Path(__file__).parents[2].resolve()
FILE = Path("params.yaml")


def refuse_duplicates(values: list) -> list:
    """Return `values`; raise ValueError if one stands twice."""
    if len(set(values)) < len(values):
        raise ValueError("a value stands twice; each may stand once")
    return values


Item = TypeVar("Item")
Distinct = Annotated[list[Item], Field(min_length=1), AfterValidator(refuse_duplicates)]
Seed = Annotated[
    int, Field(ge=0, le=2**32 - 1, description="where every random choice of the stage starts")
]
Threads = Annotated[
    int,
    Field(ge=1, le=256, description="threads of TensorFlow; others can change the last digits"),
]


class ParamsError(ValueError):
    """Wrong parameters: `args` are lines, each naming a key and what is wrong."""


class Params(BaseModel):
    """Check a section of params.yaml; a subclass has a field for each key."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)

    section: ClassVar[str]  # a path in params.yaml, such as "sweep_l2.training"
    shared: ClassVar[tuple[str, ...]] = ()  # fields that stand on top of the file
    arguments: ClassVar[tuple[str, ...]] = ()  # fields that the command line gives, as words

    @classmethod
    def load(cls):
        """Return the parameters of this script, in the project's folder.

        Answers --help. Wrong parameters end the process with a line for each, exit code 2.
        """
        os.chdir(PROJECT)
        parser = argparse.ArgumentParser(
            description=cls.__doc__,
            epilog="parameters:\n" + "\n".join(cls.describe()),
            formatter_class=argparse.RawDescriptionHelpFormatter,
            allow_abbrev=False,
        )
        for name in cls.arguments:
            parser.add_argument(f"--{name}", required=True)
        try:
            return cls.read(**vars(parser.parse_args()))
        except ParamsError as error:
            sys.stderr.writelines(f"error: {line}\n" for line in error.args)
            sys.exit(2)

    @classmethod
    def read(cls, **arguments: str):
        """Return the parameters of params.yaml in the working directory, checked.

        `arguments` are the fields that do not stand there. Raises ParamsError.
        """
        content = read_file()
        try:
            section = functools.reduce(operator.getitem, cls.section.split("."), content)
            misplaced = section.keys() & {*cls.shared, *cls.arguments}
        except (AttributeError, KeyError, TypeError):
            raise ParamsError(f"{cls.section} is missing: a section of {FILE}") from None
        if misplaced:
            raise ParamsError(*(f"{cls.section}.{name}: not in this section" for name in misplaced))
        values = section | {name: content[name] for name in cls.shared if name in content}
        values |= arguments
        try:
            return cls.model_validate(values)
        except ValidationError as error:
            messages = {}
            for detail in error.errors():
                # Of a value that may be of several types, pydantic reports each in turn.
                messages.setdefault(detail["loc"][0], []).append(detail["msg"])
        lines = []
        for name, said in messages.items():
            value = f" = {json.dumps(values[name], default=str)}" if name in values else ""
            lines.append(f"{cls.name_key(name)}{value}: {'; or: '.join(dict.fromkeys(said))}")
        raise ParamsError(*lines)

    @classmethod
    def name_key(cls, name: str) -> str:
        """Return a field as the user writes it."""
        if name in cls.arguments:
            return f"--{name}"
        return name if name in cls.shared else f"{cls.section}.{name}"

    @classmethod
    def describe(cls) -> Iterator[str]:
        """Yield what each field means, and its type as a JSON schema."""
        for name, schema in cls.model_json_schema()["properties"].items():
            description = schema.pop("description")
            del schema["title"]
            yield f"  {cls.name_key(name)}: {description} {json.dumps(schema)}"


class PlainNumbers(SafeConstructor):
    """Take a whole number only as people write it: 010 is 8 to some programs, 10 to others."""

    def construct_yaml_int(self, node):
        if re.fullmatch(r"-?(0|[1-9]\d*)", node.value):
            return int(node.value)
        return node.value


PlainNumbers.add_constructor("tag:yaml.org,2002:int", PlainNumbers.construct_yaml_int)


def read_file() -> dict:
    """Read params.yaml as DVC does: YAML 1.2. Raises ParamsError."""
    yaml = YAML(typ="safe")
    yaml.Constructor = PlainNumbers
    try:
        return yaml.load(FILE)
    except (OSError, YAMLError) as error:
        raise ParamsError(f"{FILE}: {' '.join(str(error).split())}") from None

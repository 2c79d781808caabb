"""Read and check the parameters of a stage: a section of params.yaml.

Every stage imports this module, so a change here reruns the whole study.
"""

import argparse
import json
import os
import re
import sys
from pathlib import Path
from typing import Annotated, TypeVar

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
    """Wrong parameters: `args` are lines, each naming a key and what is allowed."""


class Params(BaseModel):
    """Check a section of params.yaml; a subclass has a field for each key."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)

    @classmethod
    def load(cls, section: str, *shared: str, arguments: tuple[str, ...] = ()):
        """Return the parameters of this script, in the project's folder.

        `section` is a path in params.yaml such as "sweep_l2.training", `shared` are keys on top
        of the file such as "threads". `arguments` are fields that the command line gives as words.
        Answers --help. Wrong parameters end the process with a line for each, exit code 2.
        """
        os.chdir(PROJECT)
        keys = cls._name_keys(section, shared, arguments)
        parser = argparse.ArgumentParser(
            description=f"{cls.__doc__}\n\nparameters:",
            epilog="\n".join(f"  {key}: {cls._describe(name)}" for name, key in keys.items()),
            formatter_class=argparse.RawDescriptionHelpFormatter,
            allow_abbrev=False,
        )
        for name in arguments:
            parser.add_argument(f"--{name}")
        options, unknown = parser.parse_known_args()
        try:
            if unknown:
                words = " ".join(unknown)
                raise ParamsError(f"{words}: no argument of this script; values stand in {FILE}")
            return cls.read(section, *shared, **vars(options))
        except ParamsError as error:
            sys.stderr.writelines(f"error: {line}\n" for line in error.args)
            sys.exit(2)

    @classmethod
    def read(cls, section: str, *shared: str, **arguments: str | None):
        """Return the parameters of params.yaml in the working directory, checked.

        `arguments` are fields from elsewhere, None if missing. Raises ParamsError.
        """
        content = read_file()
        given = {name: word for name, word in arguments.items() if word is not None}
        top = {name: content[name] for name in shared if name in content}
        values = find(content, section) | top | given
        try:
            return cls.model_validate(values)
        except ValidationError as error:
            # Of a value that may be of several types, pydantic reports each in turn.
            wrong = {detail["loc"][0]: detail for detail in error.errors()}
        unknown = {name: f"{section}.{name}" for name in values}
        keys = unknown | cls._name_keys(section, shared, arguments)
        raise ParamsError(
            *(cls._explain(name, keys, values, detail) for name, detail in wrong.items())
        )

    @classmethod
    def _explain(cls, name: str, keys: dict, values: dict, detail: dict) -> str:
        """Say in one line what is wrong with a value, and what is allowed."""
        if name not in cls.model_fields:
            return f"{keys[name]}: no such parameter; there are {', '.join(cls.model_fields)}"
        if name not in values:
            return f"{keys[name]} is missing: {cls._describe(name)}"
        shown = json.dumps(values[name], ensure_ascii=False, default=str)
        allowed = detail.get("ctx", {}).get("error") or cls._describe(name)
        return f"{keys[name]} = {shown}: {allowed}"

    @classmethod
    def _name_keys(cls, section: str, shared, arguments) -> dict[str, str]:
        """Return how the user writes each field, by its name."""
        keys = {name: f"{section}.{name}" for name in cls.model_fields}
        return keys | {name: name for name in shared} | {name: f"--{name}" for name in arguments}

    @classmethod
    def _describe(cls, name: str) -> str:
        """Say what a field means, and which values it takes."""
        schema = cls.model_json_schema()["properties"][name]
        return f"{schema['description']}: {put_in_words(schema)}"


def put_in_words(schema: dict) -> str:
    """Say which values a JSON schema of pydantic's allows."""
    if "anyOf" in schema:
        return ", or ".join(put_in_words(option) for option in schema["anyOf"])
    if "const" in schema:
        return schema["const"]
    if "enum" in schema:
        return " or ".join(schema["enum"])
    kind = schema["type"]
    if kind == "array":
        count = schema.get("maxItems", "one or more")
        return f"a list of {count}, each {put_in_words(schema['items'])}"
    if kind not in ("integer", "number"):
        return {"string": "text", "object": "names with values"}.get(kind, kind)
    words = "a whole number" if kind == "integer" else "a number"
    if "minimum" in schema and "maximum" in schema:
        return f"{words} from {schema['minimum']:,} to {schema['maximum']:,}"
    limits = {
        "minimum": "at least",
        "exclusiveMinimum": "above",
        "maximum": "at most",
        "exclusiveMaximum": "below",
    }
    stated = [f"{word} {schema[key]:,}" for key, word in limits.items() if key in schema]
    return f"{words} {', '.join(stated)}".rstrip()


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
        content = yaml.load(FILE.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ParamsError(f"{FILE} is missing; restore it: git checkout {FILE}") from None
    except (YAMLError, UnicodeDecodeError) as error:
        mark = getattr(error, "problem_mark", None)
        line = f", line {mark.line + 1}" if mark else ""
        problem = getattr(error, "problem", None) or str(error).splitlines()[0]
        raise ParamsError(f"{FILE}{line}: {problem}") from None
    if not isinstance(content, dict):
        raise ParamsError(f"{FILE} holds no sections")
    return content


def find(content: dict, section: str) -> dict:
    """Return a section, such as "sweep_l2.training". Raises ParamsError."""
    for name in section.split("."):
        content = content.get(name) if isinstance(content, dict) else None
    if not isinstance(content, dict):
        raise ParamsError(f"{section} is missing: a section of {FILE}")
    return content

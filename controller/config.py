"""Loading a configuration, with file, line and key in every error, and changing it while it is in force.

The schema is `controller.schema`; what each key means to an operator stands in `config/default.yaml`.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from controller.clashes import Clash
from controller.merge_patch import merge_patch
from controller.schema import (
    ApiConfig,
    Config,
    DivergenceConfig,
    Origin,
    Policy,
    PriorityWindow,
    RuleConfig,
)

__all__ = [
    "FIXED_SECTIONS",
    "ApiConfig",
    "Config",
    "ConfigError",
    "DivergenceConfig",
    "Policy",
    "PriorityWindow",
    "RuleConfig",
    "dump",
    "load",
    "merge",
    "parse",
    "parse_values",
]

# What is wired at the start: files, sockets, the tree. A reload that changes one of these needs a restart.
FIXED_SECTIONS = ("cgroup_root", "journal", "api", "tick")

# A check across keys says first which of them to look at.
_NAMES_A_KEY = re.compile(r"^([a-z_][\w.-]*): (.*)$", re.DOTALL)


class ConfigError(Exception):
    """A configuration that can't be used. The text names file, line and key, one problem a line."""


class _Loader(yaml.SafeLoader):
    """YAML, but for the numbers to base 60 of YAML 1.1, for which 22:00 is 1320."""


_Loader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if not tag.endswith((":int", ":float"))]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
_Loader.add_implicit_resolver("tag:yaml.org,2002:int", re.compile(r"^[-+]?[0-9]+$"), list("-+0123456789"))
_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float",
    re.compile(
        r"^(?:[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?|[-+]?\.inf|\.nan)$", re.IGNORECASE
    ),
    list("-+.0123456789"),
)


def load(path: Path) -> Config:
    """Read a YAML file. Raises ConfigError with one line "file:line: key: what is wrong" per problem."""
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise ConfigError(f"{path}: can't be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path}: is not a text file (UTF-8)") from error
    return parse(text, str(path))


def parse(text: str, source: str) -> Config:
    """Build the configuration of a YAML text; `source` is its name in errors."""
    lines: dict[str, int] = {}
    try:
        root = yaml.compose(text, Loader=_Loader)
        if root is not None:
            _index_lines(root, "", lines, source)
        values = yaml.load(text, Loader=_Loader)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f"{source}:{mark.line + 1}" if mark else source
        raise ConfigError(f"{where}: not YAML: {getattr(error, 'problem', error)}") from error
    except ValueError as error:  # a date or a number that is none
        raise ConfigError(f"{source}: not YAML: {error}") from error
    except RecursionError as error:
        raise ConfigError(f"{source}: nested too deeply") from error
    if values is None:
        values = {}
    if not isinstance(values, dict):
        raise ConfigError(f"{source}:1: must be a mapping of sections, such as 'api:'")
    return _build(values, Origin(source, lines))


def parse_values(values: Any, source: str) -> Config:
    """Build the configuration of plain values, as `dump` gives them. Raises ConfigError."""
    return _build(values, Origin(source))


def merge(config: Config, changes: dict[str, Any]) -> Config:
    """The configuration with `changes` (a JSON merge patch, RFC 7396) applied, validated as a whole.

    A null puts a key back to its default. Raises ConfigError.
    """
    return _build(merge_patch(dump(config), changes), Origin("patch"))


def dump(config: Config) -> dict[str, Any]:
    """The effective configuration as plain values that `parse` reads back."""
    return config.model_dump(mode="json", by_alias=True)


def _build(values: Any, origin: Origin) -> Config:
    try:
        config = Config.model_validate(values)
    except ValidationError as error:
        problems = [problem for item in error.errors() for problem in _problems(item)]
        problems.sort(key=lambda problem: origin.line(*problem.keys))
        texts = [f"{origin.place(*problem.keys)}: {problem.text}" for problem in problems]
        raise ConfigError("\n".join(texts)) from None
    config._origin = origin
    return config


def _problems(item: Any) -> list[Clash]:
    """What one error of pydantic says, in our words."""
    if item["type"] == "clashes":
        return [*item["ctx"]["clashes"]]
    key = ".".join(str(part) for part in item["loc"] if part != "[key]")
    message = item["msg"].removeprefix("Value error, ")
    if item["type"] == "extra_forbidden":
        message = "unknown key; see config/default.yaml for the keys there are"
    elif item["type"] == "missing":
        message = "is not given, and has no default"
    elif item["type"] == "model_type":
        message = f"must have keys of its own, see config/default.yaml (it is {item['input']!r})"
    elif item["type"] != "value_error":
        message += f" (it is {item['input']!r})"
    elif match := _NAMES_A_KEY.match(message):
        key, message = f"{key}.{match[1]}".lstrip("."), match[2]
    return [Clash((key,), message)]


def _index_lines(node: yaml.Node, at: str, lines: dict[str, int], source: str) -> None:
    lines.setdefault(at, node.start_mark.line + 1)
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            here = f"{at}.{key.value}".lstrip(".")
            if here in lines:
                raise ConfigError(f"{source}:{key.start_mark.line + 1}: {here}: given twice")
            lines[here] = key.start_mark.line + 1
            _index_lines(value, here, lines, source)
    elif isinstance(node, yaml.SequenceNode):
        for number, item in enumerate(node.value):
            _index_lines(item, f"{at}.{number}".lstrip("."), lines, source)

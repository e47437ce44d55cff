"""config/default.yaml is the reference: every key, with its default."""

from __future__ import annotations

from importlib.resources import files
from typing import Any

import yaml

from controller.config import Config, dump, parse

TEXT = files("config").joinpath("default.yaml").read_text(encoding="utf-8")


def test_it_says_what_the_defaults_are() -> None:
    assert parse(TEXT, "config/default.yaml") == Config()


def test_it_has_every_key() -> None:
    assert keys(yaml.safe_load(TEXT)) == keys(dump(Config()))


def test_every_key_stands_under_a_comment_or_explained_neighbour() -> None:
    lines = TEXT.splitlines()
    for number, line in enumerate(lines):
        if line and not line.startswith((" ", "#")):
            before = lines[number - 1] if number else ""
            inside = lines[number + 1] if number + 1 < len(lines) else ""
            assert before.startswith("#") or inside.strip().startswith("#"), f"line {number + 1}: {line}"


def keys(values: Any, at: str = "") -> set[str]:
    if not isinstance(values, dict):
        return {at}
    return {at} | {name for key, value in values.items() for name in keys(value, f"{at}.{key}")}

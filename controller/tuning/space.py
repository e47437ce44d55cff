"""Which keys tuning may move, and how far: within what the schema takes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from controller.config import Config, ConfigError, dump, merge

SIGNIFICANT = 3  # digits of a tuned value; more would be noise


@dataclass(frozen=True, slots=True)
class Key:
    """A dotted key of the configuration, and the range to search in."""

    name: str
    low: float
    high: float


DEFAULT_KEYS = (
    Key("control.gain", 0.2, 2.0),
    Key("control.margin", 0.0, 0.6),
    Key("control.step_max_ratio", 0.2, 0.8),
    Key("control.drain", 1.0, 6.0),
    Key("recovery.reserve_ratio", 0.0, 0.2),
    Key("recovery.safe_demand_ratio", 0.5, 0.95),
    Key("forecast.deviations", 0.0, 3.0),
)


class SpaceError(Exception):
    """A key that can't be tuned; the text names it."""


def key_of(text: str, config: Config) -> Key:
    """The key of "control.gain=0.2:2". Raises SpaceError."""
    name, _, span = text.partition("=")
    try:
        low, high = (float(part) for part in span.split(":"))
    except ValueError:
        raise SpaceError(f"{text}: write KEY=LOW:HIGH, such as control.gain=0.2:2") from None
    if not low < high:
        raise SpaceError(f"{text}: {low:g} is not below {high:g}")
    key = Key(name, low, high)
    value_of(config, key)
    for value in (low, high):
        try:
            configured(config, (key,), (value,))
        except ConfigError as error:
            raise SpaceError(f"{text}: {str(error).splitlines()[0]}") from None
    return key


def value_of(config: Config, key: Key) -> float:
    """The present value, in seconds where it is a time. Raises SpaceError."""
    found: Any = config
    for part in key.name.split("."):
        found = found.get(part) if isinstance(found, dict) else getattr(found, part, None)
    if isinstance(found, bool) or not isinstance(found, int | float):
        raise SpaceError(f"{key.name}: is no number of the configuration")
    return float(found)


def fragment(config: Config, keys: Sequence[Key], values: Sequence[float]) -> dict[str, Any]:
    """The values as a piece of a configuration file, rounded."""
    plain = dump(config)
    found: dict[str, Any] = {}
    for key, value in zip(keys, values, strict=True):
        *path, last = key.name.split(".")
        before, at = plain, found
        for part in path:
            before, at = before[part], at.setdefault(part, {})
        rounded = float(f"{value:.{SIGNIFICANT}g}")
        at[last] = f"{round(rounded * 1000)}ms" if isinstance(before[last], str) else rounded
    return found


def configured(config: Config, keys: Sequence[Key], values: Sequence[float]) -> Config:
    """The configuration with these values. Raises ConfigError where they contradict others."""
    return merge(config, fragment(config, keys, values))

"""Quantities as people write them in configuration: "250ms", "500m" cores, ratios between 0 and 1.

A bare number for a time would leave the unit to a guess, so it is refused.
"""

from __future__ import annotations

import re
from decimal import Decimal
from typing import Annotated

from pydantic import BeforeValidator, Field, PlainSerializer

# Decimal, so that 5us is 5e-06 and not the nearest product of two floats to it.
_TIME_UNITS = {
    "us": Decimal("1e-6"),
    "ms": Decimal("1e-3"),
    "s": Decimal(1),
    "m": Decimal(60),
    "h": Decimal(3600),
    "d": Decimal(86400),
}
_TIME = re.compile(r"^\s*(\d+(?:\.\d+)?)\s*(us|ms|s|m|h|d)\s*$", re.ASCII)
_CORES = re.compile(r"^\s*(\d+(?:\.\d+)?)(m?)\s*$", re.ASCII)


def parse_seconds(value: object) -> float:
    """Seconds of a text such as "250ms", "2s", "10m". Raises ValueError naming what is accepted."""
    match = _TIME.match(value) if isinstance(value, str) else None
    if match is None:
        raise ValueError(f"{value!r} is not a time; write a number with a unit: 250ms, 2s, 10m, 1h")
    return float(Decimal(match[1]) * _TIME_UNITS[match[2]])


def format_seconds(seconds: float) -> str:
    """The shortest text that `parse_seconds` reads back as exactly the same value."""
    exact = Decimal(repr(seconds))
    numbers = {unit: exact / factor for unit, factor in _TIME_UNITS.items() if exact >= factor}
    texts = [f"{number.normalize():f}{unit}" for unit, number in numbers.items()]
    same = [text for text in texts if parse_seconds(text) == seconds]
    return min(same, key=len, default=f"{exact.normalize():f}s")


def parse_cores(value: object) -> float:
    """Cores of a number (0.5) or a Kubernetes quantity ("500m", "2"). Raises ValueError."""
    if isinstance(value, str):
        if match := _CORES.match(value):
            return float(match[1]) / (1000 if match[2] else 1)
    elif isinstance(value, int | float) and not isinstance(value, bool):
        return float(value)
    raise ValueError(f"{value!r} is not an amount of CPU; write cores (0.5) or millicores (500m)")


def _parse_ratio(value: object) -> object:
    if isinstance(value, str):
        raise ValueError(f"{value!r} is not a ratio; write a number such as 0.2, without a per cent sign")
    return value


def _parse_threshold(value: object) -> object:
    return parse_seconds(value) if isinstance(value, str) else value


Seconds = Annotated[
    float,
    BeforeValidator(parse_seconds),
    PlainSerializer(format_seconds, return_type=str),
    Field(ge=0, allow_inf_nan=False),
]
PositiveSeconds = Annotated[Seconds, Field(gt=0)]
Cores = Annotated[float, BeforeValidator(parse_cores), Field(ge=0, allow_inf_nan=False)]
Ratio = Annotated[float, BeforeValidator(_parse_ratio), Field(ge=0, le=1)]
Factor = Annotated[float, BeforeValidator(_parse_ratio), Field(ge=0, allow_inf_nan=False)]
Threshold = Annotated[float, BeforeValidator(_parse_threshold), Field(ge=0, allow_inf_nan=False)]
Percentile = Annotated[float, Field(ge=0, le=100)]

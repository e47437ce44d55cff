"""What a request brings along, checked against what its route declares: the query and the body."""

from __future__ import annotations

import asyncio
import json
import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NoReturn

from aiohttp import hdrs, web
from pydantic import TypeAdapter, ValidationError

from controller.api.problems import Problem

BODY_SECONDS = 10.0
_MAX_DEPTH = 32
_MAX_DIGITS = 18
_DIGITS = re.compile(rf"[0-9]{{1,{_MAX_DIGITS}}}")
_BOOLEANS = {"true": True, "false": False}


@dataclass(frozen=True, slots=True)
class Param:
    """A query parameter. Its JSON schema is both what the document shows and what is checked."""

    name: str
    schema: dict[str, Any]
    description: str

    def parse(self, text: str) -> Any:
        """The value of a text. Raises ValueError that says what is accepted."""
        if self.schema["type"] == "integer":
            low, high = self.schema["minimum"], self.schema.get("maximum")
            if not _DIGITS.fullmatch(text) or int(text) < low or (high is not None and int(text) > high):
                upto = f"{low} to {high}" if high is not None else f"{low} on"
                raise ValueError(f"{self.name}: {text!r} is not a whole number from {upto}")
            return int(text)
        if self.schema["type"] == "boolean":
            if text not in _BOOLEANS:
                raise ValueError(f"{self.name}: {text!r} is neither true nor false")
            return _BOOLEANS[text]
        choices = self.schema.get("enum")
        if choices is not None and text not in choices:
            raise ValueError(f"{self.name}: {text!r} is none of {', '.join(choices)}")
        return text


@dataclass(frozen=True, slots=True)
class Body:
    """A JSON body: its type, the name its schema has in the document, the media types it may come as."""

    name: str
    adapter: TypeAdapter[Any]
    media_types: tuple[str, ...] = ("application/json",)
    optional: bool = False


def read_query(request: web.Request, params: Sequence[Param]) -> dict[str, Any]:
    """The declared parameters that were given, and the defaults of the others. Raises Problem 400."""
    known = {param.name: param for param in params}
    values = {param.name: param.schema["default"] for param in params if "default" in param.schema}
    errors = []
    for name in dict.fromkeys(request.query):
        texts = request.query.getall(name)
        if name not in known:
            errors.append(f"{name}: unknown parameter; there is {', '.join(known) or 'none'}")
        elif len(texts) > 1:
            errors.append(f"{name}: given {len(texts)} times")
        else:
            try:
                values[name] = known[name].parse(texts[0])
            except ValueError as error:
                errors.append(str(error))
    if errors:
        raise Problem(400, "the query can't be used", errors=errors)
    return values


async def read_body(request: web.Request, body: Body) -> Any:
    """The body as its type. Raises Problem 400, 408 or 415, and aiohttp's 413."""
    content = await _content(request)
    if not content and body.optional:
        return body.adapter.validate_python({})
    if request.content_type not in body.media_types:
        accepted = ", ".join(body.media_types)
        header = hdrs.ACCEPT if request.method == hdrs.METH_POST else "Accept-Patch"
        raise Problem(415, f"the body is {request.content_type}; send {accepted}", headers={header: accepted})
    value = _json(content)
    try:
        return body.adapter.validate_python(value)
    except ValidationError as error:
        lines = [_line(item) for item in error.errors(include_url=False, include_context=False)]
        raise Problem(400, "the body is not what is expected here", errors=lines) from error


async def _content(request: web.Request) -> bytes:
    try:
        async with asyncio.timeout(BODY_SECONDS):
            return await request.read()
    except TimeoutError:
        raise Problem(408, f"the body did not arrive within {BODY_SECONDS:g} s") from None
    except (web.RequestPayloadError, ConnectionError) as error:
        raise Problem(400, "the body can't be read: it ends early, or is not encoded as it says") from error


def _json(content: bytes) -> Any:
    try:
        value = json.loads(content, parse_constant=_no_constant, parse_float=_float, parse_int=_int)
        # A lone surrogate can be escaped in JSON, but neither logged nor stored.
        json.dumps(value, ensure_ascii=False).encode()
    except UnicodeEncodeError as error:
        raise Problem(400, "the body is not JSON: it has half a surrogate pair") from error
    except (ValueError, RecursionError) as error:
        raise Problem(400, f"the body is not JSON: {error}") from error
    if _deeper_than(_MAX_DEPTH, value):
        raise Problem(400, f"the body is nested more than {_MAX_DEPTH} levels deep")
    return value


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no JSON number")


def _float(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise ValueError(f"{text} is too large a number")
    return value


def _int(text: str) -> int:
    # Beyond that it fits neither a float nor a database, and whoever takes it on would trip.
    if len(text) > _MAX_DIGITS:
        raise ValueError(f"a whole number has more than {_MAX_DIGITS} digits")
    return int(text)


def _deeper_than(levels: int, value: Any) -> bool:
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else None
    if inner is None:
        return False
    return levels == 0 or any(_deeper_than(levels - 1, item) for item in inner)


def _line(item: Any) -> str:
    key = ".".join(str(part) for part in item["loc"])
    return f"{key}: {item['msg']}" if key else str(item["msg"])

"""Whether a value is what a schema of the document says: the part of JSON Schema that the document uses."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

_TYPES: dict[str, tuple[type, ...]] = {
    "object": (dict,),
    "array": (list,),
    "string": (str,),
    "boolean": (bool,),
    "integer": (int,),
    "number": (int, float),
    "null": (type(None),),
}


def faults(document: dict[str, Any], schema: dict[str, Any], value: Any, at: str = "") -> Iterator[str]:
    """One line per place where the value and the schema differ; a key that is not described is a fault."""
    while "$ref" in schema:
        schema = document["components"]["schemas"][schema["$ref"].rpartition("/")[2]]
    if choices := schema.get("anyOf"):
        tries = [list(faults(document, choice, value, at)) for choice in choices]
        if all(tries):
            yield from min(tries, key=len)
        return
    kind = schema.get("type")
    if kind and not (isinstance(value, _TYPES[kind]) and isinstance(value, bool) <= (kind == "boolean")):
        yield f"{at}: {value!r} is no {kind}"
        return
    if value not in schema.get("enum", [value]) or value != schema.get("const", value):
        yield f"{at}: {value!r} is none of {schema}"
    if isinstance(value, list):
        for n, item in enumerate(value):
            yield from faults(document, schema.get("items", {}), item, f"{at}.{n}")
    if isinstance(value, dict):
        properties, others = schema.get("properties", {}), schema.get("additionalProperties")
        yield from (f"{at}.{name}: is missing" for name in schema.get("required", []) if name not in value)
        for name, item in value.items():
            if name in properties:
                yield from faults(document, properties[name], item, f"{at}.{name}")
            elif isinstance(others, dict):
                yield from faults(document, others, item, f"{at}.{name}")
            elif properties and others is not True:
                yield f"{at}.{name}: is not described"

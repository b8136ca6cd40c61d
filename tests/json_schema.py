"""The part of JSON Schema that the schemas of ude use; a keyword that is not known here is an error."""

import re
from typing import Any

_TYPES = {
    "object": dict,
    "array": list,
    "string": str,
    "null": type(None),
    "integer": int,
    "number": (int, float),
}
_NOTES = {"$schema", "title", "description"}


def violations(value: Any, schema: dict[str, Any], place: str = "$") -> list[str]:
    """Where and how a value breaks a schema; empty if it does not."""
    found = [f"{place}: {message}" for message in _type(value, schema["type"], schema)] if "type" in schema else []
    if found:
        return found
    for keyword, rule in schema.items():
        if keyword not in _NOTES:
            found += [f"{place}: {message}" for message in _CHECKS[keyword](value, rule, schema)]
    for name, part, rule in _parts(value, schema):
        found += violations(part, rule, f"{place}.{name}")
    return found


def _parts(value: Any, schema: dict[str, Any]) -> list[tuple[str, Any, dict[str, Any]]]:
    """Members of a value with the schemas that they obey."""
    if isinstance(value, dict):
        rest, known = schema.get("additionalProperties"), schema.get("properties", {})
        rules = {name: known.get(name, rest) for name in value}
        return [(name, value[name], rule) for name, rule in rules.items() if isinstance(rule, dict)]
    if isinstance(value, list) and "items" in schema:
        return [(str(place), part, schema["items"]) for place, part in enumerate(value)]
    return []


def _type(value: Any, rule: Any, _: dict) -> list[str]:
    names = [rule] if isinstance(rule, str) else rule
    right = any(isinstance(value, _TYPES[name]) and not isinstance(value, bool) for name in names)
    return [] if right else [f"{value!r} is no {' or '.join(names)}"]


def _unless(condition: bool, message: str) -> list[str]:
    return [] if condition else [message]


def _names(value: Any, rule: Any, schema: dict) -> list[str]:
    unknown = (
        sorted(set(value) - set(schema.get("properties", {}))) if rule is False and isinstance(value, dict) else []
    )
    return [f"{name} is not known" for name in unknown]


_CHECKS = {
    "type": _type,
    "const": lambda value, rule, _: _unless(value == rule, f"{value!r} is not {rule!r}"),
    "enum": lambda value, rule, _: _unless(value in rule, f"{value!r} is none of {rule}"),
    "required": lambda value, rule, _: [
        f"{name} is missing" for name in rule if isinstance(value, dict) and name not in value
    ],
    "pattern": lambda value, rule, _: _unless(bool(re.search(rule, value)), f"{value!r} is not like {rule}"),
    "minimum": lambda value, rule, _: _unless(value is None or value >= rule, f"{value!r} is less than {rule}"),
    "exclusiveMinimum": lambda value, rule, _: _unless(value > rule, f"{value!r} is not more than {rule}"),
    "minItems": lambda value, rule, _: _unless(len(value) >= rule, f"fewer than {rule}"),
    "maxItems": lambda value, rule, _: _unless(len(value) <= rule, f"more than {rule}"),
    "additionalProperties": _names,
    "properties": lambda *_: [],
    "items": lambda *_: [],
}

"""Values given by users, turned into the type of the default or refused."""

import math
import re
import reprlib
from typing import Any

from . import yaml_text
from .errors import ConfigError

AUTO = "auto"
AUTO_OR_NUMBER = ("DATA.TRANSLATED.PROB", "TRANSLATOR.QUALITY.STRUCTURE")
LISTS = (
    *("DATA.FRAME_OFFSETS", "DATA.TRANSLATED.CONDITIONS", "TRANSLATOR.CONDITIONS", "TRANSLATOR.MATCH_BRIGHTNESS"),
    *("DATA.CONDITIONS", "FINETUNE.CONDITIONS", "FINETUNE.WIDTHS"),
)
"""Keys with any number of items, of text if the default has none; the other tuples have as many as their default."""
QUOTED = re.compile(r"'.*'|\".*\"", re.DOTALL)


def convert(key: str, value: Any, default: Any) -> Any:
    """`value` in the type of `default`: whole numbers become floats, lists and "(1, 2)" become tuples.

    Raises:
        ConfigError: the key, what it must be and what came.
    """
    converted = _auto_or_number(value) if key in AUTO_OR_NUMBER else _like(value, default)
    if isinstance(default, tuple) and converted is not None and key not in LISTS and len(converted) != len(default):
        converted = None
    if converted is None:
        wanted = f'"{AUTO}" or a number' if key in AUTO_OR_NUMBER else _in_words(default)
        raise ConfigError(f"{key} must be {wanted}, got {reprlib.repr(value)}")
    return converted


def from_command_line(key: str, text: str, default: Any) -> Any:
    """The value of an override, read as YAML; where the key takes text, what was typed, without quotes around it.

    Args:
        key: dotted name.
        text: the value as typed.
        default: the key's default; None for an unknown key.
    """
    if isinstance(default, str) and key not in AUTO_OR_NUMBER and not QUOTED.fullmatch(text):
        return text
    try:
        return yaml_text.parse(text)
    except ConfigError:
        return text  # the check of the type refuses it with the key's name


def _auto_or_number(value: Any) -> str | float | None:
    return AUTO if value == AUTO else _like(value, 0.5)


def _like(value: Any, default: Any) -> Any:
    """The value in the default's type, or None."""
    if isinstance(default, tuple):
        return _tuple(value, default)
    if isinstance(default, float):
        number = isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
        return float(value) if number else None
    return value if type(value) is type(default) else None


def _tuple(value: Any, default: tuple) -> tuple | None:
    if isinstance(value, str) and re.fullmatch(r"\(.*\)", value.strip()):
        value = from_command_line("", f"[{value.strip()[1:-1]}]", default)
    if not isinstance(value, list | tuple):
        return None
    items = tuple(_like(item, default[0] if default else "") for item in value)
    return None if None in items else items


def _in_words(default: Any) -> str:
    if isinstance(default, bool):
        return "true or false"
    if isinstance(default, str):
        return f'text like "{default}"' if default else "text"
    kind = {tuple: "tuple", int: "whole number", float: "number"}[type(default)]
    return f"{kind} like {default}"

"""A small and safe YAML: plain values, lists and mappings; no tags, aliases or repeated keys.

Words mean what they say, as in YAML 1.2: `off`, `no` and `2024-01-01` are text, `1e-4` is a number.
"""

import re
from difflib import get_close_matches
from pathlib import Path
from typing import Any, ClassVar

import yaml

from .errors import ConfigError

MAX_BYTES = 100_000
SUFFIXES = (".yaml", ".yml")
_RESOLVERS = {
    "bool": (r"true|True|TRUE|false|False|FALSE", "tTfF"),
    "int": (r"[-+]?(0|[1-9][0-9]*)", "-+0123456789"),
    "float": (
        r"[-+]?(\.[0-9]+|[0-9]+\.[0-9]*)([eE][-+]?[0-9]+)?|[-+]?[0-9]+[eE][-+]?[0-9]+|[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)",
        "-+.0123456789",
    ),
    "null": (r"~|null|Null|NULL|", ["~", "n", "N", ""]),
}


class _Loader(yaml.SafeLoader):
    """PyYAML's safe loader with fewer surprises."""

    yaml_implicit_resolvers: ClassVar[dict[str, list]] = {}

    def compose_node(self, parent: Any, index: Any) -> yaml.Node:
        """Refuses aliases: a few lines of them can stand for gigabytes."""
        if self.check_event(yaml.AliasEvent):
            raise _problem("aliases (*name) are refused; write the value out", self.peek_event())
        return super().compose_node(parent, index)

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict:
        """Refuses a key that is given twice: one of the two would silently not count."""
        seen: set[str] = set()
        for key, _ in node.value:
            if str(key.value) in seen:
                raise _problem(f"{key.value} is given twice", key)
            seen.add(str(key.value))
        return super().construct_mapping(node, deep)


class _Dumper(yaml.SafeDumper):
    """Quotes what `_Loader` would not read back as text, and writes lists on one line."""

    yaml_implicit_resolvers = _Loader.yaml_implicit_resolvers

    def ignore_aliases(self, data: Any) -> bool:
        """Writes a value as often as it occurs."""
        return True


for _name, (_pattern, _first) in _RESOLVERS.items():
    _Loader.add_implicit_resolver(f"tag:yaml.org,2002:{_name}", re.compile(f"(?:{_pattern})$"), list(_first))
for _sequence in (list, tuple):
    _Dumper.add_representer(
        _sequence, lambda dumper, value: dumper.represent_sequence("tag:yaml.org,2002:seq", value, flow_style=True)
    )


def parse(text: str) -> Any:
    """The value that a YAML text stands for.

    Raises:
        ConfigError: one line with the line number and the problem.
    """
    try:
        loader = _Loader(text)
        try:
            return loader.get_single_data()
        finally:
            loader.dispose()
    except RecursionError:
        raise ConfigError("line 1: it is nested too deeply") from None
    except (yaml.YAMLError, ValueError) as error:
        raise ConfigError(_one_line(error)) from error


def read(path: Path) -> dict[Any, Any]:
    """The mapping in a YAML file.

    Raises:
        ConfigError: one line with the file and the problem.
    """
    try:
        value = parse(_text(path))
    except ConfigError as error:
        raise ConfigError(f"{path}: {error}") from error
    if value is None:
        raise ConfigError(f"{path}: it is empty; a configuration has lines like SEED: 0")
    if not isinstance(value, dict):
        raise ConfigError(f"{path}: it must hold lines like SEED: 0, got {type(value).__name__}")
    return value


def write(value: dict[str, Any]) -> str:
    """A mapping as YAML text that `parse` reads back to the same value, with lists for tuples."""
    return yaml.dump(value, Dumper=_Dumper, sort_keys=False, allow_unicode=True, default_flow_style=False)


def _text(path: Path) -> str:
    if path.suffix.lower() not in SUFFIXES:
        raise ConfigError("a configuration is a .yaml or .yml file; other files are never read or run")
    if not path.is_file():
        near = get_close_matches(path.name, [file.name for file in path.parent.glob("*.y*ml")], n=1)
        raise ConfigError(f"there is no such file{f'; did you mean {path.with_name(near[0])}?' if near else ''}")
    size = path.stat().st_size
    if size > MAX_BYTES:
        raise ConfigError(f"it has {size} bytes, more than the {MAX_BYTES} that a configuration may have")
    try:
        return path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise ConfigError("it is not UTF-8 text") from error


def _problem(text: str, place: yaml.Node | yaml.Event) -> yaml.MarkedYAMLError:
    return yaml.MarkedYAMLError(problem=text, problem_mark=place.start_mark)


def _one_line(error: yaml.YAMLError | ValueError) -> str:
    mark = getattr(error, "problem_mark", None)
    problem = getattr(error, "problem", None) or str(error)
    if "'\\t'" in problem:
        problem = "tabs cannot indent YAML; use spaces"
    return f"line {mark.line + 1}: {problem}" if mark else " ".join(problem.split())

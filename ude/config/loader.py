"""Configurations from YAML files with `_BASE_` and `KEY VALUE` overrides; every problem is reported at once."""

import hashlib
import json
from collections.abc import Iterator, Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from yacs.config import CfgNode

from . import yaml_text
from .defaults import defaults
from .errors import ConfigError
from .validate import problems_of
from .values import convert, from_command_line

BASE = "_BASE_"
COMMAND_LINE = "command line"


def load_config(path: str | Path, overrides: Sequence[str] = ()) -> CfgNode:
    """The frozen configuration of a YAML file on top of its `_BASE_` files and the defaults.

    Args:
        path: a .yaml file; it states only what differs from its `_BASE_`, a path relative to the file.
        overrides: KEY VALUE pairs in one flat sequence; values are YAML.

    Raises:
        ConfigError: all problems, one per line: file, key, what was expected and what came.
    """
    config = defaults()
    known = dict(_leaves(config))
    origin: dict[str, str] = {}
    problems = [f"{COMMAND_LINE}: KEY without VALUE: {overrides[-1]}"] if len(overrides) % 2 else []
    for source, key, value in [*_from_files(Path(path)), *_from_command_line(overrides, known)]:
        try:
            _assign(config, key, _checked(key, value, known))
            origin[key] = source
        except ConfigError as error:
            problems.append(f"{source}: {error}")
    problems += [f"{origin.get(key, path)}: {key} {problem}" for key, problem in problems_of(config)]
    if problems:
        raise ConfigError(problems)
    config.freeze()
    return config


def dump_config(config: CfgNode) -> str:
    """Every key of a configuration as YAML text that `load_config` reads back to the same configuration."""
    return yaml_text.write(_plain(config))


def config_hash(config: CfgNode, sections: Sequence[str]) -> str:
    """SHA-256 over the values below some dotted names; equal values give equal hashes.

    Args:
        config: any configuration.
        sections: dotted names of sections or keys, such as "TRANSLATOR" or "DATA.SIZE"; their order does not count.

    Raises:
        ConfigError: there is no such section or key.
    """
    leaves = dict(_leaves(config))
    chosen = {}
    for section in sections:
        below = {key: value for key, value in leaves.items() if f"{key}.".startswith(f"{section}.")}
        if not below:
            raise ConfigError(_unknown(section, leaves))
        chosen |= below
    text = json.dumps(chosen, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(text.encode("utf-8")).hexdigest()


def _from_files(path: Path, above: tuple[Path, ...] = ()) -> Iterator[tuple[str, str, Any]]:
    """The (file, dotted key, value) triples of a file, after those of its `_BASE_`."""
    chain = (*above, path)
    if path.resolve() in [file.resolve() for file in above]:
        raise ConfigError(f"{path}: {BASE} leads in a circle: {' -> '.join(map(str, chain))}")
    content = yaml_text.read(path)
    base = content.pop(BASE, None)
    if base is not None:
        if not isinstance(base, str):
            raise ConfigError(f"{path}: {BASE} must be the name of a .yaml file, got {base!r}")
        yield from _from_files(path.parent / base, chain)
    for key, value in _flat(content):
        yield str(path), key, value


def _from_command_line(overrides: Sequence[str], known: dict[str, Any]) -> Iterator[tuple[str, str, Any]]:
    for key, text in zip(overrides[::2], overrides[1::2], strict=False):
        yield COMMAND_LINE, key, from_command_line(key, text, known.get(key))


def _flat(content: dict[Any, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """The (dotted key, value) pairs of nested mappings."""
    for name, value in content.items():
        if isinstance(value, dict) and value:
            yield from _flat(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", value


def _checked(key: str, value: Any, known: dict[str, Any]) -> Any:
    if key not in known:
        raise ConfigError(_unknown(key, known))
    return convert(key, value, known[key])


def _unknown(key: str, known: dict[str, Any]) -> str:
    inside = [name for name in known if name.startswith(f"{key}.")]
    if inside:
        return f"{key} is a section and takes no value of its own; give its keys, such as {inside[0]}"
    near = get_close_matches(key.upper(), known, n=1, cutoff=0.5)
    return f"unknown key {key}{f'; did you mean {near[0]}?' if near else ''}"


def _leaves(config: CfgNode, prefix: str = "") -> Iterator[tuple[str, Any]]:
    for name, value in config.items():
        if isinstance(value, CfgNode):
            yield from _leaves(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", value


def _assign(config: CfgNode, key: str, value: Any) -> None:
    *sections, name = key.split(".")
    for section in sections:
        config = config[section]
    config[name] = value


def _plain(config: CfgNode) -> dict[str, Any]:
    return {name: _plain(value) if isinstance(value, CfgNode) else value for name, value in config.items()}

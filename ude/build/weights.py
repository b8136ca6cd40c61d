"""What --weights names: predictors by their names, several of one name being the seeds of one predictor."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from ude.config import ConfigError

_NAME = re.compile(r"\w[\w .,+()@-]*")
_NAME_RULE = "a name is of letters, digits, blanks and . , _ + - ( ) @"


@dataclass(frozen=True)
class Weights:
    """A predictor to evaluate.

    Attributes:
        name: of the predictor in tables.
        what: run folder, hub id, file or folder.
        label: its name among the seeds of all predictors, fit for a folder.
    """

    name: str
    what: str
    label: str


def named_weights(words: Sequence[str]) -> list[Weights]:
    """The predictors of the words ``[NAME=]WHAT``; the same NAME several times means seeds of one predictor.

    Raises:
        ConfigError: a name cannot be one, two predictors without NAME would have the same, or one is named twice.
    """
    given: dict[str, list[str]] = {}
    chosen: set[str] = set()  # names that somebody wrote; the others are those of folders
    for word in words:
        written, what = _split(word)
        name = written or _name_of(what)
        if name in given and not (written and name in chosen):
            raise ConfigError(
                f"--weights: two predictors would be called {name}; write NAME={what}, and the same NAME for both if "
                "they are seeds of one predictor"
            )
        if what in given.setdefault(name, []):
            raise ConfigError(f"--weights: {what} is named twice as {name}; name each seed of a predictor once")
        given[name].append(what)
        chosen |= {written}
    labelled = list(_labelled(given))
    labels = [weights.label.casefold() for weights in labelled]  # they name folders
    for place, weights in enumerate(labelled):
        if labels[place] in labels[:place]:
            raise ConfigError(f"--weights: two predictors would be called {weights.label}; choose another name")
    return labelled


def _labelled(given: Mapping[str, Sequence[str]]) -> Iterator[Weights]:
    for name, seeds in given.items():
        for number, what in enumerate(seeds, 1):
            yield Weights(name, what, name if len(seeds) == 1 else f"{name}-{number}")


def _split(word: str) -> tuple[str, str]:
    """Name, or "", and what it stands for; a path may hold a "=", too."""
    name, sign, what = word.partition("=")
    if not sign or Path(word).exists():
        return "", word
    if not _NAME.fullmatch(name):
        raise ConfigError(f"--weights {word}: {name!r} is no predictor's name, nor is there such a path; {_NAME_RULE}")
    if not what:
        raise ConfigError(f"--weights {word}: nothing stands behind the =; write {name}=RUN")
    return name, what


def _name_of(what: str) -> str:
    """The name of a predictor that is given none: the last part of its path or hub id."""
    path = Path(what).resolve()
    name = path.stem if path.is_file() else path.name
    if not _NAME.fullmatch(name):
        raise ConfigError(f"--weights {what}: {name!r} cannot be the predictor's name: write NAME={what}; {_NAME_RULE}")
    return name

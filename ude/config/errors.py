"""The error of a configuration that cannot be used."""

from collections.abc import Iterable


class ConfigError(ValueError):
    """All problems of a configuration, one per line."""

    exit_code = 2

    def __init__(self, problems: str | Iterable[str]) -> None:
        super().__init__(problems if isinstance(problems, str) else "\n".join(problems))

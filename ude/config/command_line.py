"""The command line that all tools share: `--cfg X.yaml [KEY VALUE ...]`, one-line errors and exit codes."""

import logging
import re
import sys
from argparse import ArgumentParser, Namespace, RawDescriptionHelpFormatter
from collections.abc import Callable, Sequence
from typing import Any

from .defaults import defaults

INTERRUPTED = 130
_KEY = re.compile(r"[A-Z][A-Z0-9_]*(\.[A-Z0-9_]+)+")


class ToolParser(ArgumentParser):
    """A parser whose options of several values end at a key of the configuration.

    In ``--split train val DATA.ROOT data`` the last two words are overrides, not splits.
    """

    def parse_known_args(self, args: Sequence[str] | None = None, namespace: Namespace | None = None) -> Any:
        """As that of the standard library, with overrides in front of the option that would take them."""
        words = list(sys.argv[1:] if args is None else args)
        return super().parse_known_args(self._overrides_first(words), namespace)

    def _overrides_first(self, words: list[str]) -> list[str]:
        done: list[str] = []
        pending: list[str] = []  # an option with its values, or neighbouring options of several values
        overrides: list[str] = []
        greedy = among_overrides = False
        for word in words:
            action = self._option_string_actions.get(word.partition("=")[0])
            if action is not None or word == "--":
                chained, greedy = greedy, action is not None and action.nargs in ("+", "*") and "=" not in word
                if not (chained and greedy):
                    done, pending, overrides = [*done, *overrides, *pending], [], []
                pending.append(word)
                among_overrides = False
            else:
                among_overrides = among_overrides or (greedy and _is_key(word))
                (overrides if among_overrides else pending).append(word)
        return done + overrides + pending


def _is_key(word: str) -> bool:
    return bool(_KEY.fullmatch(word)) or word in defaults()


def parser(description: str, example: str) -> ArgumentParser:
    """A `bare_parser` with `--cfg` (or `--config`) and trailing `KEY VALUE` overrides; tools add their own flags."""
    result = bare_parser(description, example)
    result.add_argument("--cfg", "--config", required=True, metavar="FILE", help="configuration, e.g. configs/X.yaml")
    result.add_argument("overrides", nargs="*", metavar="KEY VALUE", help="keys to change, e.g. SOLVER.EPOCHS 5")
    return result


def bare_parser(description: str, example: str) -> ArgumentParser:
    """A parser without arguments, for a tool that needs no configuration.

    Args:
        description: what the tool does.
        example: complete commands, shown below the options as they are.
    """
    return ToolParser(
        description=description,
        epilog=example,
        formatter_class=RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )


def run_tool(main: Callable[[Namespace], int | None], parser: ArgumentParser, argv: Sequence[str] | None = None) -> int:
    """Runs a tool and returns its exit code; errors of the user become one line on stderr.

    Args:
        main: the tool; None counts as 0.
        parser: of the tool's arguments.
        argv: arguments without the program's name; None = those of the process.

    Returns:
        0 on success, the error's own code (2 configuration, 4 data, 5 not finite, 6 disk full, 7 out of memory), or
        130 after Ctrl-C. Errors without an exit code are bugs and keep their traceback.
    """
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    arguments = parser.parse_intermixed_args(argv)
    try:
        return main(arguments) or 0
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return INTERRUPTED
    except Exception as error:
        if not hasattr(error, "exit_code"):
            raise
        print(f"error: {_message(error)}", file=sys.stderr)
        return error.exit_code


def _message(error: Exception) -> str:
    """The error's own text; torch wraps those of loader processes in a traceback, whose last line holds it."""
    text = str(error)
    if not text.startswith("Caught "):
        return text
    return text.strip().splitlines()[-1].partition(": ")[2]

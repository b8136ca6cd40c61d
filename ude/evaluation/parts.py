"""Small pieces of HTML that several parts of a report share."""

from collections.abc import Sequence
from html import escape

COLORS = 8
"""Colours of predictors in the style sheet; more predictors use them again."""


def scrolling(content: str, label: str) -> str:
    """HTML that scrolls inside the page where it is wider, also by keyboard."""
    return f'<div class="scroll" tabindex="0" role="region" aria-label="{escape(label)}">{content}</div>'


def condition_class(condition: str) -> str:
    """Classes of an element that shows a condition's name with its colour."""
    return f"condition {escape(condition)}"


def color_class(index: int) -> str:
    """Class with the colour of the predictor with this number."""
    return f"c{index % COLORS}"


def legend(names: Sequence[str]) -> str:
    """Names beside their colours."""
    keys = "".join(
        f'<span><i class="key {color_class(index)}"></i>{escape(name)}</span>' for index, name in enumerate(names)
    )
    return f'<div class="legend">{keys}</div>'

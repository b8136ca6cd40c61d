"""A small vocabulary for the text encoder of a small world.

Source: byte pair encoding of words, https://arxiv.org/abs/1508.07909.
"""

import re
import string
from collections import Counter
from collections.abc import Iterable
from itertools import pairwise
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # takes seconds to import
    from transformers import CLIPTokenizer

TEXT_LENGTH = 32  # a small world needs few words, and attention to padding costs
_WORD = re.compile(r"[a-z]+|[0-9]|[^\sa-z0-9]+")  # as CLIP splits text
_END = "</w>"


def small_tokenizer(texts: Iterable[str]) -> "CLIPTokenizer":
    """CLIP's tokenizer with a vocabulary in which the words of some texts are whole; others are spelled out.

    The same texts give the same vocabulary, which the libraries' own trainers do not promise.

    Args:
        texts: prompts that training and use will meet.
    """
    from transformers import CLIPTokenizer

    characters = sorted(set(string.printable) - set(string.whitespace) - set(string.ascii_uppercase))
    merges = _merges(Counter(word for text in texts for word in _WORD.findall(text.lower())))
    entries = [*characters, *(f"{c}{_END}" for c in characters), *map("".join, merges)]
    entries += ["<|startoftext|>", "<|endoftext|>"]
    return CLIPTokenizer(vocab={e: i for i, e in enumerate(entries)}, merges=merges, model_max_length=TEXT_LENGTH)


def _merges(words: Counter[str]) -> list[tuple[str, str]]:
    """Pairs to join, most frequent first, until all words are whole."""
    parts = {word: [*word[:-1], f"{word[-1]}{_END}"] for word in words}
    merges = []
    while True:
        pairs: Counter[tuple[str, str]] = Counter()
        for word, own in parts.items():
            for pair in pairwise(own):
                pairs[pair] += words[word]
        if not pairs:
            return merges
        best = max(pairs, key=lambda pair: (pairs[pair], pair))
        merges.append(best)
        parts = {word: _joined(own, best) for word, own in parts.items()}


def _joined(parts: list[str], pair: tuple[str, str]) -> list[str]:
    """Parts of a word with each occurrence of a pair made one."""
    found: list[str] = []
    for part in parts:
        if found and (found[-1], part) == pair:
            found[-1] += part
        else:
            found.append(part)
    return found

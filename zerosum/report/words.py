"""What the pages say, in each language: a file a language in `pages/`, with the same keys."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import cache
from typing import get_args

from zerosum.config.specs import Language
from zerosum.pages import text_of

LANGUAGES: tuple[Language, ...] = get_args(Language)

Words = Callable[..., str]
"""`words("epoch", number=3)`: the text of a key, with its blanks filled in."""


@cache
def texts(language: Language) -> dict[str, str]:
    """All texts of a language, by key."""
    found: dict[str, str] = json.loads(text_of(f"report_{language}.json"))
    return found


def words_of(language: Language) -> Words:
    """The function that says things in a language.

    It raises a KeyError for a key or a blank that is not there, which is a bug of ours.
    """
    found = texts(language)

    def words(key: str, **blanks: object) -> str:
        return found[key].format_map(blanks)

    return words

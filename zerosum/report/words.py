"""What the pages say, in each language: a file a language in `pages/`, with the same keys."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from functools import cache
from importlib import resources
from typing import Literal, get_args

Language = Literal["en", "zh"]
LANGUAGES: tuple[Language, ...] = get_args(Language)

Words = Callable[..., str]
"""`words("epoch", number=3)`: the text of a key, with its blanks filled in."""


@cache
def texts(language: Language) -> dict[str, str]:
    """All texts of a language, by key."""
    file = resources.files("zerosum").joinpath(f"pages/{language}.json")
    found: dict[str, str] = json.loads(file.read_text("utf-8"))
    return found


def words_of(language: Language) -> Words:
    """The function that says things in a language.

    It raises a KeyError for a key or a blank that is not there, which is a bug of ours.
    """
    found = texts(language)

    def words(key: str, **blanks: object) -> str:
        return found[key].format_map(blanks)

    return words


def language_here() -> Language:
    """The language that the user's locale asks for, English unless it is Chinese."""
    for name in ("LC_ALL", "LC_MESSAGES", "LANG"):
        if value := os.environ.get(name):
            return "zh" if value.lower().startswith("zh") else "en"
    return "en"

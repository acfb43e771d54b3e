"""The one exception for mistakes that a user can mend, and the phrases that such messages share.

Everything else that is raised is a bug of ours and deserves its traceback.
"""

from __future__ import annotations

import difflib
import operator
import os
import re
import shlex
import shutil
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any


def visible(text: str) -> str:
    """Write out what of a stranger's text would move a terminal's cursor, or turn its lines.

    Line breaks and tabs stay.
    """
    return HIDDEN.sub(lambda found: ascii(found.group())[1:-1], text)


HIDDEN = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff]"
)
"""Control characters, of the direction of writing too, and what no output can encode."""


class UserError(ValueError):
    """A mistake in what the user gave: a name, a value, a file, a folder.

    The message says what happened, what was received, what was expected and what to do.
    The command line prints it without a traceback and exits with `exit_code`.
    """

    exit_code = 2

    def __init__(self, message: str) -> None:
        super().__init__(visible(message))


def unknown_name(kind: str, received: str, known: Iterable[str]) -> UserError:
    """Build the error for a name that nobody knows: the closest match and all valid names.

    Args:
        kind: what the name should have named, such as "recipe".
        received: the name as the user wrote it.
        known: every valid name.
    """
    names = sorted(known)
    hint = did_you_mean(received, names)
    return UserError(f"There is no {kind} '{received}'.{hint} Valid names: {', '.join(names)}.")


def did_you_mean(received: str, known: Iterable[str], *, form: str = " Did you mean '{}'?") -> str:
    """Ask, in a form, for the known name that is closest; say nothing, "", where none is close."""
    names = {name.lower(): name for name in known}
    begun = [name for name in names if received and name.startswith(received.lower())]
    closest = difflib.get_close_matches(
        received.lower(), begun or names, n=1, cutoff=0 if begun else 0.5
    )
    return form.format(names[closest[0]]) if closest else ""


def pip_install(extra: str) -> str:
    """The command that adds an extra to this very Python, as a user would type it."""
    own = Path(sys.prefix) / "bin" / "pip"
    found = shutil.which("pip")
    pip = "pip" if found and Path(found) == own else f"{shlex.quote(sys.executable)} -m pip"
    return f"{pip} install 'zerosum[{extra}]'"


def and_more(items: Sequence[str], shown: int = 3) -> str:
    """Name the first few of many, and say how many more there are: "a; b; c; and 9 more"."""
    rest = [f"and {len(items) - shown} more"] if len(items) > shown else []
    return "; ".join([*items[:shown], *rest])


def shown(value: object) -> str:
    """A value in a few words: as Python writes it, or by its type and shape where that is long."""
    text = repr(value)
    if len(text) <= 60 and "\n" not in text:
        return text
    shape = getattr(value, "shape", None)
    return f"{type(value).__name__}{f' of shape {tuple(shape)}' if shape is not None else ''}"


def whole_number(name: str, value: Any) -> int:
    """Take a whole number of any type.

    Raises:
        UserError: it is none.
    """
    try:
        return operator.index(value)
    except TypeError:
        raise UserError(
            f"{name}: received {shown(value)}, expected a whole number, such as 4."
        ) from None


def path_like(name: str, value: Any, expected: str) -> str:
    """Take a path, text or of a type of its own.

    Args:
        name: what was given, such as "The run".
        value: the path.
        expected: what the path should lead to, such as "the path of a run directory".

    Raises:
        UserError: it is no path.
    """
    if not isinstance(value, str | os.PathLike):
        raise UserError(f"{name}: received {shown(value)}, expected {expected}.")
    return os.fsdecode(value)

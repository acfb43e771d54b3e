"""The one exception for mistakes that a user can mend, and the phrases that such messages share.

Everything else that is raised is a bug of ours and deserves its traceback.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence


class UserError(ValueError):
    """A mistake in what the user gave: a name, a value, a file, a folder.

    The message says what happened, what was received, what was expected and what to do.
    The command line prints it without a traceback and exits with `exit_code`.
    """

    exit_code = 2


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
    closest = difflib.get_close_matches(received.lower(), names, n=1, cutoff=0.5)
    return form.format(names[closest[0]]) if closest else ""


def and_more(items: Sequence[str], shown: int = 3) -> str:
    """Name the first few of many, and say how many more there are: "a; b; c; and 9 more"."""
    rest = [f"and {len(items) - shown} more"] if len(items) > shown else []
    return "; ".join([*items[:shown], *rest])

"""The one exception for mistakes that a user can mend.

Everything else that is raised is a bug of ours and deserves its traceback.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable


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
    closest = difflib.get_close_matches(received.lower(), names, n=1, cutoff=0.5)
    hint = f" Did you mean '{closest[0]}'?" if closest else ""
    return UserError(f"There is no {kind} '{received}'.{hint} Valid names: {', '.join(names)}.")

"""Flags by their names in 0.1, which are understood, with a warning, for one version more."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from zerosum.config.base import OLD_NAMES, OLD_VALUES, SPELLINGS

NEW = {
    **{f"--{old}": f"--{new}" for old, new in {**OLD_NAMES, **SPELLINGS}.items()},
    "--no_flips": "--no-hflip",
}
NEW_NAMES = {old.replace("_", "-"): new.replace("_", "-") for old, new in NEW.items()}
QUIET = {f"--{name}" for name in SPELLINGS}


def modern_flags(tokens: Sequence[str]) -> list[str]:
    """Give the flags of `train` the names of today; warn of each that had another."""
    found: list[str] = []
    for token in tokens:
        flag, equals, value = token.partition("=")
        new = NEW_NAMES.get(flag, flag)
        if new != flag and flag not in QUIET:
            print(f"zerosum: {flag} is now called {new}.", file=sys.stderr)
        values = OLD_VALUES.get(new.removeprefix("--").replace("-", "_"), {})
        previous = found[-1].removeprefix("--").replace("-", "_") if found else ""
        if equals:
            found.append(f"{new}={values.get(value, value)}")
        else:
            found.append(OLD_VALUES.get(previous, {}).get(new, new))
    return found

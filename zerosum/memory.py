"""How much memory there is, asked before it is taken.

Linux grants more than it has and kills the process that uses it, so waiting for a MemoryError is
waiting in vain.
"""

from __future__ import annotations

import os

from zerosum.errors import UserError

GIB = 2**30


def memory_bytes() -> int | None:
    """The machine's memory, where the system tells."""
    if not hasattr(os, "sysconf"):
        return None
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


def insist_on_memory(needed: float, *, memory: int | None, what: str) -> None:
    """Refuse what this machine cannot hold.

    Args:
        needed: bytes it would take.
        memory: bytes there are, or None where nobody knows.
        what: the subject of the message, such as "40 images of 30000×30000 pixels".

    Raises:
        UserError: it is too much.
    """
    if memory is not None and needed > memory:
        raise UserError(
            f"{what} would take about {needed / GIB:,.1f} GiB, and this machine has "
            f"{memory / GIB:,.1f}. Choose smaller images with --size, such as --size 64."
        )

"""How much memory there is, asked before it is taken; and what to do where a GPU's was not enough.

Linux grants more than it has and kills the process that uses it, so waiting for a MemoryError is
waiting in vain. A GPU says so.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

from zerosum.errors import UserError

GIB = 2**30
SMALLER = "Choose smaller images with --size, such as --size 64."


def memory_bytes() -> int | None:
    """The machine's memory, where the system tells."""
    if not hasattr(os, "sysconf"):
        return None
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


def insist_on_memory(
    needed: float, *, memory: int | None, what: str, advice: str = SMALLER
) -> None:
    """Refuse what this machine cannot hold.

    Args:
        needed: bytes it would take.
        memory: bytes there are, or None where nobody knows.
        what: the subject of the message, such as "40 images of 30000×30000 pixels".
        advice: what needs less.

    Raises:
        UserError: it is too much.
    """
    if memory is not None and needed > memory:
        raise UserError(
            f"{what} would take about {needed / GIB:,.1f} GiB, and this machine has "
            f"{memory / GIB:,.1f}. {advice}"
        )


@contextmanager
def exhaustion_explained(what: str, advice: str) -> Iterator[None]:
    """Turn a device's running out of memory into a message.

    Args:
        what: what it did not suffice for, such as "batches of 128 images".
        advice: what needs less.

    Raises:
        UserError: it ran out.
    """
    import torch  # here, because this module serves commands that do without

    try:
        yield
    except torch.OutOfMemoryError as error:
        raise UserError(f"The device's memory is not enough for {what}. {advice}") from error
